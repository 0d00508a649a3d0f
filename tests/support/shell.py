"""Commands as they are typed."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
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


EACH = """
import importlib, json, os, sys
from imgcli.cli.main import main

for name in sys.argv[2:]:
    importlib.import_module(name)
for words in json.loads(sys.argv[1]):
    sys.stdout.flush()
    if os.fork() == 0:
        sys.argv = ["imgcli", *words.split()]
        try:
            main()
        finally:
            sys.stdout.flush()
            print("\\n" + json.dumps([words, *sys.modules]), flush=True)
            os._exit(0)
    assert os.wait()[1] == 0
"""


def modules_of_each(commands: Sequence[str], *imported: str) -> dict[str, set[str]]:
    """The modules that a fresh `imgcli COMMAND` has imported when it ends, of each in turn.

    They are children of one process that has imported what every command does.

    Args:
        imported: more that all of these commands import; once, for it takes long.
    """
    program = [sys.executable, "-c", EACH, json.dumps([*commands]), *imported]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith('["')]
    return {words: set(modules) for words, *modules in map(json.loads, lines)}


OFFLINE = """
import errno, json, os, sys
asked = []

def refuse(event, arguments):
    if event.startswith("socket."):
        asked.append(event)
        raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))

sys.addaudithook(refuse)
exec(sys.argv[1])
codes = []
for words in json.loads(sys.argv[2]):
    sys.argv = ["imgcli", *words]
    try:
        from imgcli.cli.main import main
        main()
    except SystemExit as end:
        codes.append(end.code or 0)
print(json.dumps([codes, asked]))
"""


class Offline(NamedTuple):
    codes: list[int]  # of each command
    sockets: list[str]  # the events of the socket module, in vain all of them
    out: str
    err: str


def offline(*commands: str, first: str = "pass") -> Offline:
    """Type each `imgcli COMMAND` in one fresh process that can make no socket.

    Args:
        first: code that the process runs before.
    """
    words = json.dumps([shlex.split(command) for command in commands])
    program = [sys.executable, "-c", OFFLINE, first, words]
    done = subprocess.run(program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    codes, sockets = json.loads(last)
    return Offline(codes, sockets, "\n".join(lines), done.stderr)


def completions(line: str) -> list[str]:
    """What a shell offers for the last word of a line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    environment = {**os.environ, **words, "_IMGCLI_COMPLETE": "complete_bash"}
    code = "import sys; sys.argv = ['imgcli']; from imgcli.cli.main import main; main()"
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True).stdout.split()
