"""A dataset made by `imgcli split`, as it is on disk: its photos and `split.json`.

    dataset/train/cat/017.jpg      a hard link to raw/cat/017.jpg, or a copy, or a symbolic link
    dataset/train/cat/a__b.jpg     of raw/cat/a/b.jpg
    dataset/split.json             the manifest: where each photo came from and what it held

Photos in shards or named by a table are read where they are: then `split.json` is all there is, of
format 2, and says where each photo is:

    {"format": 2, "read_from": "../shards", …
     "photos": [{"path": "train/cat/017.jpg", "source": "000.tar!017.jpg", "offset": 1536, …

The manifest follows from the photos, their names and the choices of the split alone, so two
machines write the same bytes: no time, no absolute path. One photo per line, for people and `diff`.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from json.encoder import encode_basestring_ascii as quoted
from pathlib import Path
from shlex import quote
from typing import Annotated, Any, Literal, Self

from msgspec import Meta, Struct

from imgcli import __version__, documents
from imgcli.aside import files_in
from imgcli.config import GroupBy
from imgcli.documents import Count, Relative, Sha256, Share, stays_inside
from imgcli.errors import DataError, StorageError, WrongUsage
from imgcli.files import need_space, write_atomic, writing
from imgcli.folder_names import PARTS
from imgcli.locations import Location, location_in
from imgcli.photos.hashing import digests_by_path
from imgcli.progress import track
from imgcli.remote.uris import is_uri
from imgcli.runs import CACHE

NAME = "split.json"
FORMAT = 1  # a reader refuses any other, but
IN_PLACE = 2  # of photos that are read where they are

Duplicates = Literal["near", "exact", "off"]
Link = Literal["auto", "hard", "symlink", "copy"]

# What the system answers where a file cannot have a second name: another file system, one without
# links, a file of somebody else's, too many links.
NO_HARD_LINK = {errno.EXDEV, errno.ENOTSUP, errno.ENOSYS, errno.EPERM, errno.EMLINK}


@dataclass(frozen=True)
class Recipe:
    """The choices a split follows from; `--update` repeats them."""

    ratio: float = 0.9  # share of each class's photos that is not test
    val: float | None = None  # share of each class's photos that is validation, out of train
    seed: int = 0
    duplicates: Duplicates = "near"  # what is kept on one side
    link: Link = "auto"  # hard links, and copies where the file system refuses them
    group_by: tuple[str, ...] = ()  # what else is kept on one side; see `photos.grouping`
    group_table: str | None = None  # for column:NAME
    min_photos: int = 1  # of a class; smaller ones are left out

    @property
    def grouping(self) -> GroupBy:
        """What says which photos belong together."""
        return GroupBy(self.group_by, self.group_table)

    def chosen(self) -> dict[str, Any]:
        """The choices as a manifest has them: those that older ones lack only where made."""
        plain = Recipe()
        later = ("group_by", "group_table", "min_photos")
        kept = asdict(self)
        return {k: v for k, v in kept.items() if k not in later or v != getattr(plain, k)}

    def with_(self, **choices: Any) -> Self:
        """A copy with those of the choices that are not None."""
        return replace(self, **{k: v for k, v in choices.items() if v is not None})

    def shares(self) -> dict[str, float]:
        """The share of each class's photos per part.

        Raises:
            WrongUsage: shares that cannot be meant.
        """
        if not 0 < self.ratio < 1:
            raise WrongUsage(
                f"--ratio {self.ratio:g} is not between 0 and 1: it is the share of the photos "
                "that is not test, such as 0.9."
            )
        if self.val is None:
            return {"train": self.ratio, "test": 1 - self.ratio}
        if not 0 < self.val < self.ratio:
            raise WrongUsage(
                f"--val {self.val:g} is not between 0 and {self.ratio:g}: validation comes out of "
                f"the {self.ratio:g} that is not test, and has to leave photos to train on."
            )
        return {"train": self.ratio - self.val, "val": self.val, "test": 1 - self.ratio}


Source = Annotated[str, Meta(min_length=1)]


class PlacedPhoto(Struct, frozen=True, gc=False):  # made in a tenth of a dataclass's time
    """One photo of the dataset, and where it came from."""

    path: Relative  # to the dataset, "train/cat/017.jpg"
    source: Source  # relative to the folder that was split; read in place, see `locations`
    size: Count  # bytes
    sha256: Sha256  # of the file's bytes
    group: Count  # photos with one number belong together: one photo, or nearly, or by group_by
    part: str  # "train", "val" or "test"
    offset: Count | None = None  # bytes, in the shard that it is in

    def __post_init__(self) -> None:
        if (
            self.part not in PARTS
            or self.path.count("/") != 2
            or not self.path.startswith(f"{self.part}/")
        ):
            raise ValueError(f"'{self.path}' is no place of a photo in the part {self.part}")

    @property
    def label(self) -> str:
        """The name of its class."""
        return self.path.split("/")[1]

    def to_json(self) -> str:
        """Its line of the manifest; `json.dumps` of a dictionary takes ten times as long."""
        offset = "" if self.offset is None else f', "offset": {self.offset}'
        return (
            f'{{"path": {quoted(self.path)}, "source": {quoted(self.source)}, '
            f'"size": {self.size}, "sha256": "{self.sha256}", "group": {self.group}, '
            f'"part": "{self.part}"{offset}}}'
        )


@dataclass(frozen=True)
class Manifest:
    """A whole `split.json`."""

    recipe: Recipe
    source: str  # the folder that was split, as it was typed
    classes: tuple[str, ...]
    photos: tuple[PlacedPhoto, ...]  # sorted by path
    read_from: str | None = None  # the folder of photos in place, from the dataset or absolute

    def locations(self, folder: str) -> dict[str, Location]:
        """The locations of photos in place, by their paths."""
        return {
            photo.path: location_in(folder, photo.source, photo.offset, photo.size)
            for photo in self.photos
        }

    def folder(self, dataset: Path) -> str | None:
        """The folder that the sources of photos in place are relative to; None for others."""
        if self.read_from is None or is_uri(self.read_from):
            return self.read_from
        return os.path.normpath(os.path.join(os.path.realpath(dataset), self.read_from))

    def write(self, folder: Path) -> None:
        head = {
            "format": FORMAT if self.read_from is None else IN_PLACE,
            "imgcli": __version__,
            **self.recipe.chosen(),
            "source": self.source,
            **({} if self.read_from is None else {"read_from": self.read_from}),
            "classes": self.classes,
        }
        opening = json.dumps(head, indent=2).removesuffix("\n}")
        rows = ",\n    ".join([photo.to_json() for photo in self.photos])
        write_atomic(folder / NAME, f'{opening},\n  "photos": [\n    {rows}\n  ]\n}}\n')

    def parts_of(self, digests: Sequence[str], sources: Sequence[str]) -> dict[int, str]:
        """The part of each photo, by its row, that is known here by its bytes.

        Bytes that are in two parts are told apart by their source; failing that, train goes first.
        """
        by_source = {(photo.sha256, photo.source): photo.part for photo in self.photos}
        by_bytes: dict[str, str] = {}
        for photo in sorted(self.photos, key=lambda photo: -PARTS.index(photo.part)):
            by_bytes[photo.sha256] = photo.part
        return {
            row: by_source.get((digest, source), by_bytes[digest])
            for row, (digest, source) in enumerate(zip(digests, sources, strict=True))
            if digest in by_bytes
        }


class _Document(Struct):
    """A `split.json` as it is stored: nothing in it has a default but what older ones lack."""

    ratio: Share
    val: Share | None
    seed: int
    duplicates: Duplicates
    link: Link
    source: str
    classes: tuple[str, ...]
    photos: tuple[PlacedPhoto, ...]
    group_by: tuple[str, ...] = ()
    group_table: str | None = None
    min_photos: Count = 1
    read_from: str | None = None

    def __post_init__(self) -> None:
        if self.read_from is None and not all(stays_inside(p.source) for p in self.photos):
            raise ValueError("a photo's source is outside the folder that was split")
        if len({photo.path for photo in self.photos}) < len(self.photos):
            raise ValueError("two photos have one path")
        known = set(self.classes)
        if list(self.classes) != sorted(known) or not {p.label for p in self.photos} <= known:
            raise ValueError("the classes are not those of the photos, sorted")


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in `folder`; None where there is none, as in datasets made elsewhere.

    Raises:
        DataError: it is damaged, or of another version.
    """
    path = folder / NAME
    again = f"split again with `imgcli split RAW --out {quote(str(folder))} --force`"
    try:
        found = documents.read_document(path, _Document, (FORMAT, IN_PLACE))
    except FileNotFoundError:
        return None
    except documents.OtherVersion as error:
        raise DataError(
            f"'{path}' has format {error.found}; this imgcli ({__version__}) reads formats "
            f"{FORMAT} and {IN_PLACE}. Use the imgcli that made it, or {again}."
        ) from None
    except (OSError, documents.DocumentError) as error:
        reason = documents.reason_of(error)
        raise DataError(f"'{path}' cannot be read ({reason}). Restore it, or {again}.") from None
    recipe = Recipe(**{field.name: getattr(found, field.name) for field in fields(Recipe)})
    return Manifest(recipe, found.source, found.classes, found.photos, found.read_from)


