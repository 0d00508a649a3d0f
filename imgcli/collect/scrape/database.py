"""SQLite databases that survive a kill at any moment, and are shared by processes."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from imgcli.errors import StorageError

BUSY_TIMEOUT = 30.0  # seconds to wait for another process's transaction


@contextmanager
def open_database(
    path: Path, tables: str, *, many_threads: bool = False
) -> Iterator[sqlite3.Connection]:
    """Open a database, made with its `tables` if there is none; what is committed is kept.

    Args:
        tables: CREATE ... IF NOT EXISTS statements.
        many_threads: whether threads share it; they have to take turns.
    """
    with closing(
        sqlite3.connect(
            path, BUSY_TIMEOUT, isolation_level=None, check_same_thread=not many_threads
        )
    ) as database:
        database.execute("PRAGMA journal_mode = WAL")
        # A power cut may take the last changes with it, never the whole.
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(tables)
        yield database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Commit all of it or nothing, with no other process's change in between."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


@contextmanager
def in_sentences(path: Path, remembers: str, without: str) -> Iterator[None]:
    """Turn errors of the database at `path` into sentences.

    Args:
        remembers: what it stores, such as "what was fetched".
        without: the consequence of moving it away.

    Raises:
        StorageError: it is damaged, or cannot be written.
    """
    try:
        yield
    except sqlite3.OperationalError as error:  # a full disk, no permission
        raise StorageError(
            f"'{path}' cannot be written ({error}). See to the free space and the permissions "
            "there, and run the command again."
        ) from None
    except sqlite3.DatabaseError as error:
        raise StorageError(
            f"'{path}', which remembers {remembers}, cannot be used ({error}). If the disk is "
            f"well, move it away: {without}."
        ) from None
