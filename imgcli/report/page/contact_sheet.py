"""The contact sheet: the photos of a check's findings, as one HTML page that needs nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from markupsafe import Markup

from imgcli.report.page.html import (
    Thumbnails,
    environment,
    gallery_images,
    policy_hash,
    source,
)
from imgcli.report.terminal.check import CONFLICTS, KINDS, sentences
from imgcli.text import count, percent

# Shown of each kind; the JSON document lists all.
GROUPS = 40
TILES = 8  # of one group
PHOTOS = 48


ABOUT = {
    "conflicts": "The same photo in two classes, or inside and outside the test part. --fix "
    "conflicts removes all photos of a group, or of two parts those outside test.",
    "near": "The first of each group is the largest photo, then of most bytes, then by name; --fix "
    "near-duplicates keeps the first of each class. Distance: the largest local difference to the "
    "first photo, in units of contrast; 0 is identical, threshold 0.28.",
    "labels": "Each with its label, the suggested label, and the out-of-fold probability of that. "
    "{summary} Look before you relabel: a rare but correct label can be listed.",
    "shortcuts": "One place in the photos tells the class by itself. Look for a mark there, and "
    "crop or blank it in all photos: a network may learn it instead of the class.",
    "exact": "The same bytes under several names. --fix duplicates keeps the first of each class.",
}


@dataclass(frozen=True)
class Tile:
    """One photo of the sheet."""

    path: str
    caption: str


@dataclass(frozen=True)
class Section:
    """Photos of one kind, in groups that are seen side by side."""

    title: str
    about: str
    groups: tuple[tuple[Tile, ...], ...]
    more: str  # how much is not shown, as text; "" for nothing

    @property
    def in_cards(self) -> bool:
        """Whether its groups are to be told apart: there are several, not all of one photo."""
        return len(self.groups) > 1 and max(map(len, self.groups)) > 1

    @property
    def paths(self) -> list[str]:
        """The photos that it shows."""
        return [tile.path for group in self.groups for tile in group]


def sections(document: Mapping[str, Any]) -> list[Section]:
    """The findings of a check's JSON document; none where nothing was found."""
    found = [
        *_labels(document),
        *_conflicts(document),
        *_duplicates(document),
        *_shortcuts(document),
        *_quality_issues(document),
    ]
    return [section for section in found if section.groups]


def page(document: Mapping[str, Any], thumbnails: Thumbnails) -> str:
    """The sheet of a check's JSON document, as HTML."""
    shown = sections(document)
    most = max(document["classes"].values(), default=1)
    css = "\n".join((source("base.css"), source("contact.css")))
    return (
        environment()
        .get_template("contact.html")
        .render(
            document=document,
            sections=shown,
            images=gallery_images((path for s in shown for path in s.paths), thumbnails),
            sentences=sentences(document),
            shares={name: n / most for name, n in document["classes"].items()},
            title=_title(document),
            labels_only=_is_of_labels_only(document),
            css=Markup(css),
            css_hash=policy_hash(css),
        )
    )


def _is_of_labels_only(document: Mapping[str, Any]) -> bool:
    return "labels" in document and "files" not in document


def _title(document: Mapping[str, Any]) -> str:
    """What the page is of: a folder's check, or its labels by a run's predictions."""
    if not _is_of_labels_only(document):
        return f"Check of {document['dir']}"
    return f"Labels of {document['dir']}, by run {PurePath(document['run']).name}"


def _labels(document: Mapping[str, Any]) -> Iterator[Section]:
    issues = document.get("labels", [])
    groups = tuple(
        (
            Tile(
                one["path"],
                f"{one['label']} → {one['suggestion']}, {percent(one['suggested_probability'])}",
            ),
        )
        for one in issues[:PHOTOS]
    )
    more = f"and {len(issues) - PHOTOS:,} more" if len(issues) > PHOTOS else ""
    about = ABOUT["labels"].format(summary=document.get("summary", ""))
    yield Section(f"Labels to review ({len(issues):,})", about, groups, more)


def _conflicts(document: Mapping[str, Any]) -> Iterator[Section]:
    for kind, title in CONFLICTS.items():
        groups = [c["paths"] for c in document["conflicts"] if c["kind"] == kind]
        yield _grouped(title, ABOUT["conflicts"], groups, [[""] * len(g) for g in groups])


def _duplicates(document: Mapping[str, Any]) -> Iterator[Section]:
    captions = [
        ["first", *(f"distance {d:.2f}" for d in distances[1:])]
        for distances in document["distances"]
    ]
    yield _grouped("Near-duplicates", ABOUT["near"], document["near_duplicates"], captions)
    exact = document["duplicates"]
    captions = [["first", *["the same bytes"] * (len(group) - 1)] for group in exact]
    yield _grouped("Exact duplicates", ABOUT["exact"], exact, captions)


def _shortcuts(document: Mapping[str, Any]) -> Iterator[Section]:
    found = [issue for issue in document["issues"] if issue["kind"] == "shortcut"]
    groups = [issue["paths"] for issue in found]
    captions = [[issue["class"]] * len(issue["paths"]) for issue in found]
    yield _grouped("Marks that give a class away", ABOUT["shortcuts"], groups, captions)


def _quality_issues(document: Mapping[str, Any]) -> Iterator[Section]:
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for issue in document["issues"]:
        if "path" in issue and issue["kind"] not in ("not-used", "missing"):
            by_kind.setdefault(issue["kind"], []).append(issue)
    for kind, issues in by_kind.items():
        about = f"--fix {kind} moves them to quarantine."
        if "paths" in issues[0]:
            captions = [["", *[""] * (len(issue["paths"]) - 1)] for issue in issues]
            groups = [issue["paths"] for issue in issues]
            yield _grouped(KINDS[kind], about, groups, captions)
            continue
        tiles = tuple(Tile(issue["path"], issue["detail"]) for issue in issues[:PHOTOS])
        more = f"and {len(issues) - PHOTOS:,} more" if len(issues) > PHOTOS else ""
        yield Section(_headed(KINDS[kind]), about, (tiles,), more)


def _grouped(
    title: str, about: str, groups: Sequence[Sequence[str]], captions: Sequence[Sequence[str]]
) -> Section:
    shown = tuple(
        tuple(Tile(path, caption) for path, caption in zip(paths, texts, strict=True))[:TILES]
        for paths, texts in zip(groups[:GROUPS], captions, strict=False)
    )
    more = f"and {count(len(groups) - GROUPS, 'more group')}" if len(groups) > GROUPS else ""
    longest = max(map(len, groups), default=0)
    if not more and longest > TILES:
        more = f"and {longest - TILES:,} more of one group"
    return Section(_headed(title), about, shown, more)


def _headed(title: str) -> str:
    return title[0].upper() + title[1:]
