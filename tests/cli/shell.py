"""Commands as they are typed."""

import sys

import pytest

from imgcli.cli.main import main


def imgcli(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run the program with these words; its exit code."""
    monkeypatch.setattr(sys, "argv", ["imgcli", *words])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0
