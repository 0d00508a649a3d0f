"""Commands as they are typed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from imgcli.cli.main import main

Printed = Callable[..., dict[str, Any]]


def imgcli(*words: str) -> int:
    """Run `imgcli WORDS...` in this process; its exit code."""
    with patch.object(sys, "argv", ["imgcli", *words]), pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


class Typed(NamedTuple):
    code: int
    out: str
    err: str


class Shell:
    """Types `imgcli WORDS...` and keeps what it prints."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.capsys = capsys

    def __call__(self, *words: str) -> Typed:
        self.capsys.readouterr()
        code = imgcli(*words)
        return Typed(code, *self.capsys.readouterr())

    def json(self, *words: str) -> dict[str, Any]:
        """The document that `imgcli WORDS... --json` prints."""
        code, out, err = self(*words, "--json")
        assert code == 0, err
        document: dict[str, Any] = json.loads(out)
        return document


def as_printed(document: dict[str, Any]) -> dict[str, Any]:
    """A document of the API as `--json` prints it: tuples as lists."""
    printed: dict[str, Any] = json.loads(json.dumps(document))
    return printed


IMPORTED = """
import sys
terminal = sys.argv.pop(1) == "True"
if terminal:
    sys.stdout.isatty = lambda: True
try:
    from imgcli.cli.main import main
    main()
finally:
    print(*sys.modules)
"""


def modules_of(*words: str, terminal: bool = False) -> set[str]:
    """The modules that a fresh `imgcli WORDS...` has imported when it ends."""
    command = [sys.executable, "-c", IMPORTED, str(terminal), *words]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def completions(line: str) -> list[str]:
    """What a shell offers for the last word of a line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    environment = {**os.environ, **words, "_IMGCLI_COMPLETE": "complete_bash"}
    code = "import sys; sys.argv = ['imgcli']; from imgcli.cli.main import main; main()"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout.split()
