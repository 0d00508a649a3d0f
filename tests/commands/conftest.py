"""A folder to work in, and the document that the command line prints."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imgcli.progress import be_quiet
from tests.cli.shell import imgcli

Printed = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty folder, which is the current one."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    be_quiet(False)


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Printed:
    """Type `imgcli WORDS... --json`; gives the document. Nothing may have been printed before."""

    def type_it(*words: str) -> dict[str, Any]:
        assert capsys.readouterr().out == ""
        assert imgcli(monkeypatch, *words, "--json") == 0
        document: dict[str, Any] = json.loads(capsys.readouterr().out)
        return document

    return type_it


@pytest.fixture(autouse=True)
def prints_nothing(capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """The functions of the Python API print nothing."""
    yield
    assert capsys.readouterr().out == ""
