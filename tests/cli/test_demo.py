"""`imgcli demo`, all of it, without network."""

import re
import shlex
from pathlib import Path

import pytest

from imgcli.cli.command_group import load_command
from tests.support.shell import Shell, offline

FEWER = "from imgcli.collect import digits; digits.PER_DIGIT = 30"


def test_the_demo_does_the_main_job_and_finds_the_class_of_two_names(
    here: Path, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = offline("demo", first=FEWER)
    assert (done.codes, done.sockets) == ([0], []), done.err
    steps = re.findall(r"^\$ imgcli (.*)$", done.out, re.MULTILINE)
    assert [step.split()[0] for step in steps] == [
        *("demo", "split", "train", "evaluate", "suggest-merges", "report")
    ]
    assert "\n1  seven + sevens " in done.out and "\n2  " not in done.out
    (accuracy,) = re.findall(r"^Accuracy ([\d.]+) % \(n = 2\d\d; 10 folds", done.out, re.MULTILINE)
    assert float(accuracy) > 80
    run = here / "imgcli-demo/runs/latest"
    assert {"report.html", "merges.json", "figures"} <= {path.name for path in run.iterdir()}
    for step in steps:  # each is the command that it says
        name, *words = shlex.split(step)
        load_command(name).make_context(name, words)
    # What is done is not done again; --force keeps what was there.
    code, _, err = shell("demo")
    assert code == 1 and "'imgcli-demo' exists. Choose another --out" in err
