from pathlib import Path

import pytest

from imgcli.collect.imports.conflicts import OnConflict
from imgcli.collect.imports.run import import_photos
from imgcli.collect.imports.selection import Selection
from imgcli.errors import DataError
from tests.support.photos import photo
from tests.support.trees import make_tar, make_tree, tree

FILES = {
    "a/1.png": photo(1),
    "a/2.png": photo(2),
    "b/1.png": photo(1),  # of a, too
    "b/3.png": photo(3),
    "b/again.png": photo(3),  # a duplicate within its class is no conflict
    "c/x.png": b"<html>",
}


def placed(source: Path, out: Path, rule: OnConflict) -> tuple[set[str], list[str]]:
    result = import_photos([source], out, on_conflict=rule)
    return set(tree(out)), [r.reason for r in result.rejected if "html" not in r.reason.lower()]


@pytest.mark.parametrize("archived", [False, True])
def test_a_conflict_is_settled_by_the_rule_and_only_by_it(tmp_path: Path, archived: bool) -> None:
    source = make_tar(tmp_path / "x.tar", FILES) if archived else make_tree(tmp_path / "x", FILES)
    all_four = {"a/1.png", "a/2.png", "b/1.png", "b/3.png"}
    too = "the same photo is of class {} too, and of '{}' here"
    for _ in range(2):  # a second import changes nothing
        assert placed(source, tmp_path / "keep", "keep") == (all_four, [])
        first = (all_four - {"b/1.png"}, [too.format("a", "b")])
        assert placed(source, tmp_path / "first", "first") == first
        skip = (all_four - {"a/1.png", "b/1.png"}, [too.format("b", "a"), too.format("a", "b")])
        assert placed(source, tmp_path / "skip", "skip") == skip
    with pytest.raises(DataError, match=r"1 photo is of two classes.*a/1.png' \(a\) = '.*b/1.png'"):
        placed(source, tmp_path / "error", "error")
    assert not (tmp_path / "error").exists()


def test_photos_that_came_before_count_and_stay(tmp_path: Path) -> None:
    before = make_tree(tmp_path / "before", {"b/old.png": photo(1)})
    source = make_tree(tmp_path / "src", {"a/1.png": photo(1), "a/2.png": photo(2)})
    for rule in ("first", "skip"):
        out = tmp_path / rule
        import_photos([before], out)
        assert placed(source, out, rule)[0] == {"b/old.png", "a/2.png"}
    out = tmp_path / "error"
    import_photos([before], out)
    with pytest.raises(DataError, match=r"'.*/error/b' \(b\) = '.*src/a/1.png' \(a\)"):
        placed(source, out, "error")
    assert set(tree(out)) == {"b/old.png"}


def test_classes_renamed_into_one_are_no_conflict(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {"a/1.png": photo(1), "b/1.png": photo(1)})
    selection = Selection({"b": "a"})
    result = import_photos([source], tmp_path / "o", selection=selection, on_conflict="error")
    assert (result.added, result.skipped, result.conflicts) == (1, 1, ())
