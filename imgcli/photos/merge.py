"""Classes made one in a new tree of links, and taken apart again.

    raw/crab/1.jpg               ->  raw-merged/shellfish/crab__1.jpg
    raw/owl/2019/7.jpg           ->  raw-merged/owl/2019/7.jpg
    dataset/test/crab/1.jpg      ->  dataset-merged/test/shellfish/crab__1.jpg
    merge.json                       which classes were made one, and each of their photos' old path

Works on class folders and on split datasets, whose parts stay as they are; `split.json` and
`provenance.jsonl` follow. Files that are no photos come along; hidden ones don't.
"""

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import Any

from msgspec import Struct, structs

from imgcli import documents, provenance, staging
from imgcli.aside import files_in
from imgcli.class_folders import Place
from imgcli.documents import Relative
from imgcli.errors import DataError, StorageError
from imgcli.files import refuse_case_twins, write_atomic, write_json, writing
from imgcli.folder_names import AS_FOUND, Levels, label_of
from imgcli.photos.hashing import digest_files
from imgcli.photos.layout import Layout, read_layout
from imgcli.photos.manifest import NAME as MANIFEST
from imgcli.photos.manifest import Manifest, flat_names, hard_link, read_manifest
from imgcli.photos.merge_spec import Merge, check_merges
from imgcli.progress import track
from imgcli.text import listed

NAME = "merge.json"
FORMAT = 1  # a reader refuses any other


@dataclass(frozen=True)
class Merged:
    """What a merge, or its undoing, made."""

    out: Path
    merges: tuple[Merge, ...]
    classes: Mapping[str, int]  # photos per class
    split: bool  # whether it has parts
    copied: int  # files that could not be linked
    left: tuple[str, ...]  # photos added since the merge, which have no old class
    notes: tuple[str, ...] = ()  # sentences about what is out of the ordinary


@dataclass(frozen=True)
class _Documents:
    """The documents of a tree to be made; None for those that it has not."""

    merge: Mapping[str, Any] | None
    manifest: Manifest | None
    lines: bytes | None

    @property
    def names(self) -> set[str]:
        documents = {NAME: self.merge, MANIFEST: self.manifest, provenance.NAME: self.lines}
        return {name for name, document in documents.items() if document is not None}

    def write(self, folder: Path) -> None:
        if self.merge is not None:
            write_json(folder / NAME, self.merge)
        if self.manifest is not None:
            self.manifest.write(folder)
        if self.lines is not None:
            write_atomic(folder / provenance.NAME, self.lines)

    def are_in(self, folder: Path) -> bool:
        """Whether the folder, which has files of their names, has these very documents."""
        return (
            (self.merge is None or _read_merge(folder) == self.merge)
            and read_manifest(folder) == self.manifest
            and (self.lines is None or (folder / provenance.NAME).read_bytes() == self.lines)
        )


class _Was(Struct):
    path: Relative
    was: Relative


class _Document(Struct):
    """A `merge.json`."""

    merges: tuple[Merge, ...]
    photos: list[_Was]
    before: dict[str, Any] | None  # the `merge.json` of the tree that was merged


def classes_in(root: Path, levels: Levels = AS_FOUND) -> list[str]:
    """The classes of a folder of class folders or of a split dataset.

    Raises:
        DataError: it is neither.
        WrongUsage: it can be read in more than one way.
    """
    return _read_tree(root, levels).classes


def merge_classes(
    root: Path,
    merges: Sequence[Merge],
    out: Path,
    force: bool = False,
    levels: Levels = AS_FOUND,
) -> Merged:
    """Make `out` with the photos of `root`, some of its classes made one.

    Raises:
        DataError: the merges do not fit the classes, or `root` has none.
        StorageError: `out` exists, or one of the two is inside the other.
    """
    tree = _read_tree(root, levels)
    check_merges(merges, tree.classes, root)
    name_of = {old: merge.name for merge in merges for old in merge.classes}
    moved = _new_paths(tree, name_of)
    before = _read_merge(root) if (root / NAME).is_file() else None
    document = {
        "format": FORMAT,
        "source": str(root),
        "merges": [{"classes": list(m.classes), "name": m.name} for m in merges],
        "photos": [{"path": new, "was": old} for old, new in sorted(moved.items())],
        "before": before,
    }
    return _make(tree, out, moved, document, tuple(merges), force=force)


