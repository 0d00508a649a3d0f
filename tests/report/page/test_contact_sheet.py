"""The contact sheet: what was found, side by side, in one page that needs nothing else."""

from collections.abc import Generator, Iterable
from typing import Any

import pytest

from imgcli.report.page import contact_sheet
from imgcli.report.terminal import check
from tests.support.reports import Parsed

EVIL = '<script>"\x1b'


def document(**found: Any) -> dict[str, Any]:
    empty: dict[str, Any] = {
        "dir": "raw",
        "photos": 4,
        "classes": {"cat": 3, EVIL: 1},
        "unreadable": [],
        "duplicates": [],
        "near_duplicates": [],
        "distances": [],
        "conflicts": [],
        "issues": [],
        "metadata": {"gps": 0, "alpha": 0},
    }
    return {**empty, **found}


def pictures(paths: Iterable[str], side: int) -> Generator[bytes | None, None, None]:
    for path in paths:
        yield None if "gone" in path else path.encode()


def test_groups_are_shown_with_distances_and_each_picture_has_its_text() -> None:
    found = document(near_duplicates=[["cat/a.jpg", "cat/b.jpg"]], distances=[[0.0, 0.123]])
    page = Parsed(contact_sheet.page(found, pictures))
    images = [attrs for tag, attrs in page.tags if tag == "img"]
    assert [image["alt"] for image in images] == ["cat/a.jpg", "cat/b.jpg"]
    assert all(str(image["src"]).startswith("data:image/webp;base64,") for image in images)
    assert "first" in page.text and "distance 0.12" in page.text


def test_names_are_text_and_nothing_is_fetched() -> None:
    found = document(
        duplicates=[[f"{EVIL}/a", f"{EVIL}/gone"]],
        unreadable=[{"path": EVIL, "stage": "open", "reason": EVIL}],
        issues=[{"kind": "balance", "class": EVIL, "detail": EVIL}],
    )
    text = contact_sheet.page(found, pictures)
    page = Parsed(text)
    assert "\x1b" not in text and "<script>" not in text
    assert '<script>"\\x1b' in page.text
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert {attrs["src"][:5] for _, attrs in page.tags if attrs.get("src")} == {"data:"}
    (blank,) = (attrs for _, attrs in page.tags if attrs.get("class") == "blank")
    assert blank["role"] == "img" and "gone: not found, or changed" in str(blank["aria-label"])
    assert not any("style" in attrs for _, attrs in page.tags) and "unsafe" not in text


def test_tables_have_captions_and_headers() -> None:
    found = document(unreadable=[{"path": "cat/x.jpg", "stage": "open", "reason": "is damaged"}])
    page = Parsed(contact_sheet.page(found, pictures))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("table") == tags.count("caption") == 2
    assert all(attrs.get("scope") in ("col", "row") for tag, attrs in page.tags if tag == "th")


def test_what_is_not_shown_is_counted() -> None:
    groups = [[f"cat/{i}.jpg", f"cat/{i} copy.jpg"] for i in range(contact_sheet.GROUPS + 2)]
    (section,) = contact_sheet.sections(document(duplicates=groups))
    assert len(section.groups) == contact_sheet.GROUPS and section.more == "and 2 more groups"
    dark = [
        {"kind": "dark", "path": f"{i}", "detail": "dark"} for i in range(contact_sheet.PHOTOS + 1)
    ]
    (section,) = contact_sheet.sections(document(issues=dark))
    assert len(section.paths) == contact_sheet.PHOTOS and section.more == "and 1 more"
    (section,) = contact_sheet.sections(document(duplicates=[[f"{i}" for i in range(20)]]))
    assert len(section.paths) == contact_sheet.TILES and section.more == "and 12 more of one group"


def test_one_placeholder_is_one_group() -> None:
    issue = {"kind": "placeholder", "path": "a", "paths": ["a", "b", "c"], "detail": "3 times"}
    (section,) = contact_sheet.sections(document(issues=[issue]))
    assert section.title == "Placeholder image" and section.paths == ["a", "b", "c"]


@pytest.mark.parametrize("kind", check.KINDS)
def test_every_kind_has_its_row(kind: str) -> None:
    issue = {"kind": kind, "path": "cat/a.jpg", "detail": "why"}
    rows = list(check.rows(document(issues=[issue])))
    assert rows == [(check.KINDS[kind], 1, "cat/a.jpg: why")]


def test_metadata_is_a_sentence_where_there_is_any() -> None:
    assert check.sentences(document()) == []
    assert check.sentences(document(metadata={"gps": 2, "alpha": 0})) == ["Metadata: 2 with GPS."]


def test_wrong_labels_are_shown_first_with_what_they_look_like() -> None:
    said = {"label": "cat", "suggestion": "<dog>", "suggested_probability": 0.97}
    issues = [{"path": f"cat/{i}.jpg", **said} for i in range(60)]
    shown = contact_sheet.page(document(labels=issues, run="runs/first"), pictures)
    assert "cat → &lt;dog&gt;, 97.0 %" in shown and "and 12 more; --json lists all" in shown
    assert shown.count('alt="cat/') == 48


def test_the_title_says_which_folder_or_which_run() -> None:
    checked = contact_sheet.page(document(files=4), pictures)
    assert (
        "<title>Check of raw – imgcli check</title>" in checked
        and "<h1>Check of raw</h1>" in checked
    )
    said = {"label": "cat", "suggestion": "dog", "suggested_probability": 0.97}
    labels = document(labels=[{"path": "cat/1.jpg", **said}], dir="dataset", run="runs/first")
    assert "<h1>Labels of dataset, by run first</h1>" in contact_sheet.page(labels, pictures)
    both = contact_sheet.page({**labels, "files": 4}, pictures)
    assert "<h1>Check of dataset</h1>" in both


def test_groups_are_told_apart_and_single_photos_are_one_gallery() -> None:
    pairs = document(duplicates=[["cat/a", "cat/b"], ["cat/c", "cat/d"]])
    assert contact_sheet.page(pairs, pictures).count('role="group"') == 2
    dark = [{"kind": "dark", "path": f"{i}", "detail": "dark"} for i in range(3)]
    page = contact_sheet.page(document(issues=dark), pictures)
    assert 'role="group"' not in page and page.count('<ul class="gallery">') == 1
