"""The one walk of folders: the photos, and the class and the part of each.

    root/<class>/<photo>                       class folders
    root/{train,test[,val]}/<class>/<photo>    a dataset, of `imgcli split` or made elsewhere

    root/
      cat/017.jpg          class cat
      cat/2024/a.jpg       class cat: sub-folders belong to their class folder
      dog -> /data/dogs    class dog: a class folder may be a link
      readme.jpg           no class: listed as rejected

`class_folders` decides which folders are the classes and the parts, here as in an import. The walk
opens no photo: `decode` finds out whether a file is a picture. Only the suffixes that no camera,
browser or scraper gives a picture are rejected here, so that a `labels.csv` beside the photos is
not hashed, linked and split like one.
"""

import os
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imgcli import provenance, staging
from imgcli.class_folders import ClassFolders, Place, find_class_folders
from imgcli.errors import DataError
from imgcli.folder_names import (
    AS_FOUND,
    PART_WORDS,
    PARTS,
    Folder,
    Levels,
    case_sentences,
    hidden,
    label_of,
    may_be_class,
    photos_below,
)
from imgcli.image_types import OTHER_SUFFIXES, broken_link, is_photo_name, placeholder
from imgcli.locations import SHARD, Location, Where, location_in, name_of
from imgcli.photos.manifest import Manifest, read_manifest, user_files
from imgcli.progress import note_once
from imgcli.records import NewPhotos, PhotosInPlace, Rejected
from imgcli.tables import SUFFIXES
from imgcli.text import listed

# Compared in lower case; whatever begins with a dot is hidden besides.
IGNORED_NAMES = {
    "thumbs.db",
    "desktop.ini",
    "__macosx",
    provenance.NAME,
    "credits.html",
    "merge.json",
}
_LINK_DEPTH = 3  # of links to folders that may be class folders: in a wrapper, in a part

TREE = "root/<class>/<photo>, one folder per class"
ARE_CLASSES = "If its folders are the classes: --classes-at 1."
_INSIDE = "a link to a folder inside a class folder; only class folders may be links"


@dataclass(frozen=True, eq=False)
class InPlace:
    """Photos that are read where they are."""

    name: str  # of the shards or the table that name them, as it was typed
    folder: str  # that their sources are relative to
    sources: Mapping[str, str]  # by path; see `locations`
    locations: Mapping[str, Location]  # by path


