"""`imgcli.check(labels=True)` as it is called."""

from pathlib import Path

from imgcli.commands.check import check
from tests.support.plans import accept_all
from tests.support.runs import WRONG, run_with_a_wrong_label
from tests.support.shell import Printed


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
