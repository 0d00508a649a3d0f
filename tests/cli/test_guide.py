"""`imgcli guide`: the topics, a guide in a terminal and through a pipe, and a slip."""

import sys

import pytest

from imgcli.cli.guide import GUIDES, TOPICS
from tests.support.shell import completions, imgcli, modules_of


def test_without_a_topic_the_topics_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert imgcli("guide") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[: len(TOPICS)]] == list(TOPICS)
    assert all(line.endswith(".") and len(line) <= 80 for line in lines[: len(TOPICS)])


def test_through_a_pipe_a_guide_is_plain_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert imgcli("guide", "training") == 0
    assert capsys.readouterr().out == (GUIDES / "training.md").read_text("utf-8")


def test_in_a_terminal_a_guide_is_formatted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    assert imgcli("guide", "training") == 0
    shown = capsys.readouterr().out
    assert "Training a network" in shown and "imgcli train --arch resnet101 --freeze" in shown
    assert "linear probe" in shown
    assert "# Training" not in shown and "|---|" not in shown


@pytest.mark.parametrize(
    ("topic", "sentence"),
    [
        ("train", "There is no guide 'train'; did you mean training"),
        ("splitting/../../cli", "There is no guide 'splitting/../../cli'; "),
        ("xyz", "There is no guide 'xyz'; choose from collecting, labelling, checking, "),
    ],
)
def test_an_unknown_topic_is_a_sentence_with_the_nearest(
    topic: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imgcli("guide", topic) == 2
    captured = capsys.readouterr()
    assert sentence in captured.err and captured.out == ""


def test_a_guide_needs_neither_torch_nor_numpy() -> None:
    assert not modules_of("guide", "training", terminal=True) & {
        *("torch", "numpy", "timm", "matplotlib", "PIL")
    }


def test_topics_are_completed() -> None:
    assert "splitting" in completions("imgcli guide sp")
