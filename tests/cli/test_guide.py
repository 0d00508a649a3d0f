"""`imgcli guide`: the topics, a guide in a terminal and through a pipe, and a slip."""

import subprocess
import sys

import pytest

from imgcli.cli.guide import GUIDES, TOPICS
from tests.cli.shell import imgcli


def test_without_a_topic_the_topics_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imgcli(monkeypatch, "guide") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(TOPICS)]] == list(TOPICS)
    assert all(line.endswith(".") and len(line) <= 80 for line in lines[: len(TOPICS)])


def test_through_a_pipe_a_guide_is_plain_markdown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imgcli(monkeypatch, "guide", "training") == 0
    assert capsys.readouterr().out == (GUIDES / "training.md").read_text("utf-8")


def test_in_a_terminal_a_guide_is_formatted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    assert imgcli(monkeypatch, "guide", "training") == 0
    shown = capsys.readouterr().out
    assert "Training a network" in shown and "imgcli train --arch resnet101 --freeze" in shown
    assert "# Training" not in shown and "|---|" not in shown


@pytest.mark.parametrize(
    ("topic", "sentence"),
    [
        ("train", "There is no guide 'train'; did you mean training"),
        ("splitting/../../cli", "There is no guide 'splitting/../../cli'; "),
        ("xyz", "There is no guide 'xyz'; choose from collecting, checking, splitting, "),
    ],
)
def test_an_unknown_topic_is_a_sentence_with_the_nearest(
    topic: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert imgcli(monkeypatch, "guide", topic) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err and captured.out == ""


def test_a_guide_needs_neither_torch_nor_numpy() -> None:
    code = (
        "import sys; sys.argv = ['imgcli', 'guide', 'training']\n"
        "sys.stdout.isatty = lambda: True\n"
        "from imgcli.cli.main import main\n"
        "try:\n    main()\n"
        "except SystemExit:\n    pass\n"
        "heavy = {'torch', 'numpy', 'timm', 'matplotlib', 'PIL'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "linear probe" in result.stdout


def test_topics_are_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {
        "COMP_WORDS": "imgcli guide sp",
        "COMP_CWORD": "2",
        "_IMGCLI_COMPLETE": "complete_bash",
    }
    code = "import sys; sys.argv = ['imgcli']; from imgcli.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert "splitting" in done.stdout.split()
