from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.collect.imports.labelled_photo import LabelledPhoto
from imgcli.collect.imports.selection import Selection, read_renames
from imgcli.errors import WrongUsage
from imgcli.records import Rejected


def items(*labels: str) -> Iterator[LabelledPhoto | Rejected]:
    for n, label in enumerate(labels):
        yield LabelledPhoto(label, f"{n}.png", f"src/{n}.png", lambda: b"")
    yield Rejected("src/x", "no photo")


def picked(selection: Selection, *labels: str) -> list[tuple[str, str]]:
    found = selection.of(lambda: items(*labels))
    return [(i.label, i.name) for i in found if isinstance(i, LabelledPhoto)]


def test_classes_are_renamed_and_chosen_by_their_new_names() -> None:
    selection = Selection({"a": "b", "b": "a"}, ("a",))  # a swap, not a chain
    assert picked(selection, "a", "b", "c") == [("a", "1.png")]
    assert list(selection.unmet()) == []


def test_what_is_rejected_stays_listed() -> None:
    assert Rejected("src/x", "no photo") in list(Selection(only=("z",)).of(lambda: items("a")))


def test_classes_may_be_named_with_commas() -> None:
    assert [label for label, _ in picked(Selection(only=("a, c",)), *"abc")] == ["a", "c"]
    assert [label for label, _ in picked(Selection(only=("a,b",)), "a,b")] == ["a,b"]


def test_names_that_no_class_has_are_said() -> None:
    selection = Selection({"x": "y"}, ("a,z", "y"))
    picked(selection, "a", "b")
    assert list(selection.unmet()) == [
        "--rename: no class is called 'x'; the sources have 'a' and 'b'.",
        "--only: no class is called 'z'; the sources have 'a' and 'b'.",
        "--only: no class is called 'y'; the sources have 'a' and 'b'.",
    ]


@given(st.lists(st.sampled_from("abc"), max_size=40), st.integers(1, 12), st.integers(0, 3))
def test_a_limit_is_kept_and_a_larger_one_only_adds(
    labels: list[str], limit: int, seed: int
) -> None:
    few = picked(Selection(limit=limit, seed=seed), *labels)
    more = picked(Selection(limit=limit + 3, seed=seed), *labels)
    counts = Counter(labels)
    assert Counter(label for label, _ in few) == {k: min(n, limit) for k, n in counts.items()}
    assert set(few) <= set(more)
    assert few == picked(Selection(limit=limit, seed=seed), *labels)


def test_a_sample_is_random_and_another_class_does_not_change_it() -> None:
    few = picked(Selection(limit=5), *"a" * 100)
    assert few != picked(Selection(limit=5, seed=1), *"a" * 100)
    names = [int(name[:-4]) for _, name in few]
    assert max(names) > 20  # the first five come by chance once in 75 million
    beside = picked(Selection(limit=5), *"a" * 100, *"b" * 100)
    assert beside[:5] == few


def test_a_limit_of_nothing_is_refused() -> None:
    with pytest.raises(WrongUsage, match="--limit 0 takes no photo"):
        Selection(limit=0)


# --- --rename -----------------------------------------------------------------------------------


def test_renames_are_pairs_or_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old,new\ncrabe,crab\n\n'q', \"Q, q\"\n")
    (tmp_path / "b.json").write_text('{"0": "zero"}')
    (tmp_path / "c.tsv").write_text("x\ty, z\n")
    words = ["a=b", "c=d=e", "f=g,h=i", "j=k, l"]
    words += [str(tmp_path / name) for name in ("a.csv", "b.json", "c.tsv")]
    assert read_renames(words) == {
        **dict(a="b", c="d=e", f="g", h="i", j="k, l", crabe="crab", x="y, z"),
        "'q'": "Q, q",
        "0": "zero",
    }


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["ab"], "--rename 'ab' is neither old=new nor a .csv or .json file"),
        (["a="], "--rename 'a=' has an empty name"),
        (["a=b", "a=c"], "gives the class 'a' two names: 'b' and 'c'"),
        (["gone.csv"], "there is no file 'gone.csv'"),
        (["short.csv"], r"'short.csv' is no list of old and new names \(not two cells: \['a'\]\)"),
        (["empty.csv"], r"'empty.csv' is no list of old and new names \(it is empty\)"),
        (["list.json"], "'list.json' is no list of old and new names"),
        (["bad.json"], "'bad.json' is no list of old and new names"),
    ],
)
def test_renames_that_cannot_be_meant_are_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    texts = {"short.csv": "a\n", "empty.csv": "", "list.json": "[1]", "bad.json": "{"}
    for name, text in texts.items():
        Path(name).write_text(text)
    with pytest.raises(WrongUsage, match=sentence):
        read_renames(words)
