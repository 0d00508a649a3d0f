"""A URI where a path is expected: what reads a source asks it as it would ask a path."""

import os
import re
import stat
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path, PosixPath
from typing import TYPE_CHECKING, Any

from imgcli.errors import WrongUsage
from imgcli.remote.uris import has_user, is_uri, shown

if TYPE_CHECKING:
    from imgcli.remote.storage import RemoteObject

_SLASHES = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):/(?!/)")  # what a path makes of "s3://"
_MAGIC = re.compile(r"[*?\[]")
_WHOLE: dict[str, str] = {}  # addresses with their signatures, by how they are shown


class RemotePath(PosixPath):
    """A URI as a path: named, joined and shown like one, and looked up where it leads.

    What is at it is looked up once, so that all reads of one path are of the same content.
    """

    _found: "RemoteObject | None"
    _kept: dict[int, bytes]  # its start and end

    def __str__(self) -> str:
        return _SLASHES.sub(r"\1://", super().__str__())

    @property
    def uri(self) -> str:
        """The URI, with the signature that it may need; never to be shown or stored."""
        return _WHOLE.get(str(self), str(self))

    @property
    def found(self) -> "RemoteObject | None":
        """The object or folder; None if there is nothing.

        Raises:
            Refused: it may not be looked at, or its server does not answer.
        """
        if "_found" not in vars(self):
            from imgcli.remote.storage import storage_of

            self._found = storage_of(self.uri).look_up(self.uri)
        return self._found

    @property
    def etag(self) -> str:
        """Which content it has; "" where its server does not say."""
        return self.found.etag if self.found is not None else ""

    def open_object(self) -> BufferedReader:
        """The object as a file.

        Raises:
            OSError: it is a folder, or not there.
        """
        from imgcli.remote.objects import open_uri

        self.stat()
        if self.found is None or self.found.is_folder:
            raise IsADirectoryError(21, os.strerror(21), str(self))
        self._kept = getattr(self, "_kept", {})
        return open_uri(self.found, kept=self._kept)

    def matching(self) -> Iterator["RemotePath"]:
        """The paths that it means as a pattern, sorted; itself if it is none."""
        if self.uri != str(self) or not _MAGIC.search(str(self)) or self.exists():
            yield self
            return
        from imgcli.remote.storage import storage_of

        yield from map(RemotePath, storage_of(self.uri).matching(self.uri))

    # --- as a path ------------------------------------------------------------------------------

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """Its kind and size; all else is 0.

        Raises:
            FileNotFoundError: there is nothing.
        """
        if self.found is None:
            raise FileNotFoundError(2, os.strerror(2), str(self))
        mode = stat.S_IFDIR if self.found.is_folder else stat.S_IFREG
        return os.stat_result((mode, 0, 0, 1, 0, 0, self.found.size, 0, 0, 0))

    def exists(self, **_: Any) -> bool:
        return self.found is not None

    def is_dir(self, **_: Any) -> bool:
        return self.found is not None and self.found.is_folder

    def is_file(self, **_: Any) -> bool:
        return self.found is not None and not self.found.is_folder

    def absolute(self) -> "RemotePath":
        return self

    def resolve(self, strict: bool = False) -> "RemotePath":
        return self


def etag_of(path: Path) -> str:
    """Which content is behind a URI; "" for other paths."""
    return path.etag if isinstance(path, RemotePath) else ""


def source_path(text: str | Path) -> Path:
    """The path of a source, which may be a URI.

    Raises:
        WrongUsage: a user or a password in it.
    """
    if isinstance(text, RemotePath):
        return text
    if isinstance(text, Path) and not os.path.lexists(text):
        text = _SLASHES.sub(r"\1://", str(text))
    text = str(text)
    if not is_uri(text):
        return Path(text)
    if has_user(text):
        raise WrongUsage(
            f"'{shown(text)}' was given with a user name or password in it, where others can read "
            "them. Leave them out; `imgcli guide collecting` says where credentials are looked for."
        )
    path = RemotePath(shown(text))
    if shown(text) != text.rstrip("/"):
        _WHOLE[str(path)] = text
    return path
