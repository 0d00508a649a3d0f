"""COCO's annotations as labels of whole photos.

    coco/annotations/instances_val2017.json    {"images": [{"id", "file_name"}],
    coco/val2017/000000000139.jpg               "annotations": [{"image_id", "category_id"}],
                                                "categories": [{"id", "name"}]}

A photo with annotations of a single category is of that class; the others are listed.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from imgcli.collect.imports.formats.source import Files, Kind, LabelledPhotos, Source
from imgcli.collect.imports.labelled_photo import Entry, NotTaken
from imgcli.collect.imports.survey import split_into
from imgcli.errors import DataError
from imgcli.folder_names import Folder, part_named
from imgcli.records import Rejected

HEAD = 4096  # bytes that tell annotations from other JSON
_KEY = re.compile(rb'"(images|annotations|categories|info|licenses)"\s*:')
_KEPT = {
    *("images", "annotations", "categories"),
    *("id", "file_name", "image_id", "category_id", "name"),
}


@dataclass(frozen=True)
class _Annotations:
    """One file: the categories of each photo, by its file name."""

    scope: Folder  # the folder that it speaks about
    categories: dict[str, set[str]]


def find(files: Files, only: str | None = None) -> Source | None:
    """The photos of a folder or archive with COCO's annotations; None where there are none.

    Args:
        only: the name of the one file of annotations to use.

    Raises:
        DataError: annotations that cannot be read.
    """
    names = set(files.found.others.get(".json", []))
    if only is not None:
        names = {parts for parts in names if parts[-1] == only}
    if not names or not files.found.photos or len(names) > 50:  # more are a file per photo
        return None
    read = [
        annotations
        for entry in files.readable()
        if entry.parts in names
        for annotations in _read(entry)
    ]
    if not read:
        return None
    parts = {part_named(folder) for folder in files.found.photos} - {""}  # some may be in none
    return Source(
        path=files.path,
        kind=Kind.COCO,
        photos=partial(files.labelled, partial(_photos, files, read)),
        count=files.found.files,
        size=files.found.size,
        parts=split_into(parts),
    )


def _read(entry: Entry) -> Iterator[_Annotations]:
    """The annotations in a file; none for captions and other JSON."""
    try:
        with entry.open() as file:
            head = file.read(HEAD)
            if not (head.lstrip()[:1] == b"{" and _KEY.search(head)):
                return
            text = bytearray(head)
            while more := file.read(1 << 20):
                text += more
        document = json.loads(text, object_hook=_kept)
    except (NotTaken, ValueError, RecursionError) as error:
        raise DataError(f"'{entry.origin}' cannot be read as annotations ({error}).") from None
    try:
        if not document.get("categories") or not document.get("images"):
            return
        folder = entry.parts[:-1]
        scope = folder[:-1] if folder[-1:] == ("annotations",) else folder
        yield _Annotations(scope, _categories(document))
    except (LookupError, TypeError, AttributeError) as error:
        what = f"{type(error).__name__}: {error}"
        raise DataError(f"'{entry.origin}' has not the fields of COCO's ({what}).") from None


def _kept(fields: dict[str, Any]) -> dict[str, Any]:
    """Drop polygons and licences while reading; they are most of a file's size."""
    return {key: value for key, value in fields.items() if key in _KEPT}


def _categories(document: dict[str, Any]) -> dict[str, set[str]]:
    names = {category["id"]: str(category["name"]) for category in document["categories"]}
    found: defaultdict[Any, set[str]] = defaultdict(set)
    for annotation in document.get("annotations", []):
        found[annotation["image_id"]].add(names[annotation["category_id"]])
    return {
        str(image["file_name"]).replace("\\", "/").removeprefix("./"): found[image["id"]]
        for image in document["images"]
    }


def _photos(files: Files, read: list[_Annotations], entry: Entry) -> LabelledPhotos:
    if entry.parts in files.found.others.get(".json", []):
        return
    found = [names for annotations in read for names in _looked_up(entry.parts, annotations)]
    labels = sorted(set().union(*found)) if found else []
    if len(labels) == 1:
        part = part_named(entry.parts[:-1])
        yield entry.labelled(labels[0], part)
    elif labels:
        yield Rejected(entry.origin, f"shows several categories: {', '.join(labels)}")
    else:
        yield Rejected(entry.origin, "has no annotation" if found else "in no file of annotations")


def _looked_up(parts: Folder, annotations: _Annotations) -> Iterator[set[str]]:
    """The photo's categories, by as much of its path as its file name there has."""
    if parts[: len(annotations.scope)] == annotations.scope:
        inner = parts[len(annotations.scope) :]
        names = ("/".join(inner[at:]) for at in range(len(inner)))
        hits = (annotations.categories[name] for name in names if name in annotations.categories)
        yield from list(hits)[:1]
