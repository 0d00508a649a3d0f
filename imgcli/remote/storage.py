"""A bucket, a repository on the hub, or another place of objects: list, look up, read a range.

Objects are read as they were listed: by their ETag, their generation or the commit of the
repository, so that one that has changed since is refused and never mixed in. A read that is
throttled or breaks off is repeated with back-off; what is returned has all its bytes.
"""

import logging
import os
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from time import sleep
from typing import Any, Protocol, TypeVar

from imgcli.errors import DataError, Refused, WrongUsage
from imgcli.progress import note_once
from imgcli.remote.faults import RETRIED, Changed, Kind, Short, kind_of, sentence, words
from imgcli.remote.uris import shown, split_uri

T = TypeVar("T")

TRIES = 6  # of one request; with the pauses between them about 15 s
FIRST_PAUSE = 0.5  # seconds; twice that after the next failure, and so on
LONGEST_PAUSE = 30.0  # seconds
FIRST_ANSWER = (
    8.0  # seconds until the first answer of a place; later ones may be retried for longer
)
# Schemes whose URIs are a bucket and a path in it; others know hosts, users and folders by id.
BUCKETS = {"s3", "s3a", "gs", "gcs", "hf", "az", "abfs", "abfss", "oss", "memory"}
WEB = {"http", "https"}
_FAST = 2  # tries of the first request

# They log tracebacks of errors that end in a sentence here.
for _name in ("s3fs", "gcsfs", "botocore", "aiobotocore", "fsspec", "huggingface_hub"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)


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
        self.top = f"{self.scheme}://{_top(self.scheme, rest)}"
        self._kind = _kind_of_scheme(self.scheme)
        self._fs = _filesystem(self.scheme, self.top)
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
            data = bytes(_READERS[self._kind](self._fs, self._path(one.uri), one, start, end))
            if len(data) != end - start:
                raise Short(f"{len(data):,} of {end - start:,} bytes came")
            return data

        if start >= end:
            return b""
        try:
            return self._retried(read, TRIES)
        except Exception as error:
            raise self._unread(error, one) from None

    def _unread(self, error: Exception, one: RemoteObject) -> Exception:
        """What is raised for an object that could not be read."""
        match kind_of(error):
            case Kind.CHANGED:
                return Changed(0, "it has changed while it was imported", shown(one.uri))
            case Kind.MISSING:
                return FileNotFoundError(2, "it has been removed since it was listed")
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
            return self._retried(request, TRIES)
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
                self._at = _commit(self._fs, self.top)
            elif self._kind == "s3":
                _first_key(self._fs, self._path(uri))
            else:
                self._fs.info(_path_in(self.top))

        try:
            _within(FIRST_ANSWER, lambda: self._retried(first, _FAST))
        except Exception as error:
            denied, kind = error, kind_of(error)
            may_be_public = self._kind == "s3" and kind in (Kind.NO_CREDENTIALS, Kind.DENIED)
            if not may_be_public and kind is not Kind.DENIED:
                raise  # a bucket may be closed that holds an open folder
        else:
            may_be_public = False
        if may_be_public:
            self._without_key(uri, denied)
        self._answered = True

    def _without_key(self, uri: str, denied: Exception) -> None:
        """Ask as anybody may: public buckets want no credentials."""
        anonymous = _s3(anon=True)

        def first() -> None:
            _first_key(anonymous, self._path(uri))

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
        path = _path_in(uri)
        if self._at and not _revision(self.top):
            top = _path_in(self.top)
            return f"{top}@{self._at}{path[len(top) :]}"
        return path

    def _uri(self, path: str) -> str:
        if self._at and not _revision(self.top):
            path = path.replace(f"@{self._at}", "", 1)
        return f"{self.scheme}://{path}"

    def _object(self, info: Mapping[str, Any]) -> RemoteObject:
        is_folder = info.get("type") == "directory"
        size = 0 if is_folder else int(info.get("size") or 0)
        return RemoteObject(self._uri(info["name"]), size, _etag_of(info), is_folder)

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
    top = scheme if scheme in WEB else f"{scheme}://{_top(scheme, rest)}"
    return _storage_at(top, os.getpid())


def _top(scheme: str, rest: str) -> str:
    """The bucket, or the repository with its kind: what is connected to."""
    steps = rest.split("/")
    n = 1
    if scheme == "hf":
        n = 3 if steps[0] in ("datasets", "models", "spaces") else 2
    return "/".join(steps[:n])


def _revision(top: str) -> str:
    return top.partition("@")[2]


def _path_in(uri: str) -> str:
    return split_uri(uri)[1]


def _etag_of(info: Mapping[str, Any]) -> str:
    lfs = info.get("lfs")
    if lfs:
        return str(getattr(lfs, "sha256", None) or lfs.get("sha256") or "")
    for name in ("generation", "ETag", "etag", "blob_id", "md5Hash", "LastModified", "mtime"):
        if info.get(name):
            return str(info[name]).strip('"')
    return ""


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


# --- libraries ----------------------------------------------------------------------------------


