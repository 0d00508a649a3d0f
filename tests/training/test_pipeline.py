"""A run from photos to its folder: trained, scored once, cross-validated, taken up again."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from imgcli.commands.train import train as train_command
from imgcli.config import ModelConfig, TrainConfig
from imgcli.errors import DataError, Interrupted, RunError, WrongUsage
from imgcli.files import atomic_file, write_json
from imgcli.models import weights as weights_module
from imgcli.models.network import fingerprint
from imgcli.models.zoo import ZOO, Entry
from imgcli.run_lookup import find_run, unfinished_run
from imgcli.runs import Run, finished_runs
from imgcli.training import cross_validation as folds_module
from imgcli.training.bagging import train_bag
from imgcli.training.model_io import chosen_in, load_model
from imgcli.training.pipeline import train_run
from imgcli.training.scoring import score_folds, score_test
from tests.support.photos import coloured_photo, write_dataset
from tests.support.trained_runs import FROZEN, trained

CONFIG = TrainConfig.of(
    arch="8C3S2-P2-16", image_size=16, epochs=3, batch_size=12, lr=0.01, augment="none",
    precision="fp32",
)  # fmt: skip


@pytest.mark.parametrize("config", [CONFIG, FROZEN], ids=["from scratch", "frozen"])
def test_a_run_holds_what_the_design_says(here: Path, config: TrainConfig) -> None:
    result = train_run(config, Path("dataset"), Path("runs"), "cpu")
    run, document = result.run, result.document
    files = {path.name for path in run.folder.iterdir()}
    assert files == {"config.json", "model.json", "model.safetensors", "history.csv"}
    assert find_run("latest").folder == run.folder
    assert document["train"]["n"] == 36 - (0 if config.model.freeze else document["val"]["n"])
    assert document["test"] is None and result.rejected == ()
    assert {row["part"] for row in result.history} == {"batch", "train", "val"}
    assert run.config.optim.precision == "fp32" and run.config.optim.optimizer is not None


def test_one_config_and_seed_give_one_network(here: Path) -> None:
    one, same, other = (trained(CONFIG.with_(seed=seed)) for seed in (1, 1, 2))
    prints = [fingerprint(load_model(run)[0].classifier) for run in (one, same, other)]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("config", [FROZEN, FROZEN.with_(optimizer="sgd", epochs=2)])
def test_frozen_means_frozen_batch_norm_too(here: Path, config: TrainConfig) -> None:
    from imgcli.models.create import create_network

    run = trained(config)
    network, classes, _ = load_model(run)
    start = create_network(ModelConfig("test_resnet", image_size=32, pretrained=False), 3)
    assert fingerprint(network.classifier.backbone) == fingerprint(start.classifier.backbone)
    assert run.read_json("model.json")["backbone_sha256"] == fingerprint(start.classifier.backbone)
    assert classes == ("blue", "green", "red")


def test_features_are_extracted_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(FROZEN)

    def no_more(*args: object) -> None:
        raise AssertionError("a photo was decoded again")

    monkeypatch.setattr("imgcli.training.features.load_pixels", no_more)
    score_folds(run, None, "train", 3, device="cpu")
    score_test(run, None, "cpu")


def test_a_stored_ridge_run_is_evaluated_and_not_trained_again(here: Path) -> None:
    run = trained(FROZEN)
    scored = score_test(run, None, "cpu").predictions
    old = run.read_json("config.json")
    old["config"] |= {"optimizer": "ridge", "epochs": None}
    write_json(run.folder / "config.json", old, hashed=True)
    (run.folder / "predictions-test.npz").unlink()
    again = score_test(run, None, "cpu").predictions
    assert again.probs.tobytes() == scored.probs.tobytes()
    with pytest.raises(WrongUsage, match="--optimizer ridge is not offered any more"):
        score_folds(run, None, "train", 3, device="cpu")


def test_every_photo_is_predicted_once_by_a_fold_that_has_not_seen_it(here: Path) -> None:
    scored = score_folds(trained(FROZEN), None, "train", 4, device="cpu")
    predictions = scored.predictions
    assert predictions.folds == 4 and len(predictions) == 36
    assert (np.bincount(predictions.fold) == 9).all()
    assert scored.train_confusions is not None
    assert scored.train_confusions.sum() == 3 * 36  # each photo was learnt from in three folds
    assert (predictions.preds == predictions.targets).mean() > 0.9  # colours are easy


def test_folds_start_from_an_untrained_head(here: Path) -> None:
    run = trained(FROZEN.with_(optimizer="sgd", epochs=2, lr=0.001))
    expected = score_folds(run, None, "train", 3, device="cpu").predictions
    weights = load_file(run.folder / "model.safetensors")
    weights["fc.weight"] += torch.randn(weights["fc.weight"].shape)
    save_file(weights, run.folder / "model.safetensors")
    run.write_json("model.json", {**run.read_json("model.json"), "files": {}})
    shutil.rmtree(run.folder / "folds")
    found = score_folds(run, None, "train", 3, device="cpu").predictions
    np.testing.assert_array_equal(found.probs, expected.probs)


@pytest.mark.parametrize("config", [CONFIG, FROZEN.with_(arch=CONFIG.model.arch, image_size=16)])
def test_folds_are_refused_for_weights_trained_on_the_photos(
    here: Path, config: TrainConfig
) -> None:
    first = trained(CONFIG)
    second = trained(config.with_(weights=str(first.folder)))
    third = trained(config.with_(weights=str(second.folder)))
    for run in (second, third):
        with pytest.raises(WrongUsage, match=r"weights of 'runs/.*, which was trained on them"):
            score_folds(run, None, "train", 3, device="cpu")
    for photo in write_dataset(here / "other").rglob("*.png"):
        Image.open(photo).rotate(180).save(photo)  # others than the runs were trained on
    assert len(score_folds(third, here / "other", "train", 3, device="cpu").predictions) == 36
    assert len(score_test(third, None, "cpu").predictions) == 12


def test_unlabelled_photos_are_not_needed_to_score_the_test_part(here: Path) -> None:
    more = here / "more"
    more.mkdir()
    for i in range(4):
        coloured_photo((200, 50, 40), seed=500 + i).save(more / f"{i}.png")
    run = trained(CONFIG.with_(pseudo_label="more", confidence=0.0))
    assert run.read_json("model.json")["chosen"]["pseudo_labels"] == 4
    shutil.rmtree(more)
    assert len(score_test(run, None, "cpu").predictions) == 12


def test_a_run_whose_head_had_no_optimum_can_still_be_scored(here: Path) -> None:
    run = trained(FROZEN.with_(weight_decay=0.1))
    made = run.read_json("config.json")
    run.write_json("config.json", {**made, "config": {**made["config"], "weight_decay": 0.0}})
    assert len(score_test(run, None, "cpu").predictions) == 12


def test_the_temperature_of_a_run_is_what_its_logits_were_divided_by(here: Path) -> None:
    result = train_run(FROZEN, Path("dataset"), Path("runs"), "cpu")
    chosen = result.document["chosen"]
    assert chosen == result.run.read_json("model.json")["chosen"]
    assert chosen["temperature"] == pytest.approx(1 / chosen["factor"])
    assert chosen_in({"chosen": chosen}) == chosen


def test_the_temperature_of_an_older_run_is_read_as_one() -> None:
    old = {"chosen": {"weight_decay": 0.3, "temperature": 4.0}}  # what the logits were times
    assert chosen_in(old) == {"weight_decay": 0.3, "temperature": 0.25, "factor": 4.0}
    assert chosen_in({"chosen": {"pseudo_labels": 3}}) == {"pseudo_labels": 3}


def test_near_duplicates_share_a_fold(here: Path) -> None:
    for i in range(3):  # the same photo under other names
        for copy in "bcd":
            source = here / f"dataset/train/red/{i:02}.png"
            (here / f"dataset/train/red/{i:02}{copy}.png").write_bytes(source.read_bytes())
    predictions = score_folds(trained(FROZEN), None, "train", 3, device="cpu").predictions
    for group in np.unique(predictions.groups):
        assert len(np.unique(predictions.fold[predictions.groups == group])) == 1


@pytest.mark.parametrize(("config", "again"), [(CONFIG, 2), (FROZEN, 3)])  # heads: all at once
def test_finished_folds_are_not_computed_again(
    here: Path, monkeypatch: pytest.MonkeyPatch, config: TrainConfig, again: int
) -> None:
    run = trained(config)
    expected = score_folds(run, None, "train", 3, device="cpu")
    (folder,) = (run.folder / "folds").iterdir()
    (folder / "fold-01.npz").unlink()
    (folder / "fold-02.npz").write_bytes(b"damaged")
    fitted = []
    fit_all = folds_module.fit_all

    def counted(context: object, specs: list[object]) -> object:
        fitted.extend(specs)
        return fit_all(context, specs)  # type: ignore[arg-type]

    monkeypatch.setattr(folds_module, "fit_all", counted)
    mended = score_folds(run, None, "train", 3, device="cpu")
    assert len(fitted) == again
    score_folds(run, None, "train", 3, device="cpu")
    assert len(fitted) == again
    np.testing.assert_array_equal(mended.predictions.probs, expected.predictions.probs)


def test_the_test_part_is_scored_once_and_the_ledger_counts(here: Path) -> None:
    first, second = trained(FROZEN), trained(CONFIG)
    scored = score_test(first, None, "cpu")
    assert (len(scored.predictions), scored.predictions.folds, scored.times) == (12, None, 1)
    again = score_test(first, None, "cpu")
    assert again.times is None
    np.testing.assert_array_equal(again.predictions.probs, scored.predictions.probs)
    assert score_test(second, None, "cpu").times == 2
    lines = (here / "runs/test-ledger.jsonl").read_text().splitlines()
    assert [json.loads(line)["run"] for line in lines] == [first.folder.name, second.folder.name]


def test_a_changed_test_part_is_scored_again(here: Path) -> None:
    run = trained(FROZEN)
    score_test(run, None, "cpu")
    coloured_photo((200, 50, 40), seed=77).save(here / "dataset/test/red/12.png")
    assert score_test(run, None, "cpu").times == 1  # another test part, looked at once


def test_training_photos_are_measured_by_one_view(here: Path) -> None:
    plain, averaged = (
        train_run(CONFIG.with_(**views), Path("dataset"), Path("runs"), "cpu").document
        for views in ({}, {"test_flip": True, "test_shift": 2})
    )
    assert plain["train"] == averaged["train"]
    assert plain["val"]["loss"] != averaged["val"]["loss"]


def test_a_tracked_test_curve_is_kept_and_entered(here: Path) -> None:
    tracked = train_run(CONFIG.with_(track_test=True), Path("dataset"), Path("runs"), "cpu")
    assert tracked.document["test"]["n"] == 12
    assert sum(row["part"] == "test" for row in tracked.history) == 3
    assert "train --track-test" in (here / "runs/test-ledger.jsonl").read_text()
    untracked = trained(CONFIG)
    assert fingerprint(load_model(tracked.run)[0].classifier) == fingerprint(
        load_model(untracked)[0].classifier
    )


def test_an_interrupted_training_is_invisible_until_it_is_resumed_to_the_same_bits(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trained(CONFIG)
    save = atomic_file
    epochs = []

    def stop_in_the_second(path: Path) -> object:
        if path.name == "checkpoint.safetensors":
            epochs.append(path)
            if len(epochs) == 2:
                raise KeyboardInterrupt
        return save(path)

    monkeypatch.setattr(weights_module, "atomic_file", stop_in_the_second)
    with pytest.raises(Interrupted, match=r"imgcli train --resume"):
        trained(CONFIG)
    monkeypatch.setattr(weights_module, "atomic_file", save)
    assert find_run("latest").folder == whole.folder
    unfinished = unfinished_run()
    with pytest.raises(RunError, match=r"is not a finished run.*--resume"):
        find_run(unfinished.folder.name)
    resumed = train_run(
        unfinished.config, unfinished.data, Path("runs"), "cpu", resume=unfinished
    ).run
    assert resumed.folder == unfinished.folder
    assert (resumed.folder / "history.csv").read_text() == (
        whole.folder / "history.csv"
    ).read_text()
    assert (resumed.folder / "model.safetensors").read_bytes() == (
        whole.folder / "model.safetensors"
    ).read_bytes()


@pytest.fixture
def unfinished(here: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A training that was interrupted in its second epoch."""
    epochs: list[Path] = []

    def stop(path: Path) -> object:
        epochs.extend([path] if path.name == "checkpoint.safetensors" else [])
        if len(epochs) == 2:
            raise KeyboardInterrupt
        return atomic_file(path)

    with monkeypatch.context() as patch:
        patch.setattr(weights_module, "atomic_file", stop)
        with pytest.raises(Interrupted):
            trained(CONFIG)
    return unfinished_run()