def undo_merge(root: Path, out: Path, force: bool = False, levels: Levels = AS_FOUND) -> Merged:
    """Make `out` with the photos of a merged tree under the paths that they had before.

    A photo added to a merged class since then has no old class and keeps its place.

    Raises:
        DataError: `root` was not made by a merge, or its `merge.json` is damaged.
        StorageError: `out` exists, or one of the two is inside the other.
    """
    staging.recover(root)
    document = documents.as_type(_read_merge(root), _Document)
    tree = _read_tree(root, levels)
    known = {photo.path: photo.was for photo in document.photos}
    _check_old_paths(root, known, tree)
    moved = {path: known[path] for path in tree.photos if path in known}
    names = {merge.name for merge in document.merges}
    left = tuple(p for p, place in tree.photos.items() if place.label in names and p not in known)
    return _make(tree, out, moved, document.before, document.merges, left, force=force)


# --- reading ------------------------------------------------------------------------------------


def _read_tree(root: Path, levels: Levels = AS_FOUND) -> Layout:
    """The layout of a tree to be merged, each of whose parts has photos.

    Raises:
        DataError: a part, or a tree of class folders, has none; or parts are in class folders.
        WrongUsage: it can be read in more than one way.
    """
    layout = read_layout(root, levels)
    for error in layout.errors.values():
        raise error
    if any(folder.count("/") >= place.depth for folder, place in _first_of_parts(layout)):
        raise DataError(
            f"'{root}' has parts inside its class folders. Make a dataset of it, and merge that: "
            f"imgcli import {quote(str(root))} --keep-split"
        )
    return layout


def _first_of_parts(layout: Layout) -> Iterator[tuple[str, Place]]:
    """A photo of each part, by its part folder with "/"."""
    for folder in layout.parts:
        prefix = f"{folder}/" if folder else ""
        for path, place in layout.photos.items():
            if path.startswith(prefix):
                yield prefix, place
                break


def _files_of(tree: Layout) -> list[str]:
    """The files to be placed: photos and others, without imgcli's documents, which are written."""
    if tree.in_place:
        return []  # the manifest says where they are
    others = [item.path for item in tree.rejected if (tree.root / item.path).is_file()]
    return [*tree.photos, *others]


def _new_paths(tree: Layout, name_of: Mapping[str, str]) -> dict[str, str]:
    """Where the photos of merged classes go: into one folder, each named after its old class."""
    merged = {
        path: name_of[place.label] for path, place in tree.photos.items() if place.label in name_of
    }
    inside_of: dict[str, dict[str, str]] = defaultdict(dict)
    for path in merged:
        around = tree.around(path)
        inside_of[around][path.removeprefix(around)] = path
    moved = {}
    for around, inside in inside_of.items():
        sources = {f"{merged[path]}/{inner}": path for inner, path in inside.items()}
        steps = {source: (source.split("/")[0], source.split("/", 1)[1]) for source in sources}
        for source, name in flat_names(steps).items():
            moved[sources[source]] = f"{around}{steps[source][0]}/{name}"
    return moved


# --- writing ------------------------------------------------------------------------------------


def _make(
    tree: Layout,
    out: Path,
    moved: Mapping[str, str],
    document: Mapping[str, Any] | None,  # the new `merge.json`
    merges: tuple[Merge, ...],
    left: tuple[str, ...] = (),
    *,
    force: bool,
) -> Merged:
    """Make the new tree, whole or not at all; one that is there already is left as it is."""
    root = tree.root
    source, target = root.resolve(), out.resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise StorageError(f"--out '{out}' and '{root}' lie in one another. Name a place outside.")
    labels = {
        path: label_of(moved.get(path, path).split("/")[place.depth - 1])
        for path, place in tree.photos.items()
    }
    counts = Counter(labels.values())
    made = Merged(out, merges, dict(sorted(counts.items())), bool(tree.parts), 0, left)
    files = {moved.get(path, path): path for path in _files_of(tree)}
    labelled = {old: (new, labels[old]) for old, new in moved.items()}
    documents = _Documents(
        document, _manifest(root, out, moved), provenance.copied_lines(root, labelled)
    )

    def user_files(old: Path) -> list[str]:
        return [] if _is_made(root, old, files, documents) else files_in(old)

    staging.recover(out, user_files)
    if not force and staging.is_occupied(out) and _is_made(root, out, files, documents):
        copied = sum(not os.path.samefile(root / old, out / new) for new, old in files.items())
        notes = (f"'{out}' is this very tree already; nothing was changed.",)
        return replace(made, copied=copied, notes=notes)
    with staging.staged_folder(out, replace=force, user_files=user_files) as staged:
        refuse_case_twins(files, out, staged.folder)
        copied = _place(root, out, staged.folder, files)
        documents.write(staged.folder)
    return replace(made, copied=copied, notes=(staged.kept,) if staged.kept else ())


