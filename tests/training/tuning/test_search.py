"""A search: its trials, what survives a stop, and what it never looks at."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from imgcli.config import TrainConfig
from imgcli.errors import Interrupted, ModelError, StorageError, WrongUsage
from imgcli.training.context import TrainingContext, make_context
from imgcli.training.fitting import fit_all
from imgcli.training.pipeline import train_run
from imgcli.training.tuning import search as tune_module
from imgcli.training.tuning.search import Tuned, tune
from imgcli.training.tuning.search_space import default_space, parse_search
from imgcli.training.tuning.study import LOG, ranked
from tests.support.trained_runs import FROZEN

CONFIG = TrainConfig.of(
    arch="4C3S2-8", image_size=8, epochs=2, batch_size=12, augment="none", precision="fp32"
)


def searched(
    *searches: str, config: TrainConfig = CONFIG, folder: str = "study", **more: Any
) -> Tuned:
    space = parse_search(searches or ["lr=1e-4..1e-1"])
    more = {"trials": 4, "device": "cpu", "name": "study", **more}
    return tune(config, space, Path("dataset"), Path(folder), **more)


def told(tuned: Tuned) -> list[tuple[Any, ...]]:
    """What was tried and what came of it, without the times it took."""
    return [(row["state"], row["value"], row["loss"], row["choices"]) for row in tuned.rows]


def test_one_seed_gives_the_same_trials(here: Path) -> None:
    one, same = (searched(folder=name, trials=12) for name in "ab")  # 10 are drawn at random
    other = searched(folder="c", config=CONFIG.with_(seed=1))
    assert told(one) == told(same)
    assert told(one)[:4] != told(other)
    assert len({row["choices"]["lr"] for row in one.rows}) == 12


def test_a_search_in_two_goes_is_one_search(here: Path) -> None:
    whole = searched(folder="whole", trials=12)
    searched(folder="study", trials=5)
    assert told(searched(folder="study", trials=12)) == told(whole)
    assert told(searched(folder="study", trials=3)) == told(whole)  # there are more already


def test_the_best_is_the_most_accurate_and_of_equals_the_one_with_less_loss(here: Path) -> None:
    told_of = [
        ("finished", 0.5, 0.1),
        ("finished", 0.9, 0.3),
        ("pruned", None, None),
        ("finished", 0.9, 0.2),
        ("finished", 0.9, 0.2),
    ]
    names = ("number", "state", "value", "loss")
    rows = [dict(zip(names, (n, *row), strict=True)) for n, row in enumerate(told_of)]
    assert [row["number"] for row in ranked(rows)] == [3, 4, 1, 0]
    tuned = searched("lr=1e-7,0.05")
    assert tuned.config == CONFIG.with_(lr=0.05) and tuned.ranked[0]["choices"] == {"lr": 0.05}


def test_trials_are_scored_by_validation_photos_only(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = TrainingContext.rows

    def sealed(context: TrainingContext, part: str) -> Any:
        assert part != "test"
        return rows(context, part)

    monkeypatch.setattr(TrainingContext, "rows", sealed)
    best = searched().ranked[0]
    assert best["n"] == 3  # a tenth of 36, at least one of each class
    assert not list(here.rglob("test-ledger.jsonl"))
    shutil.move(here / "dataset/test", here / "dataset/val")
    assert searched(folder="other").ranked[0]["n"] == 12


def test_folds_score_every_training_photo(here: Path) -> None:
    tuned = searched(folds=4)
    for row in tuned.ranked:
        assert (row["n"], row["steps"]) == (36, 4)
        assert row["value"] * 36 == pytest.approx(round(row["value"] * 36))
    with pytest.raises(WrongUsage, match="--folds 1 is too few"):
        searched(folds=1)


def test_folds_are_refused_for_weights_trained_on_the_photos(here: Path) -> None:
    run = train_run(CONFIG, Path("dataset"), Path("runs"), "cpu").run
    with pytest.raises(ModelError, match=r"None of 1 trial could be trained\. Folds of 'dataset'"):
        searched(config=CONFIG.with_(weights=str(run.folder)), folds=2, trials=1)


def test_photos_are_decoded_and_features_extracted_once(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []

    def counted(config: TrainConfig, *rest: Any) -> TrainingContext:
        made.append(config)
        return make_context(config, *rest)

    monkeypatch.setattr(tune_module, "make_context", counted)
    searched("lr=0.01,0.1", "optimizer=sgd,adamw", "label-smoothing=0..0.2")
    assert len(made) == 1
    searched("label-smoothing=0,0.1", "weight-decay=1e-3,1e-1", config=FROZEN, folder="frozen")
    assert len(made) == 2
    searched("arch=4C3S2-8,4C3S2-16", folder="archs", trials=6)
    assert 4 <= len(made) <= 8 and {config.optim.precision for config in made} == {"fp32"}


def test_choices_that_exclude_each_other_end_their_trial_and_not_the_search(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tuned = searched("optimizer=sgd,adam", config=CONFIG.with_(momentum=0.5), trials=8)
    states = {row["choices"]["optimizer"]: row["state"] for row in tuned.rows}
    assert states == {"sgd": "finished", "adam": "impossible"}
    assert capsys.readouterr().err.count("--momentum means nothing to --optimizer adam") == 1


def test_a_search_of_which_nothing_can_be_trained_ends_with_the_reason(here: Path) -> None:
    with pytest.raises(ModelError, match=r"None of 3 trials .* '?resnet-18'?"):
        searched("lr=0.1..1", config=CONFIG.with_(arch="resnet-18"), trials=3)
    with pytest.raises(ModelError, match=r"None of 2 trials .*momentum means nothing"):
        searched(
            "optimizer=adam,adamw", config=CONFIG.with_(momentum=0.5), trials=2, folder="other"
        )


def test_a_trial_that_lags_behind_is_pruned(here: Path) -> None:
    config = CONFIG.with_(epochs=8, val_share=0.3)
    tuned = searched("lr=0.04,0.05,0.06,1e-7", config=config, trials=16)
    pruned = [row for row in tuned.rows if row["state"] == "pruned"]
    assert pruned and all(3 <= row["steps"] < 8 for row in pruned)
    assert min(row["number"] for row in pruned) >= 5  # there has to be something to lag behind
    best = tuned.ranked[0]["value"]
    assert all(row["value"] is None and row["last"] <= best for row in pruned)


def test_a_fold_that_lags_behind_the_best_is_pruned(here: Path) -> None:
    tuned = searched("lr=1e-8,0.05", config=CONFIG.with_(epochs=4), trials=6, folds=6)
    pruned = [row for row in tuned.rows if row["state"] == "pruned"]
    assert pruned and {row["choices"]["lr"] for row in pruned} == {1e-8}
    assert all(row["steps"] == 4 for row in pruned)  # the fewest that decide at 10 %


def test_no_trial_begins_after_the_time(here: Path) -> None:
    assert len(searched(trials=1000, minutes=0.002).rows) < 20


# --- stops --------------------------------------------------------------------------------------


def test_ctrl_c_keeps_what_is_finished_and_tries_the_rest_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = searched(folder="whole", trials=4)
    calls = []

    def stopped(*args: Any) -> Any:
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return fit_all(*args)

    monkeypatch.setattr(tune_module, "fit_all", stopped)
    with pytest.raises(Interrupted, match=r"2 trials of 4 kept in 'study'; the same command"):
        searched()
    resumed = searched()
    assert told(resumed) == told(whole)
    assert [row["number"] for row in resumed.rows] == [0, 1, 3, 4]  # 2 was stopped


COMMAND = (
    "tune --arch 4C3S2-8 --image-size 8 --epochs 20 --batch-size 12 --augment none "
    "--precision fp32 --search lr=1e-4..1e-1 --name killed --device cpu --quiet --trials 1000"
)
BEGUN, REPORTED = b'"op_code":4,', b'"op_code":7,'  # in a line of Optuna's log


def test_a_search_that_is_killed_goes_on_as_if_it_had_not_been(here: Path) -> None:
    log = here / "runs/tune-killed" / LOG
    program = subprocess.Popen([sys.executable, "-m", "imgcli", *COMMAND.split()])
    try:
        while not (log.is_file() and _in_its_third_trial(log)):
            assert program.poll() is None
            time.sleep(0.005)
    finally:
        os.kill(program.pid, signal.SIGKILL)
        program.wait()
    killed = log.read_bytes().count(BEGUN) - 1
    with open(log, "ab") as file:
        file.write(b'{"op_code":6,"wor')  # as a machine that fails leaves it
    (log.parent / f"{LOG}.lock").unlink(missing_ok=True)
    (log.parent / f"{LOG}.lock").symlink_to(log)
    more: dict[str, Any] = {"config": CONFIG.with_(epochs=20), "trials": killed + 2}
    resumed = searched(folder="runs/tune-killed", name="killed", **more)
    assert [row["number"] for row in resumed.rows] == [*range(killed), killed + 1, killed + 2]
    assert told(resumed) == told(searched(folder="whole", **more))


def _in_its_third_trial(log: Path) -> bool:
    """Whether the last thing told is how an epoch of the third trial, or a later one, went."""
    told = log.read_bytes()
    return told.count(BEGUN) >= 3 and REPORTED in told.splitlines()[-1]


def test_one_process_writes_a_folder(here: Path) -> None:
    from imgcli.files import locked

    (here / "study").mkdir()
    with locked(here / "study/.lock"), pytest.raises(StorageError, match="Another imgcli"):
        searched()


def test_a_study_goes_on_only_with_what_it_was_begun_with(here: Path) -> None:
    searched(trials=1)
    with pytest.raises(WrongUsage, match="'study' is of something else: not the same search"):
        searched("lr=1e-4..1", trials=1)
    with pytest.raises(WrongUsage, match="not the same epochs, folds"):
        searched(config=CONFIG.with_(epochs=3), folds=3, trials=1)


def test_a_study_goes_on_only_with_the_photos_it_was_begun_with(here: Path) -> None:
    tried = searched(trials=1)
    log = here / "study/trials.log"
    log.write_text(re.sub(',"photos":"[0-9a-f]{64}"', "", log.read_text()))
    assert "photos" not in log.read_text()  # as an earlier version wrote it
    assert told(searched(trials=1)) == told(tried)
    searched(folder="other", trials=1)
    (here / "dataset/train/red/00.png").rename(here / "dataset/train/blue/00b.png")
    with pytest.raises(WrongUsage, match="'study' is of something else: not the same photos"):
        searched(folder="other", trials=1)


def test_many_processes_may_share_a_database(here: Path) -> None:
    url = "sqlite:///shared.db"
    first = searched(url=url, trials=2, folder="one")
    second = searched(url=url, trials=4, folder="two")
    assert told(second)[:2] == told(first) and len(second.rows) == 4
    assert not (here / "one" / LOG).exists()


def test_what_was_stopped_in_a_database_is_tried_again(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float | None] = []

    def stopped(context: TrainingContext, specs: Any) -> Any:
        asked.append(context.config.optim.lr)  # type: ignore[arg-type]
        if len(asked) == 2:
            raise KeyboardInterrupt
        return fit_all(context, specs)

    monkeypatch.setattr(tune_module, "fit_all", stopped)
    with pytest.raises(Interrupted, match=r"1 trial of 3 kept in 'sqlite:///shared\.db'"):
        searched(url="sqlite:///shared.db", trials=3)
    tuned = searched(url="sqlite:///shared.db", trials=3)
    assert [row["choices"]["lr"] for row in tuned.rows] == [asked[0], asked[1], asked[3]]
    assert asked[2] == asked[1]


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("nowhere", WrongUsage, "--storage nowhere is no address of a database"),
        ("sqlite:////no/such/folder/x.db", StorageError, "cannot be used: .*unable to open"),
        (
            "postgresql+pg8000://me:secret@localhost/x",
            StorageError,
            r"me:\*\*\*@.* pg8000\. Install",
        ),
    ],
)
def test_a_database_that_cannot_be_had_is_a_sentence(
    here: Path, url: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        searched(url=url)


# --- what it says -------------------------------------------------------------------------------


def test_importance_is_of_what_was_searched_and_only_where_trials_differ(here: Path) -> None:
    tuned = searched("lr=1e-8..1e-1", "label-smoothing=0..0.1", trials=8)
    assert set(tuned.importance) == {"lr", "label-smoothing"}
    assert sum(tuned.importance.values()) == pytest.approx(1)
    assert searched(folder="few", trials=2).importance == {}


def test_the_default_space_can_be_tried(here: Path) -> None:
    config = CONFIG.with_(arch="{2,4}C3S2-{8..16}", batch_size=None)
    tuned = tune(config, default_space(config), Path("dataset"), Path("study"), name="s", trials=2)
    assert all("{" not in row["choices"]["arch"] for row in tuned.rows)
    assert set(tuned.rows[0]["choices"]) == {"arch", "lr", "batch_size", "weight_decay"}