def test_a_training_resumes_where_the_same_photos_are_now(unfinished: Run, here: Path) -> None:
    whole = trained(CONFIG)
    (here / "gpu").mkdir()
    (here / "dataset").rename(here / "gpu/moved")
    with pytest.raises(RunError, match=f"begun on 'dataset'.*--run {unfinished.folder.name} --d"):
        train_command(resume=True, device="cpu")
    resumed = train_command(resume=True, data="gpu/moved", device="cpu")
    assert resumed.run == unfinished.folder and Run(resumed.run).data == Path("gpu/moved")
    for name in ("history.csv", "model.safetensors"):
        assert (resumed.run / name).read_bytes() == (whole.folder / name).read_bytes()


@pytest.mark.parametrize("change", ["one more", "one less", "other bytes", "other class"])
def test_a_training_resumes_on_no_other_photos(unfinished: Run, here: Path, change: str) -> None:
    (here / "dataset").rename(here / "other")
    photo = min((here / "other/train/red").iterdir())
    if change == "one less":
        photo.unlink()
    elif change == "other class":
        photo.rename(here / "other/train/blue/zz.png")
    else:
        name = "zz.png" if change == "one more" else photo.name
        coloured_photo((10, 200, 40), seed=991).save(photo.with_name(name))
    before = {path: path.read_bytes() for path in unfinished.folder.iterdir()}
    with pytest.raises(RunError, match=r"was begun with .* photos"):
        train_command(resume=True, data="other", device="cpu")
    assert {path: path.read_bytes() for path in unfinished.folder.iterdir()} == before


