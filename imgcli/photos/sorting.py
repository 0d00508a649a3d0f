"""Photos put into folders by their predicted class, so that they can be taken out exactly.

    sorted/cat/017.jpg                       a hard link to holiday/017.jpg, or a copy, or a link
    sorted/cat/day2__017.jpg                 of holiday/day2/017.jpg
    sorted/unsure/018.jpg
    quarantine/sorted-20261121-101500/       the journal of `photos.quarantine`, written first

Originals stay where they are, and nothing in the folder is overwritten. A command that is killed
and given again places the rest; `imgcli restore sorted` takes out what the journals name.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from imgcli.batch import Batch
from imgcli.errors import StorageError, WrongUsage
from imgcli.files import locked, need_space, sweep_temporaries, sync_folder, writing
from imgcli.image_types import HEAD, SUFFIXES, is_photo_name, photo_format
from imgcli.photos.hashing import digest_files
from imgcli.photos.manifest import Link, flat_names, hard_link
from imgcli.photos.quarantine import SORTED, SORTED_MEMBER, Move, begin_batch, refuse_split, restore
from imgcli.progress import track
from imgcli.reading import MAX_PHOTO, digest_of, read_regular
from imgcli.records import Rejected
from imgcli.text import free_suffixes

_AT_ONCE = 64_000_000  # bytes of copies that become durable together


@dataclass(frozen=True)
class ToSort:
    """A photo to be placed."""

    name: str  # its path, or of a member of an archive "photos.zip!cat/1.jpg"
    inner: str  # its path below the folder or archive that was named
    folder: str  # of its class
    reason: str  # why there


@dataclass(frozen=True)
class SortedInto:
    """What came of sorting photos."""

    placed: tuple[str, ...]  # paths in the folder
    already: tuple[str, ...]  # paths where the same bytes were before
    copied: int  # of those placed, though links were asked for
    left: tuple[Rejected, ...]  # not placed, and why


Contents = Callable[[], Iterable[str | bytes]]  # the file of each photo, or its bytes, in order


def refuse_place(target: Path, sources: Iterable[Path], option: str = "--sort-into") -> None:
    """Refuse a folder that photos may not be sorted into.

    Args:
        option: that names it.

    Raises:
        StorageError: it is a file.
        WrongUsage: it is inside a folder that photos come from.
        DataError: it was made by `imgcli split`.
    """
    if target.exists() and not target.is_dir():
        raise StorageError(f"'{target}' is a file. Choose another folder for {option}.")
    place = target.resolve()
    for source in sources:
        if source.is_dir() and place.is_relative_to(source.resolve()):
            raise WrongUsage(
                f"{option} '{target}' is inside '{source}', whose photos go there. Choose a folder "
                "outside it."
            )
    refuse_split(target)


def sort_into(target: Path, photos: Sequence[ToSort], contents: Contents, link: Link) -> SortedInto:
    """Put photos into folders of `target`; nothing there is overwritten.

    Raises:
        StorageError: `link` is "hard" and cannot be, no room for copies, or another imgcli is
            writing there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    home = target.resolve()
    with locked(home.with_name(f".{home.name}.lock")):
        for folder in {photo.folder for photo in photos}:
            sweep_temporaries(home / folder)  # of a command that was killed
        plan = _Plan.of(home, photos, contents)
        if not plan.moves:
            return SortedInto((), tuple(plan.already), 0, tuple(plan.left))
        folders = _missing(home, plan.moves.values())
        batch = begin_batch(home, list(plan.moves.values()), folders)
        for folder in folders:
            with writing(home / folder):
                os.makedirs(home / folder, exist_ok=True)
        placer, failed = _Placer(home, link), None
        try:
            for move, content in track(
                plan.with_contents(contents), "Placing photos", len(plan.moves), "photos"
            ):
                placer.place(move, content)
            placer.close()
        except StorageError as error:
            failed = error
        finally:
            placer.discard()
    if failed:
        restore(batch)
        raise failed
    left = (*plan.left, *placer.left)
    return SortedInto(tuple(placer.done), tuple(plan.already), placer.copied, left)


# --- what goes where ----------------------------------------------------------------------------


@dataclass(eq=False)
class _Plan:
    """The photos to be placed, by their position, and those that need not or cannot be."""

    moves: dict[int, Move]
    already: list[str]
    left: list[Rejected]

    @classmethod
    def of(cls, home: Path, photos: Sequence[ToSort], contents: Contents) -> "_Plan":
        plan = cls({}, [], [])
        taken: set[tuple[str, str]] = set()
        names = _names(photos)
        for i, (photo, (name, digest, source, inside)) in enumerate(
            zip(photos, _originals(photos, names, contents), strict=True)
        ):
            if digest is None:
                plan.left.append(Rejected(photo.name, name))
                continue
            path = free_place(home, photo.folder, name, digest, taken)
            taken.add((photo.folder, path.rpartition("/")[2].casefold()))
            if os.path.lexists(home / path):
                plan.already.append(path)
            else:
                kind = SORTED_MEMBER if inside else SORTED
                plan.moves[i] = Move(path, kind, photo.reason, sha256=digest, source=source)
        return plan

    def with_contents(self, contents: Contents) -> Iterator[tuple[Move, str | bytes]]:
        for i, content in enumerate(contents()):
            if move := self.moves.get(i):
                yield move, content


