"""The state of hosts on disk, shared by all runs: last request, not before, robots.txt.

A SQLite database of the workspace, `.imgcli/hosts.sqlite`. It is not part of an output folder,
because photos for two folders may come from one host, nor of the cache, because a host's wish to be
left alone holds whatever is emptied.

A turn is taken in one transaction, which is committed before the request is sent; so a killed run
leaves a record of each request that it may have sent, and two runs share a host's pace.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import astuple
from pathlib import Path
from threading import Lock
from time import time

from imgcli.collect.scrape.database import in_sentences, open_database, transaction
from imgcli.http.host_state import Pace
from imgcli.runs import CACHE

PATH = CACHE.parent / "hosts.sqlite"
KEEP_SECONDS = 86_400.0  # nothing stored matters for longer

_TABLES = """
CREATE TABLE IF NOT EXISTS hosts (
    origin TEXT PRIMARY KEY,
    asked REAL NOT NULL DEFAULT 0, held_until REAL NOT NULL DEFAULT 0,  -- seconds since 1970
    robots TEXT, robots_until REAL NOT NULL DEFAULT 0
);
"""


class StoredHostState:
    """A `HostState` on disk; any change is committed when its method returns."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self._path = path
        self._database = database
        self._lock = Lock()

    @contextmanager
    def pace(self, origin: str) -> Iterator[Pace]:
        """As `HostState.pace`.

        Raises:
            StorageError: the database is damaged, or cannot be written; so all methods.
        """
        with self._alone():
            rows = self._database.execute(
                "SELECT asked, held_until FROM hosts WHERE origin = ?", (origin,)
            )
            found = rows.fetchone() or (0.0, 0.0)
            pace = Pace(*found)
            yield pace
            if astuple(pace) != found:
                self._database.execute(
                    "INSERT INTO hosts (origin, asked, held_until) VALUES (?, ?, ?) "
                    "ON CONFLICT DO UPDATE SET asked = excluded.asked, "
                    "held_until = excluded.held_until",
                    (origin, *astuple(pace)),
                )

    def robots(self, origin: str) -> tuple[str, float] | None:
        with self._alone():
            found: tuple[str, float] | None = self._database.execute(
                "SELECT robots, robots_until FROM hosts WHERE origin = ? AND robots NOTNULL",
                (origin,),
            ).fetchone()
            return found

    def keep_robots(self, origin: str, text: str, until: float) -> None:
        with self._alone():
            self._database.execute(
                "INSERT INTO hosts (origin, robots, robots_until) VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET robots = excluded.robots, "
                "robots_until = excluded.robots_until",
                (origin, text, until),
            )

    def close(self) -> None:
        """Wait for the transaction under way; later ones fail."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One transaction, alone among all threads and processes."""
        with _in_sentences(self._path), self._lock, transaction(self._database):
            yield


@contextmanager
def open_host_state(path: Path = PATH) -> Iterator[StoredHostState]:
    """Open the workspace's host state; it is made if there is none.

    Raises:
        StorageError: it is damaged, or cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        _in_sentences(path),
        open_database(path, _TABLES, many_threads=True) as database,
    ):
        database.execute(
            "DELETE FROM hosts WHERE max(asked, held_until, robots_until) < ?",
            (time() - KEEP_SECONDS,),
        )
        state = StoredHostState(path, database)
        try:
            yield state
        finally:
            state.close()


def _in_sentences(path: Path) -> AbstractContextManager[None]:
    return in_sentences(path, "when hosts were asked", "their robots.txt is then asked for again")
