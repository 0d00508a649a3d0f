from pathlib import Path
from typing import Any

import pytest

from imgcli import tables as module
from imgcli.errors import DataError
from imgcli.records import Rejected
from imgcli.tables import table_rows

TABLE = "path,label\nü 1.jpg,café\n2.jpg,tea\n"
CELLS = [{"path": "ü 1.jpg", "label": "café"}, {"path": "2.jpg", "label": "tea"}]


def rows(path: Path, data: bytes) -> list[tuple[int, Any]]:
    path.write_bytes(data)
    return list(table_rows(path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_table_is_read_in_any_usual_encoding(
    tmp_path: Path, encoding: str, separator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CHUNK", 1)  # a character's bytes must not fall apart
    data = TABLE.replace(",", separator).encode(encoding)
    assert rows(tmp_path / "t.csv", data) == [(2, CELLS[0]), (3, CELLS[1])]


@pytest.mark.parametrize("name", ["t.jsonl", "t.NDJSON", "t.csv"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_lines_of_json_are_known_by_their_name_or_first_character(
    tmp_path: Path, name: str, encoding: str
) -> None:
    data = '{"path": "ü 1.jpg", "label": "café"}\n\n{"path": "2.jpg", "label": "tea"}'
    assert rows(tmp_path / name, data.encode(encoding)) == [(1, CELLS[0]), (3, CELLS[1])]


def test_what_is_no_object_is_told_with_its_line(tmp_path: Path) -> None:
    found = rows(tmp_path / "t.jsonl", b'[1]\n{\n{"a": 1}\n' + b"[" * 100_000)
    assert [number for number, _ in found] == [1, 2, 3, 4]
    faults = [cells.path for _, cells in found if isinstance(cells, Rejected)]
    assert faults == [f"{tmp_path}/t.jsonl:{number}" for number in (1, 2, 4)]


def test_a_cell_that_never_ends_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.csv' is no table that can be read"):
        rows(tmp_path / "t.csv", b'path,label\n"' + b"x" * 200_000)
