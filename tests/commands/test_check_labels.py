"""`imgcli.check(labels=True)` as it is called."""

from pathlib import Path

from imgcli.commands.check import check
from imgcli.commands.evaluate import evaluate
from tests.support.photos import write_dataset
from tests.support.plans import accept_all
from tests.support.runs import WRONG, run_with_a_wrong_label
from tests.support.shell import Printed
from tests.support.trained_runs import FROZEN, trained


def test_it_returns_what_the_command_prints(here: Path, printed: Printed) -> None:
    run = run_with_a_wrong_label(here)
    result = check(labels=True)
    assert result.labels is not None and result.found is None
    assert [(one.path, one.suggestion) for one in result.labels.issues] == [
        (f"train/{WRONG}", "red")
    ]
    assert result.labels.plan == Path("relabel.csv") and result.labels.too_few is None
    assert result.labels.run.resolve() == run.folder.resolve()
    assert printed("check", "--labels") == result.to_json()
    both = check("raw", labels=True)
    assert both.found is not None and both.labels is not None
    assert printed("check", "raw", "--labels") == both.to_json()
    accept_all(Path("relabel.csv"))
    fixed = check(fix="relabel.csv").fixed
    assert fixed is not None and [(move.path, move.to) for move in fixed.moved] == [
        (WRONG, "red/12.png")
    ]


def test_of_a_frozen_run_it_says_what_correcting_the_labels_does(here: Path) -> None:
    write_dataset(here / "dataset", train=24, test=2)
    moved = here / "dataset/train/blue/red.png"
    sorted((here / "dataset/train/red").iterdir())[0].rename(moved)
    trained(FROZEN)
    evaluate(3)
    labels = check(labels=True).labels
    assert labels is not None and [one.path for one in labels.issues] == ["train/blue/red.png"]
    assert labels.effect is not None
    assert (labels.effect.listed, labels.effect.listed_errors, labels.effect.n) == (1, 1, 71)
    assert labels.effect.sentence() in labels.summary
    assert labels.to_json()["effect"]["n"] == 71
