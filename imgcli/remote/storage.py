"""A bucket, a repository on the hub, or another place of objects: list, look up, read a range.

Objects are read as they were listed: by their ETag, their generation or the commit of the
repository, so that one that has changed since is refused and never mixed in. A read that is
throttled or breaks off is repeated with back-off; what is returned has all its bytes.
"""

import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from time import sleep
from typing import Any, Protocol, TypeVar

from imgcli.errors import DataError, Refused
from imgcli.progress import note_once
from imgcli.remote.faults import RETRIED, Changed, Kind, Short, kind_of, sentence, words
from imgcli.remote.libraries import BUCKETS as BUCKETS
from imgcli.remote.libraries import (
    READERS,
    commit_of,
    etag_of,
    filesystem,
    first_key,
    has_hub_token,
    kind_of_scheme,
    path_in,
    pinned,
    s3_filesystem,
    top_of,
)
from imgcli.remote.uris import shown, split_uri

T = TypeVar("T")

TRIES = 6  # of one request; with the pauses between them about 15 s
FIRST_PAUSE = 0.5  # seconds; twice that after the next failure, and so on
LONGEST_PAUSE = 30.0  # seconds
FIRST_ANSWER = 20.0  # seconds until a place answers at all; loading its library is in them
WEB = {"http", "https"}
_FAST = 2  # tries of the first request


@dataclass(frozen=True, slots=True)
class RemoteObject:
    """An object, or a folder of them, as it was listed."""

    uri: str
    size: int = 0  # bytes
    etag: str = ""  # of the content: ETag, generation, git or LFS hash; "" where there is none
    is_folder: bool = False

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.uri.rstrip("/").rsplit("/", 1)[-1]


