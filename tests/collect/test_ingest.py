import hashlib
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from imgcli.aside import write_page
from imgcli.collect import ingest as module
from imgcli.collect.imports.labelled_photo import NotTaken
from imgcli.collect.ingest import open_store
from imgcli.errors import StorageError
from imgcli.photos.quarantine import Move, quarantine
from imgcli.provenance import NAME
from tests.support.kills import alone, killed_at
from tests.support.photos import photo
from tests.support.trees import labelled_photo, make_tree, place, provenance_lines, tree

candidate = labelled_photo  # for tests/test_full_disk.py


def test_photos_are_placed_by_class_with_a_line_each(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    assert place(
        out, labelled_photo("cat", "1.png", photo(1)), labelled_photo("dog", "x", photo(2, "JPEG"))
    )
    assert tree(out) == {"cat/1.png": photo(1), "dog/x.jpg": photo(2, "JPEG")}
    first, second = provenance_lines(out)
    assert first.pop("imported_at")
    assert first == {
        "path": "cat/1.png",
        "label": "cat",
        "origin": "here/cat/1.png",
        "source": "import",
        "sha256": hashlib.sha256(photo(1)).hexdigest(),
        "size": len(photo(1)),
        "format": "PNG",
    }
    assert (second["path"], second["format"]) == ("dog/x.jpg", "JPEG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]  # no lock is left


def test_the_same_bytes_are_skipped_in_one_class_and_a_conflict_in_two(tmp_path: Path) -> None:
    with open_store(tmp_path / "raw") as store:
        assert store.place(labelled_photo("a", "1.png", photo(1)))
        assert not store.place(labelled_photo("a", "2.png", photo(1)))
        assert store.place(labelled_photo("b", "3.png", photo(1)))
        assert store.counts() == {"a": 1, "b": 1}
        assert store.conflicts() == [("a/1.png", "b/3.png")]


def test_a_photo_that_was_moved_to_another_class_does_not_come_back(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, labelled_photo("a", "1.png", photo(1)), labelled_photo("b", "2.png", photo(2)))
    (out / "a/1.png").rename(out / "b/1.png")
    with open_store(out) as store:
        assert not store.place(labelled_photo("a", "1.png", photo(1)))
        assert store.conflicts() == []
    (out / "b/1.png").rename(out / "a/1.png")
    with open_store(out) as store:
        assert not store.place(labelled_photo("a", "1.png", photo(1)))
        assert store.place(labelled_photo("b", "1.png", photo(1)))


def test_a_name_in_use_is_left_to_its_photo(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, labelled_photo("a", "1.png", photo(1)))
    place(out, labelled_photo("a", "1.png", photo(2)), labelled_photo("a", "1.PNG", photo(3)))
    tags = {n: hashlib.sha256(photo(n)).hexdigest()[:8] for n in (2, 3)}
    assert tree(out) == {
        "a/1.png": photo(1),
        f"a/1-{tags[2]}.png": photo(2),
        f"a/1-{tags[3]}.PNG": photo(3),  # a disk that ignores case could not hold both
    }


def test_labels_become_safe_folders(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(
        out,
        *(
            labelled_photo(label, "1.png", photo(n))
            for n, label in enumerate(["CON", "-x", "a/b", NAME])
        ),
    )
    folders = sorted(path.name for path in out.iterdir() if path.is_dir())
    assert len(folders) == 4
    assert [name.rsplit("-", 1)[0] for name in folders] == ["_-x", "_CON", "a_b", "provenance"]


def test_what_is_no_photo_is_not_placed(tmp_path: Path) -> None:
    with open_store(tmp_path / "raw") as store:
        with pytest.raises(NotTaken, match="an HTML page"):
            store.place(labelled_photo("a", "1.jpg", b"<html>"))
    assert not (tmp_path / "raw").exists()


def test_photos_put_there_by_hand_are_known_and_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, labelled_photo("a", "1.png", photo(1)))
    make_tree(out, {"a/mine.png": photo(2), "b/mine.png": photo(3), "a/notes.txt": b"mine"})
    added = place(
        out, labelled_photo("a", "2.png", photo(2)), labelled_photo("b", "mine.png", photo(4))
    )
    assert added == [False, True]
    tag = hashlib.sha256(photo(4)).hexdigest()[:8]
    assert set(tree(out)) == {
        *("a/1.png", "a/mine.png", "a/notes.txt", "b/mine.png", f"b/mine-{tag}.png")
    }
    assert [line["path"] for line in provenance_lines(out)][1:] == [
        "a/mine.png",
        f"b/mine-{tag}.png",
    ]


def test_a_photo_that_was_removed_comes_in_again(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, labelled_photo("a", "1.png", photo(1)))
    (out / "a/1.png").unlink()
    assert place(out, labelled_photo("a", "1.png", photo(1))) == [True]
    assert tree(out) == {"a/1.png": photo(1)}


def test_what_a_killed_import_left_is_swept_repaired_and_read_back(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, labelled_photo("a", "1.png", photo(1)), labelled_photo("a", "2.png", photo(2)))
    (out / "a/.imgcli-1-b0.tmp").write_bytes(b"half a pho")
    (out / ".imgcli-1-0.tmp").write_bytes(b"")
    text = (out / NAME).read_bytes()
    (out / NAME).write_bytes(text[:-20])  # the line of 2.png is torn
    assert place(out, labelled_photo("a", "2.png", photo(2))) == [False]
    assert tree(out) == {"a/1.png": photo(1), "a/2.png": photo(2)}
    assert [line["path"] for line in provenance_lines(out)] == ["a/1.png", "a/2.png"]


def test_whole_blocks_are_committed_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BLOCK_PHOTOS", 2)
    with open_store(tmp_path / "raw") as store:
        for n in (1, 2, 3):
            store.place(labelled_photo("a", f"{n}.png", photo(n)))
        assert {"a/1.png", "a/2.png"} < set(tree(tmp_path / "raw"))
        assert len(provenance_lines(tmp_path / "raw")) == 2


def test_an_interruption_keeps_what_was_placed(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    with pytest.raises(KeyboardInterrupt):
        with open_store(out) as store:
            store.place(labelled_photo("a", "1.png", photo(1)))
            raise KeyboardInterrupt
    assert tree(out) == {"a/1.png": photo(1)}
    assert len(provenance_lines(out)) == 1


def test_two_imports_into_one_folder_are_refused(tmp_path: Path) -> None:
    with open_store(tmp_path / "raw"):
        with pytest.raises(StorageError, match="Another imgcli is writing"):
            place(tmp_path / "raw", labelled_photo("a", "1.png", photo(1)))


def test_an_empty_folder_may_be_filled_and_someone_elses_may_not(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    place(tmp_path / "empty", labelled_photo("a", "1.png", photo(1)))
    theirs = make_tree(tmp_path / "theirs", {"a/1.png": photo(9)})
    with pytest.raises(StorageError, match=r"theirs' exists and was not made by.*or move it away"):
        place(theirs, labelled_photo("a", "1.png", photo(1)))
    assert tree(theirs) == {"a/1.png": photo(9)}
    with pytest.raises(StorageError, match="is a file"):
        place(theirs / "a/1.png", labelled_photo("a", "1.png", photo(1)))


def test_force_replaces_whole_and_keeps_what_is_not_ours(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, labelled_photo("old", "1.png", photo(1)))
    with open_store(out, force=True) as store:
        store.place(labelled_photo("new", "1.png", photo(2)))
        assert set(tree(out)) == {"old/1.png"}
    assert tree(out) == {"new/1.png": photo(2)}
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]
    (out / NAME).unlink()  # now it could be anyone's
    with open_store(out, force=True) as store:
        store.place(labelled_photo("newer", "1.png", photo(3)))
    assert tree(out) == {"newer/1.png": photo(3)}
    (aside,) = tmp_path.glob("raw.replaced-*")
    assert tree(aside) == {"new/1.png": photo(2)}


def test_a_failed_replacement_keeps_the_old(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, labelled_photo("old", "1.png", photo(1)))
    with pytest.raises(KeyboardInterrupt):
        with open_store(out, force=True) as store:
            store.place(labelled_photo("new", "1.png", photo(2)))
            raise KeyboardInterrupt
    assert tree(out) == {"old/1.png": photo(1)}


def replaced(out: Path) -> tuple[list[Path], list[str]]:
    """Replace a folder whole: what is beside it afterwards, and the notes."""
    with open_store(out, force=True) as store:
        store.place(labelled_photo("new", "1.png", photo(9)))
    return [path for path in out.parent.iterdir() if path != out], store.notes


def test_what_a_scrape_left_and_nobody_touched_is_replaced(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    with open_store(out) as store:
        store.place(labelled_photo("a", "1.png", photo(1)))
        store.place(labelled_photo("a", "2.png", photo(2)))
        store.commit()
        store.withdraw("a/2.png")
    for name in (".scrape.sqlite", ".scrape.sqlite-wal", "a/.DS_Store"):
        (out / name).write_bytes(b"")
    write_page(out / "credits.html", "<html></html>")
    assert replaced(out) == ([], [])


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: (raw / "a/mine.png").write_bytes(photo(7)),
        lambda raw: (raw / "mine.csv").write_text("path,label"),
        lambda raw: (raw / "a/.notes").write_text("hidden"),
        lambda raw: (raw / "a/1.png").write_bytes(photo(1)[::-1]),
        lambda raw: (raw / "a/1.png").write_bytes(photo(1) + b"more"),
        lambda raw: (raw / "a/1.png").rename(raw / "b/1.png"),
        lambda raw: (raw / "a/link.png").symlink_to("1.png"),
        lambda raw: (raw / "c").symlink_to("a"),
        lambda raw: (raw / "credits.html").write_text("my own page"),
    ],
)
def test_whatever_the_user_added_changed_or_moved_is_kept_aside(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    out = tmp_path / "raw"
    place(out, labelled_photo("a", "1.png", photo(1)), labelled_photo("b", "2.png", photo(2)))
    change(out)
    before = tree(out)
    (aside,), (note,) = replaced(out)
    assert tree(aside) == before and aside.name in note
    assert tree(out) == {"new/1.png": photo(9)}


def test_a_label_that_a_plan_has_corrected_is_kept_aside(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    place(out, labelled_photo("a", "1.png", photo(1)), labelled_photo("b", "2.png", photo(2)))
    digest = hashlib.sha256(photo(1)).hexdigest()
    quarantine(out, [Move("a/1.png", "label", "is b", "b/1.png", digest)])
    asides, _ = replaced(out)
    assert {"b/1.png": photo(1), "b/2.png": photo(2)} in [tree(path) for path in asides]


def test_a_replacement_killed_at_any_step_goes_on_to_the_same_folder(quick_path: Path) -> None:
    alone(kill_replacements, quick_path)


def kill_replacements(folder: str) -> None:
    def replace_all() -> None:
        with open_store(out, force=True) as store:
            store.place(labelled_photo("new", "1.png", photo(9)))

    for step in count(1):
        out = Path(folder) / str(step) / "raw"
        place(out, labelled_photo("a", "1.png", photo(1)))
        if not killed_at(step, replace_all):
            break
        with open_store(out):  # what any other import does
            pass
        assert tree(out) in ({"a/1.png": photo(1)}, {"new/1.png": photo(9)}), step
        replace_all()
        left = [path.name for path in out.parent.iterdir() if path.suffix != ".lock"]
        assert left == ["raw"] and tree(out) == {"new/1.png": photo(9)}, step
    assert step > 10
