"""The JSON document of a command as it is typed, to compare with that of the API."""

import json
import sys
from typing import Any

import pytest

from imgcli.cli.main import main


def typed_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str
) -> dict[str, Any]:
    """What `imgcli WORDS --json` prints."""
    monkeypatch.setattr(sys, "argv", ["imgcli", *words, "--json"])
    capsys.readouterr()
    try:
        main()
    except SystemExit as end:
        assert not end.code, capsys.readouterr().err
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def as_printed(document: dict[str, Any]) -> dict[str, Any]:
    """A document of the API as `--json` prints it: tuples as lists."""
    printed: dict[str, Any] = json.loads(json.dumps(document))
    return printed