def flat_names(sources: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """A file name for each photo, no two alike within a class.

    A photo of the class folder itself keeps its name; `a/b.jpg` of a sub-folder becomes `a__b.jpg`,
    with a hash of its path where that name is taken or too long.

    Args:
        sources: by the path of a photo, its class, and its path below the class folder.
    """
    names: dict[str, str] = {}
    taken: set[tuple[str, str]] = set()
    for source in sorted(sources, key=lambda source: (source.count("/"), source)):
        label, inner = sources[source]
        name = inner.replace("/", "__")
        if (label, name) in taken or (len(name) > 63 and len(os.fsencode(name)) > 255):
            stem, extension = os.path.splitext(name)
            tag = hashlib.sha256(os.fsencode(source)).hexdigest()[:16]
            name = f"{stem[:40]}-{tag}{extension[:10]}"
        taken.add((label, name))
        names[source] = name
    return names


def place_photos(
    photos: Sequence[PlacedPhoto], raw: Path, out: Path, staging: Path, link: Link
) -> int:
    """Give each photo of `raw` its second place, under `staging`, which is to become `out`.

    Returns:
        How many photos had to be copied though `link` asks for links.

    Raises:
        StorageError: copies do not fit on the disk, or `link` is "hard" and cannot be.
    """
    far = link == "auto" and os.stat(raw).st_dev != os.stat(staging).st_dev
    if far or link == "copy":
        need_space(out.parent, sum(photo.size for photo in photos), f"A copy of '{raw}'")
    for folder in {os.path.dirname(photo.path) for photo in photos}:
        os.makedirs(staging / folder)
    up = os.path.relpath(raw.resolve(), out.parent.resolve() / out.name)
    copied = 0
    with folder_handle(raw) as handle:
        for photo in track(photos, "Placing photos", unit="photos"):
            target = f"{staging}/{photo.path}"
            try:
                if link == "symlink":
                    os.symlink(f"../../{up}/{photo.source}", target)
                elif link == "copy" or not hard_link(photo.source, target, handle):
                    if link == "hard":
                        raise StorageError(
                            f"'{raw}/{photo.source}' cannot have a hard link in '{out}', which is "
                            "on another file system or one without such links. Use --link auto, "
                            "symlink or copy."
                        )
                    shutil.copyfile(f"{raw}/{photo.source}", target)
                    copied += link == "auto"
            except Exception:
                with writing(f"{out}/{photo.path}"):  # around each photo it would take as long
                    raise
    return copied


@contextmanager
def folder_handle(folder: Path) -> Iterator[int]:
    """A folder, open, for calls that take paths relative to it."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield handle
    finally:
        os.close(handle)


def hard_link(source: str, target: str, folder: int | None = None) -> bool:
    """Make a hard link; False where the file system has none for this file.

    Args:
        folder: that `source` is relative to, open.
    """
    try:
        # A link to a link would be relative to the wrong folder. With a handle the system follows
        # links by itself, so that nothing has to be asked before.
        if folder is None and os.path.islink(source):
            source = os.path.realpath(source)
        os.link(source, target, src_dir_fd=folder)
    except OSError as error:
        if error.errno in NO_HARD_LINK:
            return False
        raise
    return True


def user_files(folder: Path, cache: Path = CACHE) -> list[str]:
    """The files of a dataset folder that are not as imgcli put them there: added or changed since.

    A link to a photo that was changed in the folder that was split is not the only one of it.
    """
    try:
        made = read_manifest(folder)
    except DataError:
        made = None
    if made is None:
        return files_in(folder)
    if made.read_from is not None:
        return [path for path in files_in(folder) if path != NAME]
    placed = {photo.path: photo for photo in made.photos}
    files = [path for path in files_in(folder) if path != NAME]
    digests, _ = digests_by_path(folder, [path for path in files if path in placed], cache)
    return [
        path
        for path in files
        if path not in placed
        or (
            digests.get(path) != placed[path].sha256
            and not _is_one_file(folder / path, Path(made.source) / placed[path].source)
        )
    ]


def _is_one_file(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False