def _names(photos: Sequence[ToSort]) -> list[str]:
    """A file name for each photo, no two alike within a folder."""
    keys: list[str] = []
    known: set[str] = set()
    for photo in photos:
        key = f"{photo.folder}/{photo.inner}"
        if key in known:  # of two folders, or files of one name
            steps = [step for step in photo.name.split("/") if step not in ("", ".", "..")]
            key = f"{photo.folder}/{'/'.join(steps)}"
        known.add(key)
        keys.append(key)
    found = flat_names({key: (key.split("/")[0], key.split("/", 1)[1]) for key in keys})
    return [found[key] for key in keys]


def _originals(
    photos: Sequence[ToSort], names: Sequence[str], contents: Contents
) -> Iterator[tuple[str, str | None, str, bool]]:
    """Of each photo its file name, its SHA-256, its file, and whether it is inside that.

    Without a SHA-256, the reason in place of the name.
    """
    found = list(_looked_at(contents()))
    files = [content for content in found if isinstance(content, str)]
    digests = iter(digest_files(files))
    for photo, name, content in zip(photos, names, found, strict=True):
        if isinstance(content, str):
            digest = next(digests)
            if isinstance(digest, Rejected):
                yield digest.reason, None, "", False
            else:
                yield name, digest, os.path.abspath(content), False
        else:
            digest, suffix = content
            stem = name if is_photo_name(name) else name + suffix
            yield stem, digest, os.path.abspath(_container(photo.name)), True


def _looked_at(contents: Iterable[str | bytes]) -> Iterator[str | tuple[str, str]]:
    """Files as they are; of bytes their SHA-256 and the suffix of their format."""
    for content in contents:
        if isinstance(content, str):
            yield content
        else:
            image_format = photo_format(content[:HEAD])
            suffix = SUFFIXES[image_format][0] if image_format else ""
            yield hashlib.sha256(content).hexdigest(), suffix


def _container(name: str) -> str:
    """The file that a photo is inside, by its name: "photos.zip" of "photos.zip!cat/1.jpg"."""
    ends = (i for i, char in enumerate(name) if char in "![")
    return next((name[:i] for i in ends if os.path.isfile(name[:i])), name)


def free_place(home: Path, folder: str, name: str, digest: str, taken: Set[tuple[str, str]]) -> str:
    """A path that is free, or has the same bytes already."""
    stem, suffix = os.path.splitext(name)
    tagged = (f"{stem[:200]}-{digest[:8]}{extra}{suffix}" for extra in free_suffixes())
    for candidate in chain([name], tagged):
        path = f"{folder}/{candidate}"
        free = (folder, candidate.casefold()) not in taken
        if free and (not os.path.lexists(home / path) or _has(home / path, digest)):
            return path
    raise AssertionError("there is always a further name")


def _has(file: Path, digest: str) -> bool:
    try:
        return digest_of(file) == digest
    except OSError:
        return False


def _missing(home: Path, moves: Iterable[Move]) -> list[str]:
    """The folders to make, those around others first; "" is the folder itself."""
    wanted = ["", *sorted({move.path.split("/")[0] for move in moves})]
    return [folder for folder in wanted if not (home / folder).is_dir()]


# --- placing ------------------------------------------------------------------------------------


class _Placer:
    """Places photos one by one: linked at once, copies together."""

    def __init__(self, home: Path, link: Link) -> None:
        self.home = home
        self.link = link
        self.done: list[str] = []
        self.left: list[Rejected] = []
        self.copied = 0
        self._copies = Batch(home)
        self._waiting: list[str] = []

    def place(self, move: Move, content: str | bytes) -> None:
        path = self.home / move.path
        try:
            with writing(path):
                self._place(move, path, content)
        except FileExistsError:
            self.left.append(Rejected(move.path, "something else has that name by now"))

    def _place(self, move: Move, path: Path, content: str | bytes) -> None:
        if isinstance(content, bytes):
            self._copy(move, content)
        elif self.link == "symlink":
            os.symlink(os.path.relpath(os.path.abspath(content), path.parent), path)
            self.done.append(move.path)
        elif self.link != "copy" and hard_link(content, str(path)):
            self.done.append(move.path)
        elif self.link == "hard":
            raise StorageError(
                f"'{content}' cannot have a hard link in '{self.home}', which is on another file "
                "system or one without such links. Use --link auto, symlink or copy."
            )
        else:
            self._copy(move, read_regular(content, MAX_PHOTO))
            self.copied += self.link == "auto"

    def _copy(self, move: Move, data: bytes) -> None:
        if hashlib.sha256(data).hexdigest() != move.sha256:
            self.left.append(Rejected(move.path, "its original changed meanwhile"))
            return
        need_space(self.home, len(data), f"A copy of '{move.source}'")
        folder, _, name = move.path.rpartition("/")
        self._copies.add(folder, name, data)
        self._waiting.append(move.path)
        if self._copies.bytes > _AT_ONCE:
            self._commit()

    def _commit(self) -> None:
        self._copies.commit()
        self.done += self._waiting
        self._waiting = []

    def close(self) -> None:
        """Make everything durable."""
        self._commit()
        for folder in sorted({path.split("/")[0] for path in self.done}):
            sync_folder(self.home / folder)

    def discard(self) -> None:
        """Drop the copies that have no names yet."""
        self._copies.discard()