def _place(root: Path, out: Path, folder: Path, files: Mapping[str, str]) -> int:
    """Link the files of `root` to their new paths below `folder`, which is to become `out`.

    Returns:
        How many had to be copied.
    """
    copied = 0
    for new, old in track(files.items(), "Placing photos", len(files), "photos"):
        target = folder / new
        target.parent.mkdir(parents=True, exist_ok=True)
        with writing(out / new):
            if not hard_link(str(root / old), str(target)):
                shutil.copyfile(root / old, target)
                copied += 1
    return copied


def _is_made(root: Path, out: Path, files: Mapping[str, str], documents: _Documents) -> bool:
    """Whether `out` has exactly these files, by their new paths, and these documents."""
    if {*files, *documents.names} != set(files_in(out)):
        return False
    others = [p for p in files.items() if not os.path.samefile(out / p[0], root / p[1])]
    digests = digest_files([path for new, old in others for path in (out / new, root / old)])
    if any(one != other for one, other in zip(digests[::2], digests[1::2], strict=True)):
        return False
    try:
        return documents.are_in(out)
    except DataError:
        return False


def _manifest(root: Path, out: Path, moved: Mapping[str, str]) -> Manifest | None:
    """`split.json` of the new tree: the same photos in the same parts, under their new classes."""
    made = read_manifest(root)
    if made is None:
        return None
    photos = [
        structs.replace(photo, path=moved.get(photo.path, photo.path)) for photo in made.photos
    ]
    photos.sort(key=lambda photo: photo.path)
    classes = tuple(sorted({photo.label for photo in photos}))
    read_from = made.read_from
    if read_from is not None and not os.path.isabs(read_from):
        read_from = os.path.relpath(str(made.folder(root)), out.parent.resolve() / out.name)
    return replace(made, photos=tuple(photos), classes=classes, read_from=read_from)


def _read_merge(root: Path) -> dict[str, Any]:
    """The `merge.json` of a merged tree.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    path = root / NAME
    try:
        document: dict[str, Any] = documents.read_json(path, FORMAT)
        documents.as_type(document, _Document)
        return document
    except FileNotFoundError:
        raise DataError(
            f"There is no '{path}', so '{root}' was not made by `imgcli merge` and has nothing to "
            "undo. Name a folder that was."
        ) from None
    except (OSError, documents.DocumentError) as error:
        reason = documents.reason_of(error)
        raise DataError(
            f"'{path}' cannot be read ({reason}). Restore it, or merge again."
        ) from None


def _check_old_paths(root: Path, known: Mapping[str, str], tree: Layout) -> None:
    """Refuse old paths that are no photos' places in such a tree, or are other files' places."""
    depth = next((place.depth for place in tree.photos.values()), 1)
    for path, was in known.items():
        steps, here = was.split("/"), path.split("/")
        level = tree.photos[path].depth if path in tree.photos else depth
        if len(steps) <= level or steps[: level - 1] != here[: level - 1] or "" in steps:
            raise DataError(
                f"'{root / NAME}' says that '{path}' was '{was}', where no photo can have been. "
                "Restore it, or merge again."
            )
    olds = [known.get(path, path) for path in _files_of(tree)]
    if twice := [path for path, n in Counter(olds).items() if n > 1]:
        raise DataError(
            f"'{root / NAME}' puts two photos at {listed(twice)}. Restore it, or merge again."
        )