def test_a_run_finds_its_dataset_when_the_whole_project_has_moved(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = here / "project"
    project.mkdir()
    (here / "dataset").rename(project / "photos")
    monkeypatch.chdir(project)
    run = train_run(FROZEN, project / "photos", Path("runs"), "cpu").run
    assert run.data == project / "photos"
    project.rename(here / "moved")
    monkeypatch.chdir(here / "moved")
    assert run.data == here / "moved/photos"
    assert "at the same place beside the run, is used" in capsys.readouterr().err
    assert len(score_test(run, None, "cpu").predictions.targets) == 12


def test_the_rest_of_an_interrupted_bag_is_trained_as_it_would_have_been(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bag = CONFIG.with_(bag_of=3)
    whole, last = train_bag(bag, Path("dataset"), Path("runs"), "cpu")
    assert [document["run"] for document in whole][-1] == str(last.run.folder)
    save = atomic_file
    epochs = []

    def stop_in_the_fifth(path: Path) -> object:
        if path.name == "checkpoint.safetensors":
            epochs.append(path)
            if len(epochs) == 5:  # the second of the second network
                raise KeyboardInterrupt
        return save(path)

    monkeypatch.setattr(weights_module, "atomic_file", stop_in_the_fifth)
    with pytest.raises(Interrupted, match=r"imgcli train --resume"):
        train_bag(bag, Path("dataset"), Path("runs"), "cpu")
    monkeypatch.setattr(weights_module, "atomic_file", save)
    unfinished = unfinished_run()
    resumed, _ = train_bag(unfinished.config, unfinished.data, Path("runs"), "cpu", unfinished)
    assert len(finished_runs()) == 6
    assert resumed[1]["run"] == str(unfinished.folder)
    assert {Run(Path(document["run"])).asked for document in resumed} == {last.run.asked}
    for one, other in zip(whole, resumed, strict=True):
        assert one["run"] != other["run"] and one["train"] == other["train"]
        prints = [fingerprint(load_model(Run(Path(d["run"])))[0].classifier) for d in (one, other)]
        assert prints[0] == prints[1]


def test_a_bag_goes_on_where_it_was_left_whatever_has_become_of_its_networks(here: Path) -> None:
    bag = CONFIG.with_(bag_of=3)
    whole, _ = train_bag(bag, Path("dataset"), Path("runs"), "cpu")
    first, second, third = (Path(document["run"]) for document in whole)
    shutil.rmtree(third)  # stopped between two networks
    left = unfinished_run()
    assert left.folder == second
    resumed, _ = train_bag(left.config, left.data, Path("runs"), "cpu", left)
    assert [Path(document["run"]) for document in resumed[:2]] == [first, second]
    assert resumed[2]["train"] == whole[2]["train"]
    with pytest.raises(RunError, match="No unfinished run"):
        unfinished_run()
    shutil.rmtree(Path(resumed[2]["run"]))
    shutil.rmtree(first)
    again, _ = train_bag(left.config, left.data, Path("runs"), "cpu", left)
    assert [Run(Path(document["run"])).config.data.bag for document in again] == [0, 1, 2]
    assert again[1]["run"] == str(second) and again[0]["train"] == whole[0]["train"]


def test_folds_are_of_the_network_that_was_trained_whatever_becomes_of_the_zoo(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ZOO, "mine", Entry("8C3S2-P2-16", 16, "before"))
    config = CONFIG.with_(arch="mine", image_size=None, dropout=0.5)
    run = trained(config)
    before = score_folds(run, None, "train", 2).predictions.probs
    shutil.rmtree(run.folder / "folds")
    monkeypatch.setitem(ZOO, "mine", Entry("4C3-G", 8, "after", recipe={"label_smoothing": 0.3}))
    assert np.array_equal(score_folds(run, None, "train", 2).predictions.probs, before)
    shutil.rmtree(run.folder / "folds")
    monkeypatch.delitem(ZOO, "mine")
    assert np.array_equal(score_folds(run, None, "train", 2).predictions.probs, before)


def test_there_is_no_waiting_for_a_validation_loss_without_validation(here: Path) -> None:
    blind = CONFIG.with_(val_share=0.0)
    with pytest.raises(WrongUsage, match=r"--patience 3 waits .* add --val-share 0.1"):
        trained(blind.with_(patience=3))
    assert not Path("runs").exists()
    trained(CONFIG.with_(patience=3))
    assert trained(blind).config.optim.patience  # what it is settled to does no harm


def test_an_unreadable_photo_is_listed_and_the_rest_goes_on(here: Path) -> None:
    (here / "dataset/train/red/00.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    result = train_run(FROZEN, Path("dataset"), Path("runs"), "cpu")
    assert [photo.path for photo in result.rejected] == ["train/red/00.png"]
    assert result.document["train"]["n"] == 35


def test_a_photo_in_train_and_test_is_counted_as_a_leak(here: Path) -> None:
    photo = (here / "dataset/train/red/00.png").read_bytes()
    (here / "dataset/test/red/again.png").write_bytes(photo)
    run = trained(FROZEN)
    assert score_test(run, None, "cpu").leaks == 1


def test_more_folds_than_photos_are_refused(here: Path) -> None:
    run = trained(FROZEN)
    with pytest.raises(DataError, match=r"--folds 37 needs at least 37 .* Use --folds 10"):
        score_folds(run, None, "train", 37, device="cpu")
    with pytest.raises(WrongUsage, match="--folds 1 is too few"):
        score_folds(run, None, "train", 1, device="cpu")


def test_another_dataset_or_no_test_part_is_refused(here: Path, tmp_path: Path) -> None:
    run = trained(FROZEN)
    write_dataset(tmp_path / "other", classes=2)
    with pytest.raises(RunError, match=r"'other' has 2 classes, and the run .* knows 3"):
        score_test(run, Path("other"), "cpu")
    shutil.rmtree(here / "dataset/test")
    with pytest.raises(DataError, match=r"'dataset' has no test part.*--folds 10"):
        score_test(run, None, "cpu")


@pytest.mark.parametrize("name", ["model.json", "model.safetensors", "config.json"])
def test_a_damaged_run_is_a_sentence(here: Path, name: str) -> None:
    run = trained(FROZEN)
    (run.folder / name).write_bytes(b"{")
    with pytest.raises(RunError, match=f"{name}' cannot be read"):
        score_test(run, None, "cpu")


def test_a_run_of_another_version_is_a_sentence(here: Path) -> None:
    run = trained(FROZEN)
    write_json(run.folder / "model.json", {"format": 7}, hashed=True)
    with pytest.raises(RunError, match=r"has run format 7; this imgcli .* reads format 1"):
        score_test(run, None, "cpu")
