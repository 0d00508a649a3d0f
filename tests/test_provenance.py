from pathlib import Path

from imgcli import provenance
from imgcli.batch import append_lines, begin_lines

LINES = [{"path": f"a/{n}.png", "sha256": "0" * 64, "size": n, "label": "é\udcff"} for n in (1, 2)]


def test_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / provenance.NAME
    begin_lines(path)
    assert list(provenance.read(tmp_path)) == []
    append_lines(path, LINES[:1])
    append_lines(path, LINES[1:])
    assert list(provenance.read(tmp_path)) == LINES


def test_lines_that_say_nothing_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / provenance.NAME
    path.write_bytes(
        b'\0\0\n{"path": 1\n[]\n{"path": "a/1.png"}\n\xff\n{"path": [], "sha256": "", "size": 1}\n'
    )
    append_lines(path, LINES)
    assert list(provenance.read(tmp_path)) == LINES
