"""Trainings that are followed: what arrives, and that nothing else changes."""

import csv
from pathlib import Path

import pytest

from imgcli.commands.train import train
from imgcli.config import TrainConfig
from imgcli.errors import Interrupted
from imgcli.runs import Run
from imgcli.tracking import session
from imgcli.tracking.session import NO_TRACKERS, Trackers, known_trackers
from imgcli.training.pipeline import train_run
from tests.support.shell import Shell
from tests.support.trackers import Blocked, Failing, Memory

CONFIG = TrainConfig.of(
    arch="4C3-G", image_size=8, epochs=2, batch_size=16, lr=0.01, augment="none", precision="fp32"
)
PROBE = TrainConfig.of(
    arch="test_resnet", image_size=32, freeze=True, pretrained=False, precision="fp32"
)


def lines_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text("utf-8").splitlines()))


def followed(config: TrainConfig, trackers: Trackers = NO_TRACKERS) -> Run:
    """A run on `dataset` in the current folder."""
    return train_run(config, Path("dataset"), Path("runs"), "cpu", trackers=trackers).run


def test_config_losses_rates_speed_and_figures_arrive(here: Path) -> None:
    memory = Memory()
    trackers = Trackers({"memory": memory})
    run = followed(CONFIG, trackers)
    trackers.close()
    (kept,) = memory.runs
    rows = lines_of(run.folder / "history.csv")
    losses = [float(row["loss"]) for row in rows if row["part"] == "batch"]
    assert list(kept.values("batch/loss").values()) == losses
    assert list(kept.values("batch/loss")) == list(range(1, len(losses) + 1))
    assert list(kept.values("batch/learning_rate").values()) == [
        float(row["lr"]) for row in rows if row["part"] == "batch"
    ]
    steps = len(losses) // 2
    speeds = kept.values("batch/images_per_second")
    assert list(speeds) == [steps, 2 * steps] and all(rate > 0 for rate in speeds.values())
    for part in ("train", "val"):
        found = [float(row["accuracy"]) for row in rows if row["part"] == part]
        assert kept.values(f"{part}/accuracy") == {steps: found[0], 2 * steps: found[1]}
    facts = run.read_json("model.json")
    assert kept.final["final/val/accuracy"] == facts["val"]["accuracy"]
    assert kept.tables["figures"][1][:2] == ["train", facts["train"]["n"]]
    assert kept.about.config["lr"] == 0.01 and kept.about.config["data"] == "dataset"
    assert None not in kept.about.config.values() and kept.status == "finished"
    assert known_trackers(run.folder) == {"memory": {"id": f"{run.folder.name}!"}}


def test_a_linear_probe_has_an_objective_and_what_validation_chose(here: Path) -> None:
    memory = Memory()
    trackers = Trackers({"memory": memory})
    run = followed(PROBE, trackers)
    trackers.close()
    (kept,) = memory.runs
    objectives = kept.values("probe/objective")
    assert list(objectives) == list(range(len(objectives))) and len(objectives) > 2
    assert not kept.values("batch/loss") and not kept.values("batch/learning_rate")
    chosen = run.read_json("model.json")["chosen"]
    assert kept.final["final/weight_decay"] == chosen["weight_decay"]
    assert kept.final["final/temperature"] == chosen["temperature"]


@pytest.mark.parametrize("kind", [Blocked, Failing, None])
def test_the_weights_are_the_same_bit_for_bit_whatever_follows(
    here: Path, kind: type | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(session, "MAX_WAIT", 0.1 if kind else 10)
    alone = followed(CONFIG)
    capsys.readouterr()
    trackers = Trackers({"this": kind or Memory()})
    run = followed(CONFIG, trackers)
    trackers.close()
    for name in ("model.safetensors", "history.csv"):
        assert run.digest(name) == alone.digest(name)
    assert run.config == alone.config
    assert capsys.readouterr().err.count("--track this") == (kind is not None)


def test_a_training_that_is_stopped_is_gone_on_with_in_the_same_place(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgcli.training import training_loop

    real, epochs = training_loop.save_state, []

    def stop(path: Path, state: object) -> None:
        real(path, state)
        if not epochs:
            epochs.append(1)
            raise KeyboardInterrupt

    monkeypatch.setattr(training_loop, "save_state", stop)
    with pytest.raises(Interrupted):
        train(**{**vars_of(CONFIG), "track": "csv"})
    (folder,) = (f for f in Path("runs").iterdir() if f.name[0] == "2")
    with (folder / "csv/metrics.csv").open("a") as file:
        file.write("torn line of a ki")
    train(resume=True, device="cpu")
    lines = lines_of(folder / "csv/metrics.csv")
    losses = [line for line in lines if line["name"] == "batch/loss"]
    assert [int(line["step"]) for line in losses] == list(range(1, len(losses) + 1))
    assert [line["step"] for line in lines if line["name"] == "val/loss"]
    assert "torn" not in (folder / "csv/metrics.csv").read_text()


def vars_of(config: TrainConfig) -> dict[str, object]:
    return {name: config.get(name) for name in config.changed()} | {"device": "cpu"}


def test_track_and_its_variable_are_read_by_the_command(
    here: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "train --arch 4C3-G --image-size 8 --epochs 1 --lr 0.01".split()
    monkeypatch.setenv("IMGCLI_TRACK", "csv,")
    document = shell.json(*words)
    assert (Path(document["run"]) / "csv/metrics.csv").is_file()
    document = shell.json(*words, "--track", "none")
    assert not (Path(document["run"]) / "csv").exists()
    monkeypatch.setenv("IMGCLI_TRACK", "csw")
    code, out, err = shell(*words)
    assert (code, out) == (2, "") and "--track csw is not known" in err
