"""A relabel plan, as it is written, edited, and carried out or refused."""

import csv
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest

from imgcli.errors import DataError, StorageError
from imgcli.photos.quarantine import quarantine, restore
from imgcli.photos.relabel import PLAN, origins, planned, write_plan
from tests.support.kills import stopped_at
from tests.support.plans import accept_all
from tests.support.trees import FileStates, file_states

NAMES = (
    "cat/a b.jpg",
    "cat/c,d.jpg",
    'cat/sub/e"f.jpg',
    "cat/\n.jpg",
    "cat/\udcff.jpg",
    "cat/a.jpg",
)


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in (*NAMES, "dog/a.jpg", "dog/b.jpg", "owl, barn/o.jpg"):
        file = Path("raw") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(name.encode("utf-8", "surrogateescape"))
    return Path("raw")


def issue(label: str = "cat", suggestion: str = "owl, barn") -> dict[str, Any]:
    words = {"score": 0.98, "reason": 'It is "surely", they say, an owl.'}
    return {"label": label, "suggestion": suggestion, **words}


def plan_of(raw: Path, *names: str, file: Path | None = None) -> Path:
    folder, found = origins(raw, names)
    plan = write_plan(file, folder, found, [issue(name.split("/")[0]) for name in names])
    return accept_all(plan)


