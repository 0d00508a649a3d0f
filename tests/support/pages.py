"""Commands that show a page until Ctrl-C, as they are typed."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import requests

from tests.support.processes import environment
from tests.support.review import Page

ADDRESS = re.compile(r"Open (http://127\.0\.0\.1:(\d+)/\?token=(\S+))")


class Running(NamedTuple):
    """A command that shows a page, and the page."""

    process: "subprocess.Popen[str]"
    page: Page
    notes: list[str]  # before the page was there


@contextmanager
def typed(*words: str) -> Iterator[Running]:
    """Type `imgcli WORDS... --no-browser`, and open what it prints."""
    command = [sys.executable, "-m", "imgcli", *words, "--no-browser"]
    process = subprocess.Popen(
        command,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        with requests.Session() as session:
            assert process.stderr is not None
            notes: list[str] = []
            found = None
            while found is None and (line := process.stderr.readline()):
                notes.append(line)
                found = ADDRESS.search(line)
            assert found is not None, notes
            page = Page(int(found[2]), found[3], session)
            page.get(f"/?token={page.token}")
            yield Running(process, page, notes)
    finally:
        process.kill()
        process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def ended(process: "subprocess.Popen[str]") -> str:
    """Press Ctrl-C; what it printed."""
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "Traceback" not in err, err
    return out
