"""`imgcli.import_photos` as it is called."""

from pathlib import Path

import pytest

from imgcli.commands.import_photos import import_photos
from imgcli.errors import DataError
from tests.support.photos import photo
from tests.support.shell import Printed
from tests.support.trees import TWO_CLASSES, make_tree, make_zip

pytestmark = pytest.mark.usefixtures("here")


def test_it_returns_what_the_command_prints(printed: Printed) -> None:
    make_tree(Path("src"), {**TWO_CLASSES, "a/empty.png": b""})
    first = import_photos("src", out="one")
    assert (first.added, first.skipped, first.classes) == (4, 0, {"a": 2, "b": 2})
    assert [item.path for item in first.rejected] == ["src/a/empty.png"]
    assert printed("import", "src", "--out", "two") == {**first.to_json(), "out": "two"}
    assert first.parts is None and "parts" not in first.to_json()


def test_classes_are_renamed_and_chosen(printed: Printed) -> None:
    sources = [make_zip(Path("1.zip"), TWO_CLASSES), make_tree(Path("2"), {"c/1.png": photo(9)})]
    result = import_photos(sources, rename={"a": "cat"}, only=["cat", "c"])
    assert result.out == Path("raw") and result.classes == {"c": 1, "cat": 2}
    words = ["--rename", "a=cat", "--only", "cat,c", "--out", "x"]
    assert printed("import", "1.zip", "2", *words) == {**result.to_json(), "out": "x"}


def test_a_split_is_kept_and_a_missing_source_refused(printed: Printed) -> None:
    make_tree(Path("src"), {"train/a/1.png": photo(1), "test/a/2.png": photo(2)})
    result = import_photos("src", keep_split=True)
    assert (result.out, result.parts) == (Path("dataset"), {"train": 1, "test": 1})
    words = ["--keep-split", "--out", "x"]
    assert printed("import", "src", *words) == {**result.to_json(), "out": "x"}
    with pytest.raises(DataError):
        import_photos("nowhere")