def edit(plan: Path, path: str, new_label: str) -> None:
    """Write another new label into a photo's row."""
    with open(plan, encoding="utf-8", errors="surrogateescape", newline="") as file:
        rows = list(csv.DictReader(file))
    next(row for row in rows if row["path"] == path)["new_label"] = new_label
    with open(plan, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def carry_out(plan: Path) -> Path:
    root, moves = planned(plan, None, Path("nowhere"))
    assert quarantine(root, moves).left == ()
    return root


def test_rows_that_are_not_accepted_leave_their_photos(raw: Path) -> None:
    folder, found = origins(raw, ["cat/a.jpg", "dog/b.jpg"])
    plan = write_plan(None, folder, found, [issue("cat"), issue("dog")])
    assert planned(plan, None, raw)[1] == []
    text = plan.read_text().splitlines(keepends=True)
    plan.write_text("".join([*text[:2], "X " + text[2]]))
    assert [move.path for move in planned(plan, None, raw)[1]] == ["dog/b.jpg"]


def test_an_accepted_plan_does_what_it_suggests_and_is_undone(raw: Path) -> None:
    before = file_states(raw)
    assert carry_out(plan_of(raw, *NAMES)) == raw
    moved = {f"owl, barn/{name.split('/')[-1]}": before[name] for name in NAMES}
    assert file_states(raw) == {k: v for k, v in before.items() if k not in NAMES} | moved
    assert set(restore(raw).done) == {f"raw/{name}" for name in NAMES}
    assert file_states(raw) == before
    assert not Path("quarantine").exists()


def test_rows_that_are_deleted_emptied_or_set_back_leave_their_photos(raw: Path) -> None:
    plan = plan_of(raw, "cat/a.jpg", "cat/a b.jpg", "dog/b.jpg")
    edit(plan, "cat/a.jpg", " ")
    edit(plan, "cat/a b.jpg", "cat ")
    _, moves = planned(plan, None, raw)
    assert [(move.path, move.to) for move in moves] == [("dog/b.jpg", "owl, barn/b.jpg")]
    plan.write_text(plan.read_text().splitlines()[0] + "\n\n")
    assert planned(plan, None, raw) == (raw, [])


def test_a_name_that_is_taken_gets_another_which_is_undone(raw: Path) -> None:
    before = file_states(raw)
    plan = plan_of(raw, "cat/a.jpg", "dog/a.jpg")
    edit(plan, "cat/a.jpg", "dog")
    edit(plan, "dog/a.jpg", "cat")
    carry_out(plan)
    after = file_states(raw)
    assert {n for n in after if n.startswith("dog/a")} == {"dog/a-60de2906.jpg"}
    assert after["dog/a-60de2906.jpg"] == before["cat/a.jpg"]
    restore(raw)
    assert file_states(raw) == before


def test_two_photos_of_one_name_both_find_a_place(raw: Path) -> None:
    plan = plan_of(raw, "cat/a.jpg", "dog/a.jpg")
    _, moves = planned(plan, None, raw)
    assert [move.to for move in moves] == ["owl, barn/a.jpg", "owl, barn/a-ef55ae6f.jpg"]


def test_what_a_spreadsheet_or_a_hand_makes_of_it_is_read(raw: Path) -> None:
    PLAN.write_bytes("\ufeffpath;label;new_label\r\ncat/a.jpg;cat;dog\r\n".encode())
    root, moves = planned(PLAN, None, raw)
    assert root == raw and [move.path for move in moves] == ["cat/a.jpg"]


NASTY = ("=1+1", "@x", "'tis", "-d", "＝e", "a\n=b", "\x1b[31m", "\udcfe", "a;=b", "\\n", " =q")


@pytest.mark.parametrize("quoted", [True, False])
def test_names_that_a_spreadsheet_would_run_are_harmless_and_survive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quoted: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    for label in NASTY:
        (Path("raw") / label).mkdir(parents=True)
        (Path("raw") / label / f"{label}.jpg").write_bytes(os.fsencode(label))
    wanted = dict(zip(NASTY, NASTY[1:] + NASTY[:1], strict=True))
    folder, found = origins(Path("raw"), [f"{label}/{label}.jpg" for label in NASTY])
    plan = accept_all(write_plan(None, folder, found, [issue(a, b) for a, b in wanted.items()]))
    if quoted:
        for row in csv.reader(io.StringIO(plan.read_text("utf-8"), newline="")):
            assert all(cell.isprintable() and cell[:1] not in tuple("=+-@＝") for cell in row)
    else:  # as it was written before there were apostrophes
        rows = [("path", "label", "new_label")]
        rows += [(f"{a}/{a}.jpg", a, b) for a, b in wanted.items()]
        with open(plan, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
    root, moves = planned(plan, None, Path("raw"))
    assert {m.path: m.to for m in moves} == {
        f"{a}/{a}.jpg": f"{b}/{a}.jpg" for a, b in wanted.items()
    }
    assert quarantine(root, moves).left == ()


HEAD = "path,label,new_label\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\ncat/a.jpg,cat\n", "has no column 'new_label'"),
        ("", "has no column 'path'"),
        (HEAD + "cat/a.jpg,cat,dgo\n", r"Line 2 of .* label 'dgo', .* no class\. Did you mean 'd"),
        (HEAD + "cat/a.jpg,cat,x\n", r"no class\. There are 'cat', 'dog' and 'owl, barn'"),
        (HEAD + "cat/a.jpg,cat,dog\n" * 2, r"Line 3 of .* names 'cat/a\.jpg' a second time"),
        (HEAD + "cat/z.jpg,cat,dog\n", r"about 'cat/z\.jpg', which is no photo in 'raw'"),
        (HEAD + "../x.jpg,cat,dog\n", r"about '\.\./x\.jpg', which is no photo in 'raw'"),
        (HEAD + "cat/a.jpg,dog,cat\n", "labels 'cat/a.jpg' as dog, but it is in cat"),
        (
            "sha256," + HEAD + f"{'0' * 64},cat/a.jpg,cat,dog\n",
            "about another photo than 'raw/cat/a.jpg' is now",
        ),
        ("folder," + HEAD + "a,1,2,3\nb,2,2,3\n", "is about 'a' and 'b'. Keep the rows of one"),
        ("folder," + HEAD + "gone,1,2,3\n", "No folder 'gone'"),
        ("x" * 140_000, "cannot be read|has no column"),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused_whole(raw: Path, text: str, said: str) -> None:
    before = file_states(raw)
    PLAN.write_text(text)
    with pytest.raises(DataError, match=said):
        planned(PLAN, None, raw)
    assert file_states(raw) == before


def test_a_plan_that_is_not_there_says_how_to_write_one(raw: Path) -> None:
    with pytest.raises(DataError, match="Write one with `imgcli check --labels`"):
        planned(PLAN, None, raw)


def test_a_plan_that_may_have_been_edited_is_never_overwritten(raw: Path) -> None:
    folder, found = origins(raw, ["cat/a.jpg"])
    assert {write_plan(None, folder, found, [issue()]) for _ in range(2)} == {PLAN}
    edit(PLAN, "cat/a.jpg", "dog")
    mine = PLAN.read_bytes()
    assert plan_of(raw, "cat/a.jpg") == Path("relabel-2.csv")
    with pytest.raises(StorageError, match=r"'relabel\.csv' exists and holds something else"):
        plan_of(raw, "cat/a.jpg", file=PLAN)
    assert PLAN.read_bytes() == mine


def test_a_dataset_made_elsewhere_is_relabelled_in_its_parts(raw: Path) -> None:
    data = Path("data")
    for part in ("train", "test"):
        for name in ("cat/1.jpg", "dog/1.jpg"):
            (data / part / name).parent.mkdir(parents=True)
            (data / part / name).write_bytes(f"{part}{name}".encode())
    folder, found = origins(data, ["test/cat/1.jpg"])
    plan = accept_all(write_plan(None, folder, found, [issue("cat", "dog")]))
    _, (move,) = planned(plan, None, raw)
    assert move.to is not None and move.to.startswith("test/dog/1-")


def test_photos_of_another_dataset_have_no_origin(raw: Path) -> None:
    with pytest.raises(DataError, match=r"'cat/z\.jpg' is not in 'raw' any more"):
        origins(raw, ["cat/z.jpg"])


# --- undoing ------------------------------------------------------------------------------------


def test_killed_anywhere_a_relabelling_is_undone(
    raw: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (raw / "provenance.jsonl").write_text(line("cat/a.jpg", "cat", "x") + "torn")
    root, moves = planned(plan_of(raw, *NAMES), None, raw)
    (raw / "provenance.jsonl").write_text(line("cat/a.jpg", "cat", str(moves[-1].sha256)))
    before = files(raw)
    call = 0
    while stopped_at(call := call + 1, lambda: quarantine(root, moves), monkeypatch):
        restore(raw)
        assert files(raw) == before, call
        assert not Path("quarantine").exists(), call
    call, killed = 0, True
    while killed:
        killed = stopped_at(call := call + 1, lambda: restore(raw), monkeypatch)
        if Path("quarantine").exists():
            restore(raw)
        assert files(raw) == before, call
        assert not Path("quarantine").exists(), call
        quarantine(root, moves)


def test_what_has_changed_since_stays_and_is_told(raw: Path) -> None:
    carry_out(plan_of(raw, "cat/a.jpg", "cat/a b.jpg", "cat/c,d.jpg"))
    (raw / "owl, barn/a.jpg").write_bytes(b"painted over")
    (raw / "owl, barn/a b.jpg").unlink()
    (raw / "cat/c,d.jpg").write_bytes(b"another")
    back = restore(raw)
    assert back.done == ()
    assert {item.path: item.reason for item in back.left} == {
        "raw/cat/a.jpg": "what was moved to 'owl, barn/a.jpg' is not there, or has changed",
        "raw/cat/a b.jpg": "what was moved to 'owl, barn/a b.jpg' is not there, or has changed",
        "raw/cat/c,d.jpg": "something else lies at its place",
    }
    assert (raw / "owl, barn/a.jpg").read_bytes() == b"painted over"
    assert (raw / "cat/c,d.jpg").read_bytes() == b"another"


def test_relabelled_twice_both_are_undone_the_last_first(raw: Path) -> None:
    before = file_states(raw)
    carry_out(plan_of(raw, "cat/a.jpg"))
    PLAN.write_text('path,label,new_label\n"owl, barn/a.jpg","owl, barn",dog\n')
    root, moves = planned(PLAN, None, raw)
    quarantine(root, moves)
    assert len(restore(raw).done) == 2
    assert file_states(raw) == before


# --- provenance ---------------------------------------------------------------------------------


def line(path: str, label: str, sha256: str, **more: str) -> str:
    known = {"path": path, "label": label, "sha256": sha256, "size": 9, "creator": "Ann"}
    return json.dumps({**known, **more}) + "\n"


def files(root: Path) -> FileStates:
    """The tree but for the times of `provenance.jsonl`."""
    found = file_states(root)
    return found | {n: (b, 0, 0) for n, (b, _, _) in found.items() if n == "provenance.jsonl"}


def test_a_photo_takes_what_is_known_of_it_along_and_back(raw: Path) -> None:
    plan = plan_of(raw, "cat/a.jpg", "cat/a b.jpg")
    _, (first, second) = planned(plan, None, raw)
    old = line("cat/a.jpg", "cat", "of older bytes") + line("cat/a.jpg", "cat", str(first.sha256))
    old += "[]\nno line\n" + line("cat/a b.jpg", "cat", "of older bytes")
    provenance = raw / "provenance.jsonl"
    provenance.write_text(old + '{"torn')
    carry_out(plan)
    new = line("owl, barn/a.jpg", "owl, barn", str(first.sha256), moved_from="cat/a.jpg")
    assert provenance.read_text() == old + new
    assert second.to == "owl, barn/a b.jpg"
    restore(raw)
    assert provenance.read_text() == old


@pytest.mark.parametrize("damage", [("cat/a.jpg", "xat/a.jpg"), ('"sha256": "', '"sha256": "~')])
def test_what_is_known_of_a_photo_follows_it_by_a_damaged_line(
    raw: Path, damage: tuple[str, str]
) -> None:
    plan = plan_of(raw, "cat/a.jpg")
    _, (move,) = planned(plan, None, raw)
    old = line("cat/a.jpg", "cat", str(move.sha256))
    torn = old.replace(*damage).replace("~" + str(move.sha256)[0], "~")
    (raw / "provenance.jsonl").write_text(torn)
    carry_out(plan)
    new = line("owl, barn/a.jpg", "owl, barn", str(move.sha256), moved_from="cat/a.jpg")
    assert (raw / "provenance.jsonl").read_text() == torn + new
    restore(raw)
    assert (raw / "provenance.jsonl").read_text() == torn
