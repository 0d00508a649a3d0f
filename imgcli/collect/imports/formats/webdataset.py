"""WebDataset's shards: tars whose neighbouring members with one key are one sample.

    0001.jpg  0001.cls     the key is the name up to its first dot;
    0002.jpg  0002.cls     .cls, .json or .txt has the label

Format: https://github.com/webdataset/webdataset
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from os.path import splitext

from imgcli.collect.imports.formats.source import Files, Kind, LabelledPhotos, Source
from imgcli.collect.imports.labelled_photo import Entry, NotTaken
from imgcli.folder_names import Folder
from imgcli.image_types import PHOTO_SUFFIXES
from imgcli.records import Rejected
from imgcli.tables import LABELS, column, label_text

LABEL_SUFFIXES = (".cls", ".json", ".txt")  # the first that is present is used
MAX_LABEL_FILE = 10_000_000  # bytes
BOXES = re.compile(r"\s*\d+(\s+[\d.]+){4,}\s*")  # as YOLO's detection has them


def find(files: Files) -> Source | None:
    """The samples of a shard; None for anything else.

    Files of .cls are WebDataset's alone. Texts beside photos mean something else in a folder, and
    in class folders.
    """
    found = files.found
    notes = Counter({suffix: len(found.others.get(suffix, [])) for suffix in LABEL_SUFFIXES})
    flat = len(found.photos) == 1 and not files.path.is_dir()
    photos = sum(found.photos.values())
    if not photos or not (notes[".cls"] or (flat and _beside(found.others, found.photos))):
        return None
    photos_of = partial(labelled_photos, files.entries)
    return Source(files.path, Kind.WEBDATASET, photos_of, photos, found.size)


def _beside(others: dict[str, list[Folder]], photos: Counter[Folder]) -> bool:
    """Whether there is a text for most of the photos, or for as many as are remembered."""
    n = max(len(others.get(suffix, [])) for suffix in (".json", ".txt"))
    (folder,) = photos
    inside = [p for s in (".json", ".txt") for p in others.get(s, []) if p[:-1] == folder]
    return 2 * n > min(photos[folder], 100) and len(inside) >= n


def labelled_photos(
    entries: Callable[[], Iterable[Entry | Rejected]], *, read: bool = True
) -> LabelledPhotos:
    """The photo of each sample, with its label.

    Args:
        read: whether the bytes of photos are wanted, and not only their places.
    """
    for sample in _samples(entries(), read):
        if isinstance(sample, Rejected):
            yield sample
        else:
            yield from _labelled(sample)


class _Member:
    """A member of a sample, read in its turn: its bytes, or why it cannot be used."""

    def __init__(self, entry: Entry, read: bool) -> None:
        self.entry = entry
        self.suffix = splitext(entry.parts[-1])[1].lower()
        self.fault: NotTaken | None = None
        self.data = b""
        try:
            if self.suffix in PHOTO_SUFFIXES:
                self.data = entry.read() if read else b""
            elif self.suffix in LABEL_SUFFIXES:
                if entry.size > MAX_LABEL_FILE:
                    raise NotTaken("no label: too long")
                self.data = entry.content()
        except NotTaken as fault:
            self.fault = fault

    def read(self) -> bytes:
        if self.fault is not None:
            raise self.fault
        return self.data


def _samples(entries: Iterable[Entry | Rejected], read: bool) -> Iterator[list[_Member] | Rejected]:
    """The members of each key, one sample in memory at a time."""
    key: Folder = ()
    members: list[_Member] = []
    for item in entries:
        if isinstance(item, Rejected):
            yield item
            continue
        here = (*item.parts[:-1], item.parts[-1].split(".")[0])
        if here != key and members:
            yield members
            members = []
        key = here
        members.append(_Member(item, read))
    if members:
        yield members


def _labelled(members: list[_Member]) -> LabelledPhotos:
    photos = [member for member in members if member.suffix in PHOTO_SUFFIXES]
    notes = {member.suffix: member for member in members if member.suffix in LABEL_SUFFIXES}
    note = next((notes[suffix] for suffix in LABEL_SUFFIXES if suffix in notes), None)
    if not photos:
        yield Rejected(members[0].entry.origin, "no photo of its key beside it")
    for number, member in enumerate(photos):
        entry = member.entry
        try:
            if number:
                raise ValueError("a second photo of its key")
            if note is None:
                raise ValueError("no .cls, .json or .txt of its key beside it")
            yield replace(entry.labelled(_label(note)), read=member.read, ahead=0)
        except (ValueError, NotTaken) as reason:
            yield Rejected(entry.origin, str(reason))


def _label(note: _Member) -> str:
    text = note.read().decode("utf-8", "replace")
    if note.suffix != ".json":
        if BOXES.fullmatch(text) or "\n" in text.strip():
            raise ValueError(f"its {note.entry.parts[-1]} holds more than a label")
        return label_text(text)
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"its {note.entry.parts[-1]} is not JSON") from None
    if isinstance(value, dict):
        name = column(list(value), LABELS)
        if name is None:
            raise ValueError(f"its {note.entry.parts[-1]} has no label among {', '.join(value)}")
        value = value[name]
    return label_text(value)
