"""A folder of class folders as a source, on disk or behind a URI."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

from imgcli.collect.imports.labelled_photo import Entry, NotTaken
from imgcli.folder_names import hidden, is_system_file, may_be_class, photos_below
from imgcli.image_types import ANNEX, broken_link, is_photo_name, placeholder
from imgcli.records import Rejected
from imgcli.remote.objects import list_folder, list_uris, open_uri
from imgcli.remote.path import RemotePath
from imgcli.remote.storage import RemoteObject


def folder_entries(source: Path) -> Iterator[Entry | Rejected]:
    """Every file under `source`, sorted by name, whatever the disk's order.

    A linked photo is read like any other and has the class of the folder with the link. A link to
    a folder is followed at the first level only, where it is a class folder, and never to a folder
    around `source`, so there are no loops. Pipes, sockets and devices are not opened.
    """
    if isinstance(source, RemotePath):
        yield from remote_entries(source)
        return
    folders: list[tuple[str, ...]] = [()]
    while folders:
        parts = folders.pop()
        try:
            with os.scandir(source.joinpath(*parts)) as listing:
                found = sorted(listing, key=lambda entry: entry.name)
        except OSError as error:
            if not parts:
                raise
            yield Rejected(_origin(source, parts), f"cannot be listed ({error.strerror})")
            continue
        below = []
        for entry in found:
            if is_system_file(entry.name):
                if reason := placeholder(entry.name):
                    yield Rejected(_origin(source, (*parts, entry.name)), reason)
                elif may_be_class(entry.name) and entry.is_dir(follow_symlinks=False):
                    if n := photos_below(entry.path):
                        yield Rejected(_origin(source, (*parts, entry.name)), hidden(n))
                continue
            item = _entry(entry, source, (*parts, entry.name))
            if item is None:
                below.append((*parts, entry.name))
            else:
                yield item
        folders += reversed(below)


def remote_entries(source: RemotePath) -> Iterator[Entry | Rejected]:
    """Every object below a URI, in the order that a folder of them would have."""
    folders: list[tuple[str, ...]] = [()]
    while folders:
        parts = folders.pop()
        below = []
        for one in list_folder("/".join((source.uri, *parts))):
            origin = _origin(source, (*parts, one.name))
            if is_system_file(one.name):
                if reason := placeholder(one.name):
                    yield Rejected(origin, reason)
                elif may_be_class(one.name) and one.is_folder:
                    if n := sum(is_photo_name(inner.name) for inner in list_uris(one.uri)):
                        yield Rejected(origin, hidden(n))
            elif one.is_folder:
                below.append((*parts, one.name))
            else:
                yield remote_entry((*parts, one.name), origin, one)
        folders += reversed(below)


def remote_entry(parts: tuple[str, ...], origin: str, one: RemoteObject) -> Entry:
    """An object as a file of a source."""
    return Entry(parts, origin, one.size, partial(_open_object, one), etag=one.etag, apart=True)


@contextmanager
def _open_object(one: RemoteObject) -> Iterator[IO[bytes]]:
    """Open an object to read.

    Raises:
        NotTaken: it is gone, has changed since it was listed, or may not be read.
    """
    whole = one.size if is_photo_name(one.name) else None  # in one request
    try:
        with open_uri(one, first=whole) as file:
            yield file
    except OSError as error:
        raise NotTaken(f"cannot be read ({error.strerror or error})") from None


def _entry(
    entry: os.DirEntry[str], source: Path, parts: tuple[str, ...]
) -> Entry | Rejected | None:
    """One file, or why it is rejected; None for a folder to enter."""
    origin = _origin(source, parts)
    try:
        status = entry.stat()
    except OSError as error:
        if entry.is_symlink() and broken_link(os.readlink(entry.path)) == ANNEX:
            return Rejected(origin, ANNEX)
        kind = "broken link" if entry.is_symlink() else "cannot be read"
        return Rejected(origin, f"{kind} ({error.strerror})")
    if stat.S_ISREG(status.st_mode):
        return Entry(parts, origin, status.st_size, partial(open_file, entry.path))
    if not stat.S_ISDIR(status.st_mode):
        return Rejected(origin, "a pipe, socket or device, not a file")
    if entry.is_symlink():
        return _linked_folder(entry, source, parts)
    return None


def _linked_folder(
    entry: os.DirEntry[str], source: Path, parts: tuple[str, ...]
) -> Rejected | None:
    target, top = Path(entry.path).resolve(), source.resolve()
    if target == top or target in top.parents:
        return Rejected(_origin(source, parts), "a link back to a folder around it")
    if len(parts) > 1:
        return Rejected(
            _origin(source, parts), "a link to a folder; only a class folder may be one"
        )
    return None


@contextmanager
def open_file(path: str) -> Iterator[IO[bytes]]:
    """Open a regular file to read.

    Raises:
        NotTaken: it is gone, something else, or may not be read.
    """
    try:
        # Non-blocking: should a pipe have taken the file's place, opening it must not hang.
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise NotTaken("not a file")
            yield file
    except OSError as error:
        raise NotTaken(f"cannot be read ({error.strerror or error})") from None


def _origin(source: Path, parts: tuple[str, ...]) -> str:
    return "/".join((str(source), *parts))
