"""What reaches the terminal: no name in it is a command or markup."""

import pytest
from rich.table import Table
from rich.text import Text

from imgcli import progress
from imgcli.cli.console import show

NASTY = "a\x1b[31m\u202e\udcff[red]b"
HARMLESS = r"a\x1b[31m\u202e\udcff[red]b"


def test_names_take_no_effect_in_texts_and_tables(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(NASTY, box=None)
    table.add_row(Text(NASTY))
    show(NASTY, Text(f"{NASTY}\nnext"), table)
    out = capsys.readouterr().out
    assert out.split("\n")[:3] == [HARMLESS, HARMLESS, "next"]
    assert out.count("[31m") == 4 and out.replace("\n", "").isprintable()


def test_names_take_no_effect_in_notes(capsys: pytest.CaptureFixture[str]) -> None:
    progress.note(f"'{NASTY}\n' is left out.")
    assert capsys.readouterr().err == f"'{HARMLESS}\\n' is left out.\n"
