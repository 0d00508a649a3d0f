"""Groups that photos' names, times and authors tell; and those that they only seem to tell."""

import re
from collections.abc import Callable

import pytest

from imgcli.photos.likely_groups import likely_groups


def found(names: list[str], **more: list[object]) -> list[str]:
    labels = [name.split("/")[0] for name in names]
    nothing: list[None] = [None] * len(names)
    signs = likely_groups(names, labels, more.get("taken", nothing), more.get("creators", nothing))  # type: ignore[arg-type]
    return [one.group_by for one in signs]


def named(form: str, groups: int = 12, each: int = 5) -> list[str]:
    """Names of photos of groups, each of one of two classes."""
    return [
        f"{'ab'[k % 2]}/{form.format(k=k, i=i, n=each * k + i)}"
        for k in range(groups)
        for i in range(each)
    ]


@pytest.mark.parametrize(
    ("form", "group"),
    [
        ("p{k:02}_{i:02}.png", "p07"),
        ("p{k:02}-{i}.png", "p07"),
        ("{k:03}_{i}.jpg", "007"),
        ("p{k:02}/{i}.png", "p07"),
        ("video{k}_frame{i:04}.png", "video7"),
        ("slide{k}_x{i}_y3.png", "slide7"),
        ("anna{k} ({i}).jpg", "anna7"),
        ("2024-05-{k:02}_{n}.jpg", "2024-05-07"),
        ("subject{k:02}.look{i}.gif", "subject07"),
    ],
)
def test_names_with_a_group_and_a_counter_are_found(form: str, group: str) -> None:
    names = named(form)
    (pattern,) = found(names)
    match = re.search(pattern, next(n for n in names if group in n))
    assert match and match[1] == group
    assert len({re.search(pattern, name)[1] for name in names}) == 12  # type: ignore[index]


def test_pairs_are_found() -> None:
    names = [f"{'ab'[k % 2]}/{k}_{side}.jpeg" for k in range(20) for side in ("left", "right")]
    (pattern,) = found(names)
    assert {re.search(pattern, name)[1] for name in names} == {str(k) for k in range(20)}  # type: ignore[index]


@pytest.mark.parametrize(
    "form",
    [
        *("IMG_{n:04}.jpg", "{n:04}.jpg", "image_{n:04}.jpg", "DSC{n:05}.jpg", "{n}_{n}5.jpg"),
        *("frame-{n}.png", "Photo ({n}).jpg", "cat.{n}.jpg", "ISIC_00{n:05}.jpg", "{n:08x}.png"),
    ],
)
def test_one_sequence_is_no_grouping(form: str) -> None:
    assert found(named(form)) == []


def test_prefixes_that_repeat_the_class_are_no_grouping() -> None:
    names = [f"n{k:03}/n{k:03}_{i:04}.jpg" for k in range(12) for i in range(9)]
    assert found(names) == []


def test_a_counter_that_begins_again_in_each_class_is_no_grouping() -> None:
    assert found([f"{label}/{i}.jpg" for label in "abcd" for i in range(30)]) == []


def test_bursts_and_photographers_are_found() -> None:
    names = named("{n:04}.jpg")
    taken = [("X", 1000.0 * (n // 5) + 2 * n) for n in range(60)]
    assert found(names, taken=taken) == ["exif:burst"]
    assert found(names, taken=[("X", 100.0 * n) for n in range(60)]) == []
    assert found(names, creators=[f"c{n // 5}" for n in range(60)]) == ["provenance:creator"]
    assert found(names, creators=[f"c{n}" for n in range(60)]) == []
    assert found(names, creators=["museum"] * 60) == []


DATED = [
    *("{year}_{n:04}.jpg", "{year}_{i}.jpg", "holiday {year} ({i}).jpg", "{year}/{n}.jpg"),
    *(
        "{year}-05-12_{n}.jpg",
        "IMG_{year}0512_{n:06}.jpg",
        "{year}05/{i}.png",
        "12.05.{year}-{i}.jpg",
    ),
    *("{roll}_{n:04}.jpg", "WhatsApp Image {year}-01-02 at {n}.jpeg"),
]


def dated(form: str, label_of: Callable[[int, int], str], each: int = 8) -> list[str]:
    """Names of photos of twelve years."""
    return [
        f"{label_of(k, i)}/{form.format(year=2008 + k, roll=100 + k, i=i, n=each * k + i)}"
        for k in range(12)
        for i in range(each)
    ]


@pytest.mark.parametrize("form", DATED)
@pytest.mark.parametrize("each", [2, 8])
def test_years_and_dates_of_all_classes_are_no_groups(form: str, each: int) -> None:
    assert found(dated(form, lambda k, i: "ab"[i % 2], each)) == []


@pytest.mark.parametrize("form", DATED)
def test_dates_of_one_class_each_are_groups(form: str) -> None:
    assert len(found(dated(form, lambda k, i: "ab"[k % 2]))) == 1


def test_pairs_of_a_rule_that_one_class_has_nearly_alone_are_no_evidence() -> None:
    """Of 95 % one class, two photos of a year are of one class by chance."""
    assert found(dated("{year}_{n}.jpg", lambda k, i: "ab"[(k, i) in ((0, 0), (6, 1))], 2)) == []


def test_numbers_of_subjects_are_no_dates() -> None:
    names = [f"{'ab'[i % 2]}/{1000 + 13 * k}_{i}.jpg" for k in range(12) for i in range(6)]
    assert len(found(names)) == 1