class Storage:
    """A place of objects, connected when it is first asked."""

    def __init__(self, uri: str) -> None:
        """
        Raises:
            Refused: the library that knows the scheme is not installed.
        """
        self.scheme, rest = split_uri(uri)
        self.top = f"{self.scheme}://{top_of(self.scheme, rest)}"
        self._kind = kind_of_scheme(self.scheme)
        self._tries = 2 if self._kind == "gs" else TRIES  # gcsfs itself tries six times
        self._fs = filesystem(self.scheme, self.top)
        self._at = ""  # the commit of a repository, by which all is listed and read
        self._answered = False
        self._has_key = True
        self._lock = threading.Lock()

    def listing(self, uri: str) -> list[RemoteObject]:
        """What lies directly in a folder, sorted by name; empty where there is none.

        Raises:
            Refused: the folder cannot be listed.
        """
        try:
            found = self._ask(uri, lambda: self._fs.ls(self._path(uri), detail=True, refresh=True))
        except FileNotFoundError:
            return []
        finally:
            getattr(self._fs, "dircache", {}).clear()  # it would keep every object in memory
        here = self._path(uri).rstrip("/")
        objects = [self._object(info) for info in found if info["name"].rstrip("/") != here]
        return sorted((one for one in objects if one.name), key=lambda one: one.name)

    def look_up(self, uri: str) -> RemoteObject | None:
        """The object or folder at a URI; None if there is nothing.

        Raises:
            Refused: it may not be looked at, or the bucket is not there.
        """
        try:
            info = self._ask(uri, lambda: self._fs.info(self._path(uri), **self._fresh()))
        except FileNotFoundError:
            return None
        finally:
            getattr(self._fs, "dircache", {}).clear()
        return self._object(info)

    def matching(self, pattern: str) -> list[str]:
        """The URIs that a pattern such as s3://bucket/data/*.parquet means, sorted."""
        found = self._ask(pattern, lambda: self._fs.glob(self._path(pattern)))
        return sorted(self._uri(path) for path in found)

    def read(self, one: RemoteObject, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`, all of them.

        Raises:
            Changed: it is not the object any more that was listed.
            OSError: it is gone, or may not be read; `strerror` is the reason.
            Refused: the server does not answer, or takes the credentials no more.
        """

        def read() -> bytes:
            data = bytes(READERS[self._kind](self._fs, self._path(one.uri), one.etag, start, end))
            if len(data) != end - start:
                raise Short(f"{len(data):,} of {end - start:,} bytes came")
            return data

        if start >= end:
            return b""
        try:
            return self._retried(read, self._tries)
        except Exception as error:
            raise self._unread(error, one) from None

    def _unread(self, error: Exception, one: RemoteObject) -> Exception:
        """What is raised for an object that could not be read."""
        match kind_of(error):
            case Kind.CHANGED:
                return Changed(0, "it has changed while it was imported", shown(one.uri))
            case Kind.MISSING:
                return FileNotFoundError(2, "replaced or removed since it was listed")
            case Kind.DENIED:
                return PermissionError(13, "access denied")
            case Kind.OTHER if isinstance(error, OSError | ValueError):
                return OSError(5, words(error, one.uri))
        return Refused(sentence(error, one.uri, self._has_key))

    # --- asking ---------------------------------------------------------------------------------

    def _ask(self, uri: str, request: Callable[[], T]) -> T:
        """The answer to a request; the first of all has to come soon.

        Raises:
            FileNotFoundError: there is nothing at the URI, though the bucket is there.
            Refused: as a sentence.
        """
        try:
            with self._lock:
                if not self._answered:
                    self._connect(uri)
        except Exception as error:
            raise self._refused(error, uri) from None
        try:
            return self._retried(request, self._tries)
        except Exception as error:
            if kind_of(error) is Kind.MISSING:
                raise FileNotFoundError(shown(uri)) from None
            raise self._refused(error, uri) from None

    def _refused(self, error: Exception, uri: str) -> Exception:
        if isinstance(error, Refused):
            return error
        kind = DataError if kind_of(error) is Kind.MISSING else Refused
        return kind(sentence(error, uri, self._has_key))

    def _connect(self, uri: str) -> None:
        """Let the place answer once, with credentials or, where there are none, without."""

        def first() -> None:
            if self._kind == "hf":
                self._has_key = has_hub_token()
                self._at = commit_of(self._fs, self.top, FIRST_ANSWER)
            elif self._kind == "s3":
                first_key(self._fs, self._path(uri))
            else:
                self._fs.info(path_in(self.top))

        try:
            _within(FIRST_ANSWER, lambda: self._retried(first, _FAST))
        except Exception as error:
            denied, kind = error, kind_of(error)
            may_be_public = self._kind == "s3" and kind in (Kind.NO_CREDENTIALS, Kind.DENIED)
            if kind in (Kind.BUSY, Kind.BROKEN):  # it is there
                self._retried(first, self._tries)
            elif not may_be_public and kind is not Kind.DENIED:
                raise  # a bucket may be closed that holds an open folder
        else:
            may_be_public = False
        if may_be_public:
            self._without_key(uri, denied)
        self._answered = True

    def _without_key(self, uri: str, denied: Exception) -> None:
        """Ask as anybody may: public buckets want no credentials."""
        anonymous = s3_filesystem(anon=True)

        def first() -> None:
            first_key(anonymous, self._path(uri))

        try:
            _within(FIRST_ANSWER, lambda: self._retried(first, _FAST))
        except Exception as error:
            self._has_key = kind_of(denied) is Kind.DENIED
            if self._has_key and kind_of(error) is Kind.DENIED:
                return  # with them, the path itself may be open
            raise (denied if kind_of(error) is Kind.DENIED else error) from None
        if kind_of(denied) is Kind.NO_CREDENTIALS:
            note_once(f"No credentials for {shown(self.top)} were found; it is read without.")
        self._fs = anonymous
        self._has_key = False

    def _retried(self, request: Callable[[], T], tries: int) -> T:
        """A request, repeated with back-off where that may help."""
        for number in range(1, tries + 1):
            try:
                return request()
            except Exception as error:
                if kind_of(error) not in RETRIED or number == tries:
                    raise
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** (number - 1))
            sleep(pause * random.uniform(0.8, 1.2))
        raise AssertionError("the last try returns or raises")

    # --- paths ----------------------------------------------------------------------------------

    def _path(self, uri: str) -> str:
        """The path of a URI as its library wants it."""
        path = path_in(uri)
        if not self._at:
            return path
        return f"{pinned(self.top, self._at)}{path[len(path_in(self.top)) :]}"

    def _uri(self, path: str) -> str:
        if not self._at:
            return f"{self.scheme}://{path}"
        return f"{self.top}{path.removeprefix(pinned(self.top, self._at))}"

    def _object(self, info: Mapping[str, Any]) -> RemoteObject:
        is_folder = info.get("type") == "directory"
        size = 0 if is_folder else int(info.get("size") or 0)
        return RemoteObject(self._uri(info["name"]), size, etag_of(info), is_folder)

    def _fresh(self) -> dict[str, Any]:
        return {"refresh": True} if self._kind == "s3" else {}


class Place(Protocol):
    """What is asked of a `Storage`, and of the web."""

    def listing(self, uri: str) -> list[RemoteObject]: ...
    def look_up(self, uri: str) -> RemoteObject | None: ...
    def matching(self, pattern: str) -> list[str]: ...
    def read(self, one: RemoteObject, start: int, end: int) -> bytes: ...


@cache
def _storage_at(top: str, process: int) -> Place:
    if top in WEB:
        from imgcli.remote.web import Web

        return Web(_allowed)
    return Storage(top)


_allowed: tuple[str, ...] = ()


@contextmanager
def connecting(allow_hosts: Sequence[str] = ()) -> Iterator[None]:
    """Connect afresh for one command: credentials and contents may have changed since another.

    Args:
        allow_hosts: HOST:PORT of the web that are not on the open internet.
    """
    global _allowed
    before, _allowed = _allowed, tuple(allow_hosts)
    _storage_at.cache_clear()
    try:
        yield
    finally:
        _allowed = before
        _storage_at.cache_clear()


def storage_of(uri: str) -> Place:
    """The storage of a URI; each is connected once in a process.

    Raises:
        Refused: the library for it is not installed.
    """
    scheme, rest = split_uri(uri)
    top = scheme if scheme in WEB else f"{scheme}://{top_of(scheme, rest)}"
    return _storage_at(top, os.getpid())


def _within(seconds: float, work: Callable[[], T]) -> T:
    """What `work` returns or raises, if it does so soon; libraries have no limit of that kind.

    Raises:
        TimeoutError: it does not.
    """
    done: list[T] = []
    failed: list[Exception] = []

    def run() -> None:
        try:
            done.append(work())
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise ConnectionRefusedError(f"no answer within {seconds:g} s")
    if failed:
        raise failed[0]
    return done[0]


def walk(storage: Place, folder: RemoteObject) -> Iterator[RemoteObject]:
    """Every object below a folder: of each folder its files by name, then its folders by name."""
    ahead = [folder]
    while ahead:
        found = storage.listing(ahead.pop().uri)
        yield from (one for one in found if not one.is_folder)
        ahead += [one for one in reversed(found) if one.is_folder]
