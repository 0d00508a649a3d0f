"""Narrow terminals lose no word, and NO_COLOR, TERM=dumb and pipes get no escape codes."""

import re
from pathlib import Path

import numpy as np
import pytest
from rich.markdown import Markdown

from imgcli.cli.command_group import COMMANDS
from imgcli.cli.console import show
from imgcli.cli.guide import GUIDES
from imgcli.evaluation.evaluate import evaluate
from imgcli.progress import counter, note
from imgcli.report.terminal.archs import description
from imgcli.report.terminal.comparison import compared
from imgcli.report.terminal.evaluation import figures, per_class
from imgcli.report.terminal.narrow import READABLE
from imgcli.report.terminal.pages import page
from imgcli.report.terminal.predictions import predicted
from tests.support.photos import write_classes
from tests.support.predictions import sure
from tests.support.runs import evaluated_run, judged, write_twins
from tests.support.shell import Shell

LONG = "a_class_with_a_long_name_of_many_words"
RULES = re.compile(r"[\s─━│┃┏┓┗┛┳┻╇┡┩├┤┼┴└┘]+")
WIDTHS = (40, 60, 80)
TYPED = (
    *("runs", "show", "cache", "archs", "archs resnet 18"),
    *("suggest-merges", "check raw", "split raw --force"),
)
SLOW = {"check raw", "split raw --force"}  # in one width


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos and runs."""
    folder = tmp_path_factory.mktemp("terminals")
    write_classes(folder / "raw")
    (folder / "raw/red").rename(folder / "raw" / LONG)
    (folder / "raw/red").mkdir()
    (folder / "raw" / LONG / "00.png").rename(folder / "raw/red/00.png")
    for wrong in (6, 9):
        evaluated_run(folder / "runs", judged(wrong, k=3), judged(wrong))
    write_twins(folder)
    return folder


def words_of(text: str) -> list[str]:
    """The words of what is printed, without lines of tables."""
    return [word for word in RULES.split(text) if word]


def typed(shell: Shell, command: str) -> str:
    code, out, error = shell(*command.split())
    assert code == 0, error
    return out


@pytest.mark.parametrize("command", TYPED)
def test_no_command_loses_a_word_in_a_narrow_terminal(
    worked: Path, command: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(worked)
    widths = WIDTHS[:1] if command in SLOW else WIDTHS
    printed = {}
    for width in (200, *widths):
        monkeypatch.setenv("COLUMNS", str(width))
        printed[width] = typed(shell, command)
    for width in widths:
        check(printed[width], printed[200], width)


def test_a_comparison_loses_no_word(
    worked: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(worked)
    names = sorted(path.name for path in Path("runs").glob("2*"))[:2]
    document = shell.json("compare", *names)
    printed = {}
    for width in (200, *WIDTHS):
        monkeypatch.setenv("COLUMNS", str(width))
        show(*compared(document))
        printed[width] = shell.capsys.readouterr().out
    for width in WIDTHS:
        check(printed[width], printed[200], width)


def check(narrow: str, wide: str, width: int) -> None:
    """Every word is there, none is cut, and no line of a table or list is too long."""
    joined = "".join(words_of(narrow))
    names = (word for word in words_of(wide) if len(word) <= READABLE)  # longer ones fold
    lost = [word for word in names if word not in joined]
    assert not lost, (width, lost, narrow)
    assert narrow.count("…") <= wide.count("…")
    for line in narrow.splitlines():  # a path or a command to copy is one line
        to_copy = re.match(r"(Figure|Figures|Written|Report|Next|Undo|Again|To add it)?:? ", line)
        assert len(line) <= width or to_copy or " imgcli " in line, line


@pytest.mark.parametrize("width", WIDTHS)
def test_an_evaluation_and_predictions_lose_no_word(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evaluate(judged(9, k=3))
    paths = [f"photos/of/the/holiday/{i:03}.jpg" for i in range(3)]
    printed = []
    for columns in (width, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        probs = sure([0, 1, 2], 3)
        names = ["cat", LONG, "owl"]
        said = predicted(paths, names, probs, names, np.ones(3, bool))
        show(figures(found), per_class(found), *said)
        printed.append(capsys.readouterr().out)
    check(*printed, width)
    assert ("recall in %: " in printed[0]) == (width < 80)


def test_cells_that_break_their_own_lines_are_records_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = "conv 3×3, padding 1, no bias, 2 groups, dilation 2, in 8 branches"
    layer = {"name": "stage.1.block.2.conv", "kind": kind, "output": [8, 64, 64], "params": 224}
    params = {"trainable": 224, "non_trainable": 0, "total": 224}
    document = {"arch": "net", "notation": "net", "classes": 2, "input": [3, 64, 64]}
    document |= {"layers": [{**layer, "macs": 88_473_600}], "params": params, "macs": 88_473_600}
    printed = []
    for columns in (40, 200):
        monkeypatch.setenv("COLUMNS", str(columns))
        show(*description(document))
        printed.append(capsys.readouterr().out)
    check(*printed, 40)
    assert "layer: stage.1.block.2.conv\n" in printed[0]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_guide_loses_no_word(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (GUIDES / "training.md").read_text("utf-8")
    monkeypatch.setenv("COLUMNS", str(width))
    show(page(text))
    narrow = capsys.readouterr().out
    assert narrow.count("…") == text.count("…")
    show(Markdown(text))
    assert width == 80 or capsys.readouterr().out.count("…") > text.count("…")  # what is mended


@pytest.mark.parametrize("plain", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_plain_terminals_get_no_escape_codes(
    plain: dict[str, str], worked: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(worked)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[" in shell("runs").out
    for name, value in plain.items():
        monkeypatch.setenv(name, value)
    for command in ("runs", "show", "suggest-merges", "archs"):
        assert "\x1b" not in typed(shell, command)
    for words in (("show", "nothing"), ("runs", "--sort", "colour")):
        code, out, error = shell(*words)
        assert code and "\x1b" not in out + error
    note("A note.")
    assert shell.capsys.readouterr().err == "A note.\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_plain_text_where_there_is_no_room_or_no_colour(
    command: str, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "40")
    narrow = shell(command, "--help").out
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    plain = shell(command, "--help").out
    for text in (narrow, plain):
        assert "\x1b" not in text and "│" not in text and "…]" not in text
        assert f"imgcli {command}" in " ".join(text.split())
    whole = "".join(narrow.split())
    assert [option for option in re.findall(r"--[a-z-]+", plain) if option not in whole] == []


def test_a_bar_has_room_in_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    bar = counter("Extracting features", 12_000, "photos")
    bar.update(7)
    assert str(bar) == "Extracting features: 7/12000"
    monkeypatch.setenv("NO_COLOR", "1")
    assert counter("Below another", 3, "photos").disable  # it would move the cursor
    bar.close()
    with counter("Alone", 3, "photos") as alone:
        assert not alone.disable
    assert "\x1b" not in capsys.readouterr().err