def _kind_of_scheme(scheme: str) -> str:
    return {"s3a": "s3", "gcs": "gs"}.get(scheme, scheme if scheme in _READERS else "other")


def _filesystem(scheme: str, top: str) -> Any:
    """The fsspec file system of a scheme.

    Raises:
        WrongUsage: there is none, or none of buckets.
        Refused: its library is not installed.
    """
    if scheme not in BUCKETS:
        raise WrongUsage(
            f"'{shown(top)}': {scheme}:// is not read. Name a folder or a file, or a URI that "
            f"begins with {', '.join(f'{name}://' for name in ('s3', 'gs', 'hf', 'az'))} or https://."
        )
    try:
        import fsspec

        if _kind_of_scheme(scheme) == "s3":
            return _s3()
        if scheme == "hf":
            from huggingface_hub import HfFileSystem

            return HfFileSystem(skip_instance_cache=True)
        options = fsspec.get_filesystem_class(scheme)._get_kwargs_from_urls(top)
        options |= {"use_listings_cache": False, "skip_instance_cache": True}
        return fsspec.filesystem(scheme, **options)
    except ImportError as error:
        raise Refused(
            f"'{shown(top)}' needs a package that is not installed ({error}). Get it with: "
            f"pip install 'imgcli[cloud]'{_further(scheme)}"
        ) from None


def _further(scheme: str) -> str:
    return " adlfs" if scheme in ("az", "abfs", "abfss", "adl") else ""


def _s3(**options: Any) -> Any:
    import s3fs

    # Retries are the storage's: botocore's would come on top of them, and last for minutes.
    retries = {"total_max_attempts": 1, "mode": "standard"}
    fs = s3fs.S3FileSystem(
        use_listings_cache=False,
        skip_instance_cache=True,
        config_kwargs={"retries": retries, "max_pool_connections": 64},
        **options,
    )
    fs.retries = 1
    return fs


def _first_key(fs: Any, path: str) -> None:
    """Ask for the first key below a path, or at it: whether the bucket is there, and is open."""
    bucket, key, _ = fs.split_path(path)
    fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=key, MaxKeys=1)


def _commit(fs: Any, top: str) -> str:
    """The commit that a repository's revision is at now."""
    found = fs.resolve_path(_path_in(top))
    info = fs._api.repo_info(
        found.repo_id, revision=found.revision, repo_type=found.repo_type, timeout=FIRST_ANSWER
    )
    return str(info.sha)


# --- reading a range ----------------------------------------------------------------------------

Reader = Callable[[Any, str, RemoteObject, int, int], bytes]


def _read_s3(fs: Any, path: str, one: RemoteObject, start: int, end: int) -> bytes:
    from fsspec.asyn import sync

    bucket, key, _ = fs.split_path(path)
    pinned = {"IfMatch": f'"{one.etag}"'} if one.etag else {}

    async def read() -> bytes:
        answer = await fs._call_s3(
            "get_object", Bucket=bucket, Key=key, Range=f"bytes={start}-{end - 1}", **pinned
        )
        async with answer["Body"] as body:
            return bytes(await body.read())

    data: bytes = sync(fs.loop, read)
    return data


def _read_gs(fs: Any, path: str, one: RemoteObject, start: int, end: int) -> bytes:
    pinned = {"generation": one.etag} if one.etag.isdigit() else {}
    data: bytes = fs.cat_file(path, start=start, end=end, **pinned)
    return data


def _read_hf(fs: Any, path: str, one: RemoteObject, start: int, end: int) -> bytes:
    from huggingface_hub import constants, hf_hub_url
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

    found = fs.resolve_path(path)
    url = hf_hub_url(
        found.repo_id,
        found.path_in_repo,
        repo_type=found.repo_type,
        revision=found.revision,
        endpoint=fs.endpoint,
    )
    headers = {**build_hf_headers(), "Range": f"bytes={start}-{end - 1}"}
    answer = get_session().get(
        url, headers=headers, timeout=constants.HF_HUB_DOWNLOAD_TIMEOUT, follow_redirects=True
    )
    hf_raise_for_status(answer)
    data: bytes = answer.content
    return data[start:end] if answer.status_code == 200 else data  # a whole small file


def _read_other(fs: Any, path: str, one: RemoteObject, start: int, end: int) -> bytes:
    if one.etag and _etag_of(fs.info(path)) != one.etag:
        raise Changed(one.uri)
    data: bytes = fs.cat_file(path, start=start, end=end)
    return data


_READERS: dict[str, Reader] = {
    "s3": _read_s3,
    "gs": _read_gs,
    "hf": _read_hf,
    "other": _read_other,
}


def walk(storage: Place, folder: RemoteObject) -> Iterator[RemoteObject]:
    """Every object below a folder: of each folder its files by name, then its folders by name."""
    ahead = [folder]
    while ahead:
        found = storage.listing(ahead.pop().uri)
        yield from (one for one in found if not one.is_folder)
        ahead += [one for one in reversed(found) if one.is_folder]
