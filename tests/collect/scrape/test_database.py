import sqlite3
from pathlib import Path

import pytest

from imgcli.collect.scrape.database import in_sentences, open_database, transaction
from imgcli.errors import StorageError

TABLES = "CREATE TABLE IF NOT EXISTS numbers (n INTEGER PRIMARY KEY);"


def numbers(path: Path) -> list[int]:
    with open_database(path, TABLES) as database:
        return [n for (n,) in database.execute("SELECT n FROM numbers")]


def test_a_transaction_is_kept_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    with open_database(path, TABLES) as database:
        with transaction(database):
            database.execute("INSERT INTO numbers VALUES (1)")
        with pytest.raises(KeyboardInterrupt), transaction(database):
            database.execute("INSERT INTO numbers VALUES (2)")
            raise KeyboardInterrupt
    assert numbers(path) == [1]


def test_what_is_committed_is_seen_by_another_at_once(tmp_path: Path) -> None:
    path = tmp_path / "n.sqlite"
    with open_database(path, TABLES) as database:
        with transaction(database):
            database.execute("INSERT INTO numbers VALUES (1)")
        assert numbers(path) == [1]


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (sqlite3.OperationalError("disk is full"), r"^'a' cannot be written \(disk is full\)\. "),
        (sqlite3.DatabaseError("no"), r"^'a', which remembers it, cannot be used \(no\)\..*: b\.$"),
    ],
)
def test_failures_are_sentences(error: sqlite3.Error, sentence: str) -> None:
    with pytest.raises(StorageError, match=sentence):
        with in_sentences(Path("a"), "it", "b"):
            raise error
