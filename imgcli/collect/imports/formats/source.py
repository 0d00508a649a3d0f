"""A source of labelled photos: what every format makes of a path."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgcli.collect.imports.labelled_photo import Entry, LabelledPhoto, NotTaken
from imgcli.collect.imports.survey import Survey
from imgcli.folder_names import AS_FOUND, Levels
from imgcli.records import Rejected

LabelledPhotos = Iterator[LabelledPhoto | Rejected]
Multi = Literal["skip", "first"]


@dataclass(frozen=True)
class Reading:
    """Options for sources that do not say it themselves."""

    label_from: str | None = None  # a regular expression that finds the label in a photo's path
    path_column: str | None = None  # of tables
    label_column: str | None = None
    keep_split: bool = False
    levels: Levels = AS_FOUND  # which folders are the classes and the parts
    root: Path | None = None  # of tables: the folder that their paths are below
    path_template: str | None = None  # of tables: a photo's path, of its row's cells
    join: tuple[Path, ...] = ()  # further tables, joined to the table by a common column
    multi: Multi = "skip"  # rows with several labels
    encoding: str | None = None  # of the names in a zip


@dataclass(frozen=True)
class Files:
    """A folder or archive whose names were read once."""

    path: Path
    entries: Callable[[], Iterator[Entry | Rejected]]  # each call starts over, in one order
    found: Survey

    def readable(self) -> Iterator[Entry]:
        """The entries without the rejected ones."""
        return (item for item in self.entries() if isinstance(item, Entry))

    def labelled(
        self, photos: Callable[[Entry], Iterable[LabelledPhoto | Rejected]]
    ) -> LabelledPhotos:
        """The photos in each entry; the rejected ones are passed on."""
        for item in self.entries():
            if isinstance(item, Rejected):
                yield item
            else:
                yield from photos(item)


class Kind(StrEnum):
    """What a source is, in the words of messages."""

    CLASS_FOLDERS = "class folders"
    SPLIT_FOLDERS = "class folders in train and test"
    NAMES = "photos labelled by their names"
    COCO = "COCO's annotations"
    WEBDATASET = "WebDataset samples"
    IDX = "MNIST's idx files"
    CIFAR = "CIFAR's batches"
    TABLE = "a table"
    PARQUET = "a Parquet table"


PIXELS = {Kind.IDX, Kind.CIFAR}  # without photo files: photos beside them are another source
TABLES = {Kind.TABLE, Kind.PARQUET}


@dataclass(frozen=True)
class Source:
    """A place that photos come from, its format known."""

    path: Path
    kind: Kind
    photos: Callable[[], LabelledPhotos]  # each call starts over, in one order
    count: int  # of the photos, about
    size: int  # bytes that placing them takes, about
    parts: tuple[str, ...] = ()  # that the photos come in
    notes: tuple[str, ...] = ()  # what was taken for what, in sentences


def labelled_pixels(
    entry: Entry,
    stem: str,
    part: str,
    pixels: Iterable[tuple[int, NDArray[np.uint8]]],
    classes: Sequence[str] = (),
) -> LabelledPhotos:
    """The pictures of one file as PNG files `<stem>-<number>.png`.

    Args:
        pixels: label and picture, (H, W) or (H, W, 3), of each; may raise `NotTaken`.
        classes: the names of the labels; without them a label is its own.
    """
    at = 0
    try:
        for label, picture in pixels:
            origin = f"{entry.origin}[{at}]"
            if classes and label >= len(classes):
                yield Rejected(origin, f"its label is {label}, which names no class")
            else:
                name = classes[label] if classes else str(label)
                read = partial(as_png, picture)
                yield LabelledPhoto(name, f"{stem}-{at:05}.png", origin, read, part)
            at += 1
    except NotTaken as reason:
        yield Rejected(f"{entry.origin}[{at}]", f"{reason}; the rest was not read")


def as_png(pixels: NDArray[np.uint8]) -> bytes:
    """A grey (H, W) or colour (H, W, 3) array as a PNG file, without loss."""
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return data.getvalue()
