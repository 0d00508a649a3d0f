from pathlib import Path

from imgcli.collect import provenance

LINES = [{"path": f"a/{n}.png", "sha256": "0" * 64, "size": n, "label": "é\udcff"} for n in (1, 2)]


def test_lines_come_back_as_they_were_written(tmp_path: Path) -> None:
    provenance.begin(tmp_path)
    assert list(provenance.read(tmp_path)) == []
    provenance.append(tmp_path, LINES[:1])
    provenance.append(tmp_path, LINES[1:])
    assert list(provenance.read(tmp_path)) == LINES


def test_a_line_torn_at_any_byte_is_dropped_and_the_others_stay(tmp_path: Path) -> None:
    provenance.append(tmp_path, LINES)
    path = tmp_path / provenance.NAME
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for end in range(len(whole) + 1):
        path.write_bytes(whole[:end])
        provenance.repair(tmp_path)
        kept = whole if end == len(whole) else whole[: first * (end >= first)]
        assert path.read_bytes() == kept


def test_a_torn_line_longer_than_one_look_is_dropped(tmp_path: Path) -> None:
    provenance.append(tmp_path, LINES)
    path = tmp_path / provenance.NAME
    whole = path.read_bytes()
    path.write_bytes(whole + b"\0" * 10_000)
    provenance.repair(tmp_path)
    assert path.read_bytes() == whole


def test_lines_that_say_nothing_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / provenance.NAME
    path.write_bytes(b'\0\0\n{"path": 1\n[]\n{"path": "a/1.png"}\n\xff\n')
    provenance.append(tmp_path, LINES)
    assert list(provenance.read(tmp_path)) == LINES