@dataclass(frozen=True, eq=False)
class Layout:
    """The photos of a folder and their places; all paths relative to it, with "/"."""

    root: Path
    manifest: Manifest | None  # of `imgcli split`
    parts: Mapping[str, str]  # the part of each part folder; empty for class folders
    photos: dict[str, Place]
    rejected: list[Rejected]
    errors: Mapping[str, DataError]  # of part folders without photos; "" stands for `root`
    in_place: "InPlace | None" = None  # of photos that are read where they are, outside of `root`

    @property
    def name(self) -> str:
        """What the folder is called in messages: as it was typed."""
        return self.in_place.name if self.in_place and not self.manifest else str(self.root)

    @property
    def where(self) -> Where:
        """Where the photos are, by their paths."""
        return self.in_place.locations if self.in_place else self.root

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that the photos came from, which may hold tables and provenance."""
        if self.in_place:
            return (Path(self.in_place.folder),)
        return (self.root, Path(self.manifest.source)) if self.manifest else (self.root,)

    def source(self, path: str) -> str:
        """Where a photo is, for people."""
        return self.in_place.sources[path] if self.in_place else path

    @property
    def classes(self) -> list[str]:
        """The names of the classes, sorted."""
        return sorted({place.label for place in self.photos.values()})

    def around(self, path: str) -> str:
        """The folder that holds the class folder of a photo, with "/"; "" for the root."""
        steps = path.split("/")[: self.photos[path].depth - 1]
        return "".join(f"{step}/" for step in steps)

    def inner(self, path: str) -> str:
        """The path of a photo below its class folder."""
        return path.split("/", self.photos[path].depth)[-1]


def find_photos(root: Path, levels: Levels = AS_FOUND) -> Layout:
    """Find the photos of class folders or of a dataset.

    Raises:
        DataError: no such folder, no photos in class folders, or a damaged manifest.
        WrongUsage: it can be read in more than one way.
        StorageError: the folder was being replaced when imgcli was killed, and cannot be recovered.
    """
    layout = read_layout(root, levels)
    if (layout.manifest and not layout.parts) or (layout.parts and not layout.photos):
        raise DataError(
            f"'{root}' holds no photos in train/<class>/ or test/<class>/. {ARE_CLASSES}"
        )
    if "" in layout.errors:
        raise layout.errors[""]
    return layout


def read_layout(root: Path, levels: Levels = AS_FOUND) -> Layout:
    """As `find_photos`; a folder without photos is an error in the layout, which is not raised."""
    made = None if root.is_file() else find_manifest(root)
    if made is not None and made.read_from is not None:
        return layout_of_manifest(root, made)
    if not root.is_dir():
        return Layout(root, made, {}, {}, [], {"": _not_a_folder(root)})
    walk = _Walk.of(root)
    try:
        found = _as_split(walk) if made else _class_folders(walk, root, levels)
    except DataError as error:
        return Layout(root, made, {}, {}, walk.rejected, {"": _no_photos(root, walk, error)})
    if found.sign:
        note_once(found.sign)
    photos, rejected = walk.placed(found)
    for sentence in case_sentences({place.label for place in photos.values()}):
        note_once(sentence)
    parts = {"/".join(folder): part for folder, part in found.parts.items()}
    errors = _empty_parts(walk, root) if parts else {}
    rejected += (Rejected(folder, "a part without photos in class folders") for folder in errors)
    if made:  # a part that lost all its photos is one still
        parts = {name: name for name in PARTS if name in walk.folders}
    return Layout(root, made, parts, photos, sorted(rejected, key=lambda r: r.path), errors)


def layout_in_place(found: PhotosInPlace) -> Layout:
    """The layout of photos in place, as if each were in a class folder: `<class>/<name>`."""
    sources: dict[str, str] = {}
    locations: dict[str, Location] = {}
    for photo in sorted(found.photos):
        name = name_of(photo.source).lstrip("./")
        path = f"{photo.label}/{name.removeprefix(f'{photo.label}/')}"
        if path in sources:  # in another shard
            path = f"{photo.label}/{photo.source}"
        sources[path] = photo.source
        locations[path] = location_in(found.folder, *photo[1:])
    photos = {path: Place(path.split("/")[0], None, 1) for path in sorted(sources)}
    in_place = InPlace(found.name, found.folder, sources, locations)
    return Layout(Path(found.folder), None, {}, photos, list(found.rejected), {}, in_place)


def layout_of_manifest(root: Path, made: Manifest) -> Layout:
    """The layout of a dataset as its manifest has it; nothing is walked."""
    photos = {photo.path: Place(photo.label, photo.part, 2) for photo in made.photos}
    parts = {part: part for part in PARTS if any(p.part == part for p in made.photos)}
    in_place = None
    if (folder := made.folder(root)) is not None:
        sources = {photo.path: photo.source for photo in made.photos}
        in_place = InPlace(made.source, folder, sources, made.locations(folder))
    return Layout(root, made, parts, photos, [], {}, in_place)


def not_usable(rejected: Sequence[Rejected]) -> str:
    """The end of a sentence about too few photos: those that cannot be used, and why."""
    if not rejected:
        return ""
    paths = listed([item.path for item in rejected], 3)
    return f" Not usable: {paths} ({rejected[0].reason})."


def has_files(root: Path) -> bool:
    """Whether there is any file or link under a folder; it is not listed to its end."""
    for where, folders, files in os.walk(root):
        if files or any(os.path.islink(os.path.join(where, folder)) for folder in folders):
            return True
    return False


def find_manifest(root: Path) -> Manifest | None:
    """The manifest of a folder that is about to be read; None where there is none.

    If imgcli was killed while it replaced the folder, that is finished or undone first.

    Raises:
        DataError: the manifest is damaged.
        StorageError: the folder was being replaced when imgcli was killed, and cannot be recovered.
    """
    staging.recover(root, user_files)
    return read_manifest(root)


def photos_under(path: Path) -> tuple[list[str], list[Rejected]]:
    """The photos of a folder and its sub-folders, or a single file, without classes.

    Raises:
        DataError: there is nothing at `path`.
    """
    staging.recover(path)
    if path.is_dir():
        walk = _Walk.of(path, links=False)
        files = (f"{path}/{file}" for files in walk.files.values() for file in files)
        rejected = (Rejected(f"{path}/{item.path}", item.reason) for item in walk.rejected)
        return sorted(files), sorted(rejected, key=lambda r: r.path)
    if path.exists():
        return [str(path)], []
    raise DataError(f"No file or folder '{path}'. Name photos, or folders that hold some.")


def new_photos(path: Path) -> NewPhotos:
    """As `photos_under`, to be predicted; of a dataset of photos in place those that it names."""
    made = read_manifest(path) if path.is_dir() else None
    if made is not None and (folder := made.folder(path)) is not None:
        locations = made.locations(folder)
        shown = folder if os.path.isabs(made.source) else os.path.relpath(folder)
        names = tuple(os.path.join(shown, photo.source) for photo in made.photos)
        return NewPhotos(names, tuple(locations), lambda: locations.values())
    found, rejected = photos_under(path)
    inner = [os.path.relpath(name, path) if path.is_dir() else path.name for name in found]
    return NewPhotos(tuple(found), tuple(inner), lambda: found, tuple(rejected))


@dataclass(eq=False)
class _Walk:
    """The files under a folder, by the folder they are in; folders relative to it, "" for it."""

    files: dict[str, list[str]] = field(default_factory=dict)  # paths that may be photos
    rejected: list[Rejected] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)  # those that were followed below the top
    sidecars: Counter[Folder] = field(default_factory=Counter)  # .json files

    @classmethod
    def of(cls, root: Path, links: bool = True) -> "_Walk":
        """Walk `root`; links are followed where they may be class folders, and never in circles."""
        walk = cls()
        folders = [(str(root), "", False)]
        while folders:
            folder, relative, linked = folders.pop()
            try:
                if linked and _identity(folder) == _identity(root):
                    reason = "a link that leads back to the folder scanned"
                    walk.rejected.append(Rejected(relative, reason))
                    continue
                entries = list(_entries(folder, f"{relative}/" if relative else "", walk.rejected))
            except OSError as error:
                if not relative:
                    raise
                walk.rejected.append(Rejected(relative, f"cannot be listed: {error.strerror}"))
                continue
            if relative:
                walk.folders.append(relative)
            for entry in entries:
                path = f"{relative}/{entry.name}" if relative else entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.append((entry.path, path, linked))
                elif links and walk._follows(entry, path, root):
                    folders.append((entry.path, path, True))
                else:
                    walk._add(entry, path, relative)
        return walk

    def _follows(self, entry: os.DirEntry[str], path: str, root: Path) -> bool:
        """Whether an entry is a link to a folder that may be a class folder."""
        above = path.split("/")[:-1]
        if not _is_folder(entry) or len(above) >= _LINK_DEPTH:
            return False
        if above:
            around = [root.joinpath(*above[:depth]) for depth in range(len(above) + 1)]
            if _identity(entry.path) in map(_identity, around):
                return False
            self.links.append(path)
        return True

    def _add(self, entry: os.DirEntry[str], path: str, folder: str) -> None:
        if (reason := _rejection(entry)) is None:
            self.files.setdefault(folder, []).append(path)
            return
        self.rejected.append(Rejected(path, reason))
        if path.endswith(".json"):
            self.sidecars[_steps(folder)] += 1

    def counts(self) -> dict[Folder, int]:
        """The photos per folder; other files only where there are no photos by their names."""
        photos = {
            _steps(folder): sum(map(is_photo_name, paths)) for folder, paths in self.files.items()
        }
        if any(photos.values()):
            return photos
        return {_steps(folder): len(paths) for folder, paths in self.files.items()}

    def placed(self, found: ClassFolders) -> tuple[dict[str, Place], list[Rejected]]:
        """The photos, sorted by code point, and what is not used."""
        inside = tuple(f"{link}/" for link in self.links if _is_inside(link, found))
        photos: dict[str, Place] = {}
        rejected = [Rejected(link.removesuffix("/"), _INSIDE) for link in inside]
        # Beside the parts of a dataset are documents of whoever made it.
        parts = tuple("/".join((*folder, "")) for folder in found.parts) or ("",)
        rejected += (
            item
            for item in self.rejected
            if not item.path.startswith(inside) and item.path.startswith(parts)
        )
        for folder, paths in self.files.items():
            if f"{folder}/".startswith(inside):
                continue
            if place := found.place(_steps(folder)):
                photos.update(dict.fromkeys(paths, place))
            else:
                reason = f"is outside the class folders ({TREE})"
                rejected += (Rejected(path, reason) for path in paths)
        return dict(sorted(photos.items())), rejected + self._without_photos(found, rejected)

    def _without_photos(self, found: ClassFolders, rejected: Sequence[Rejected]) -> list[Rejected]:
        """The folders beside class folders that hold nothing at all."""
        beside = {folder[: place.depth - 1] for folder, place in found.places.items()}
        full = {path for paths in self.files.values() for path in paths[:1]}
        full |= {item.path for item in rejected}
        depths = {len(folder) + 1 for folder in beside}
        used = {"/".join(path.split("/", depth)[:depth]) for path in full for depth in depths}
        return [
            Rejected(folder, "a class folder without photos")
            for folder in self.folders
            if folder not in used and _steps(folder)[:-1] in beside
        ]


def _is_inside(link: str, found: ClassFolders) -> bool:
    place = found.place(_steps(link))
    return place is not None and len(_steps(link)) > place.depth


def _steps(folder: str) -> Folder:
    return tuple(folder.split("/")) if folder else ()


def _as_split(walk: _Walk) -> ClassFolders:
    """The class folders of a dataset of `imgcli split`, whatever their names."""
    folders = {_steps(folder)[:2] for folder in walk.files}
    return ClassFolders(
        {
            folder: Place(label_of(folder[1]), folder[0], 2)
            for folder in folders
            if len(folder) == 2 and folder[0] in PARTS
        }
    )


def _class_folders(walk: _Walk, root: Path, levels: Levels) -> ClassFolders:
    return find_class_folders(walk.counts(), str(root), levels, walk.sidecars)


def _empty_parts(walk: _Walk, root: Path) -> dict[str, DataError]:
    """What to say of the folders that are named as parts and hold nothing."""
    full = {path.split("/")[0] for paths in walk.files.values() for path in paths[:1]}
    return {
        folder: DataError(f"'{root / folder}' holds no photos. What is expected is {TREE}.")
        for folder in walk.folders
        if folder.lower() in PART_WORDS and folder not in full
    }


def _entries(folder: str, relative: str, rejected: list[Rejected]) -> Iterator[os.DirEntry[str]]:
    """The entries of `folder` without hidden files and the files of systems and of imgcli.

    A hidden folder with photos, which may be a class such as ".NET", is listed.
    """
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name.lower()
            if not name.startswith("."):
                if name not in IGNORED_NAMES:
                    yield entry
            elif reason := placeholder(name):
                rejected.append(Rejected(relative + entry.name, reason))
            elif may_be_class(name) and entry.is_dir(follow_symlinks=False):
                if n := photos_below(entry.path):
                    rejected.append(Rejected(relative + entry.name, hidden(n)))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder or a link to one; a link in a circle is neither."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _rejection(entry: os.DirEntry[str]) -> str | None:
    """The reason why an entry cannot be a photo; None if it may be one."""
    extension = os.path.splitext(entry.name)[1].lower()
    try:
        if entry.is_file():
            if extension in OTHER_SUFFIXES:
                return placeholder(entry.name) or f"not a picture, by its name ({extension})"
            return None
        if _is_folder(entry):
            return _INSIDE
    except OSError as error:  # a link that points at itself, or to where we may not look
        return f"a broken link: {error.strerror}"
    if entry.is_symlink() and not os.path.exists(entry.path):
        return broken_link(os.readlink(entry.path))
    return "neither a file nor a folder"


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _not_a_folder(root: Path) -> DataError:
    if root.exists():
        split = f", or split it in place: {_in_place(root)}" if _is_named(root.name) else ""
        return DataError(
            f"'{root}' is a file, not a folder of class folders. "
            f"Import it first: imgcli import {shlex.quote(str(root))} --out raw{split}"
        )
    return DataError(
        f"No folder '{root}'. Name a folder of class folders ({TREE}), "
        "or make one with `imgcli import`."
    )


def _in_place(path: Path) -> str:
    """The command that makes a dataset of photos in place."""
    return f"imgcli split {shlex.quote(str(path))}"


def _is_named(name: str) -> bool:
    """Whether a file names photos, or holds them as a shard."""
    return name.lower().endswith((SHARD, *SUFFIXES, ".parquet"))


def _no_photos(root: Path, walk: _Walk, error: DataError) -> DataError:
    """What to say of a folder without photos in class folders."""
    loose = sorted(walk.files.get("", ()))
    if loose and len(walk.files) == 1:
        n = f"{len(loose)} photos" if len(loose) > 1 else "one photo"
        return DataError(
            f"'{root}' holds {n} ({listed(loose, 3)}) but no class folders. "
            f"Put each photo into a folder named after its class: {TREE}."
        )
    if walk.files:
        return error
    if "train" in walk.folders:
        return DataError(
            f"'{root}' holds no photos in train/<class>/ or test/<class>/. {ARE_CLASSES}"
        )
    if shards := sorted(item.path for item in walk.rejected if item.path.endswith(SHARD)):
        return DataError(
            f"'{root}' holds shards ({listed(shards, 3)}) and no photos in class folders. Make a "
            f"dataset of them, which later commands take: {_in_place(root)}"
        )
    rejected = sorted(item.path for item in walk.rejected)
    others = f" (only {listed(rejected, 3)})" if rejected else ""
    return DataError(f"'{root}' holds no photos{others}. What is expected is {TREE}.")
