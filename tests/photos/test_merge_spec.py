"""Merges as they are typed or planned, and those that cannot be meant."""

import json
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imgcli.errors import DataError, ImgcliError, WrongUsage
from imgcli.photos.merge_spec import Merge, check_merges, read_plan, typed_merge

CLASSES = ["crab", "lobster", "c++", "a=b", "owl"]


@pytest.mark.parametrize(
    ("text", "classes", "name"),
    [
        ("crab+lobster=shellfish", ("crab", "lobster"), "shellfish"),
        ("crab+lobster", ("crab", "lobster"), "crab+lobster"),
        ("owl+crab+lobster=x", ("owl", "crab", "lobster"), "x"),
        ("c+++a=b=odd", ("c++", "a=b"), "odd"),
        ("a=b+owl", ("a=b", "owl"), "a=b+owl"),
        ("crab+owl=a=b", ("crab", "owl"), "a=b"),
    ],
)
def test_names_are_read_by_the_classes_that_are_there(
    text: str, classes: tuple[str, ...], name: str
) -> None:
    assert typed_merge(text, CLASSES) == Merge(classes, name)


@given(st.lists(st.text("ab", min_size=1, max_size=4), min_size=2, max_size=4, unique=True))
def test_plain_names_are_always_read_back(names: list[str]) -> None:
    assume(len(names) > 1)
    for order in permutations(names, 2):
        assert typed_merge("+".join(order) + "=new", names) == Merge(order, "new")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("crab+lobstr=x", "No class 'lobstr'. Did you mean 'lobster'?"),
        ("crab+zzz=x", "No class 'zzz'. There are 'a=b', 'c++', 'crab', 'lobster' and 'owl'."),
        ("crab=x", "'crab=x' names one class"),
        ("+", "No class '' and ''"),
    ],
)
def test_what_is_no_merge_gets_a_sentence(text: str, said: str) -> None:
    with pytest.raises(ImgcliError) as error:
        typed_merge(text, CLASSES)
    assert said in str(error.value)


def test_what_can_mean_two_things_is_refused() -> None:
    with pytest.raises(WrongUsage, match=r"can mean 'a', 'b' and 'c' .* or 'a\+b' and 'c'"):
        typed_merge("a+b+c=x", ["a", "b", "c", "a+b"])


@pytest.mark.parametrize(
    ("merges", "said"),
    [
        ([Merge(("crab", "lobstr"), "x")], "No class 'lobstr' in 'raw'. Did you mean 'lobster'?"),
        ([Merge(("crab", "owl"), "x"), Merge(("owl", "c++"), "y")], "Class 'owl' is merged twice"),
        ([Merge(("crab", "crab"), "x")], "Class 'crab' is merged twice"),
        ([Merge(("crab",), "x")], "A merge of 'crab' alone"),
        ([Merge(("crab", "lobster"), "owl")], "'owl' is the name of another class in 'raw'"),
        (
            [Merge(("crab", "lobster"), "x"), Merge(("owl", "c++"), "x")],
            "or of another merge. Choose another name",
        ),
        (
            [Merge(("crab", "lobster"), "owl"), Merge(("owl", "c++"), "x")],
            "'owl' is a class that goes into another merge",
        ),
        *(
            ([Merge(("crab", "lobster"), name)], "cannot name a class folder")
            for name in ("", ".x", "-x", "a/b", "a\nb", "x" * 256)
        ),
    ],
)
def test_merges_that_cannot_be_carried_out_are_refused(merges: list[Merge], said: str) -> None:
    with pytest.raises(ImgcliError) as error:
        check_merges(merges, CLASSES, Path("raw"))
    assert said in str(error.value)


def test_a_merge_may_keep_the_name_of_one_of_its_classes() -> None:
    check_merges([Merge(("crab", "lobster"), "crab")], CLASSES, Path("raw"))


def test_a_plan_is_read(tmp_path: Path) -> None:
    file = tmp_path / "merges.json"
    file.write_text(json.dumps({"merges": [{"classes": ["a", "b"], "name": "ab"}], "run": "x"}))
    assert read_plan(file) == [Merge(("a", "b"), "ab")]


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"merges": 3}', '{"merges": [{"classes": [1, 2], "name": "x"}]}']
)
def test_what_is_no_plan_gets_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "merges.json"
    file.write_text(text)
    with pytest.raises(DataError, match="is no plan that can be read"):
        read_plan(file)


def test_a_plan_that_is_not_there_or_empty_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"There is no plan .* imgcli suggest-merges"):
        read_plan(tmp_path / "none.json")
    (tmp_path / "empty.json").write_text('{"merges": []}')
    with pytest.raises(DataError, match="has no merge, so there is nothing to do"):
        read_plan(tmp_path / "empty.json")
