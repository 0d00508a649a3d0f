"""A file behind http:// or https://, read in parts by imgcli's own client: public addresses only.

A server that sends files only whole is read once, into memory, if the file is not too large.
"""

import threading
from collections.abc import Sequence

from imgcli.errors import DataError, Refused
from imgcli.http.client import PART, Client
from imgcli.http.request import MB, Answer, NotFetched
from imgcli.remote.faults import Changed
from imgcli.remote.storage import RemoteObject
from imgcli.remote.uris import shown

MOST_WHOLE = 200 * MB  # bytes of a file whose server sends no parts
_HEAD = 64 << 10  # bytes asked for to learn its size


class Web:
    """Files of the web, by their URLs."""

    def __init__(self, allow_hosts: Sequence[str] = ()) -> None:
        """Args:
        allow_hosts: HOST:PORT that are permitted although they are not on the open internet.
        """
        self._client = Client(allow_hosts=allow_hosts)
        self._lock = threading.Lock()
        self._whole: tuple[str, bytes] = ("", b"")  # a URL, and the body that came whole

    def look_up(self, uri: str) -> RemoteObject | None:
        """The file at a URL; None if there is none.

        Raises:
            Refused: it cannot be fetched.
        """
        answer = self._fetch(uri, 0, _HEAD)
        if answer is None:
            return None
        if answer.status == PART:
            size = answer.headers.get("Content-Range", "").rpartition("/")[2]
            if not size.isdigit():
                raise Refused(f"The server of '{shown(uri)}' does not say how large it is.")
            return RemoteObject(uri, int(size), _etag(answer))
        with self._lock:
            self._whole = uri, answer.body
        return RemoteObject(uri, len(answer.body), _etag(answer))

    def listing(self, uri: str) -> list[RemoteObject]:
        """Refuse: the web has no folders.

        Raises:
            DataError: always.
        """
        raise DataError(
            f"'{shown(uri)}' cannot be listed: the web has no folders. Name an archive or a "
            "Parquet table there, or fetch photos by their addresses with: imgcli scrape urls FILE"
        )

    def matching(self, pattern: str) -> list[str]:
        """The URL itself; stars mean nothing in it."""
        return [pattern]

    def read(self, one: RemoteObject, start: int, end: int) -> bytes:
        """The bytes from `start` to before `end`.

        Raises:
            Changed: it is not the file any more that was looked up.
            Refused: it cannot be fetched.
        """
        with self._lock:
            uri, body = self._whole
        if uri == one.uri:
            return body[start:end]
        answer = self._fetch(one.uri, start, end)
        if answer is None or _etag(answer) != one.etag:
            raise Changed(0, "it has changed while it was imported", shown(one.uri))
        data = answer.body if answer.status == PART else answer.body[start:end]
        if len(data) != end - start:
            raise Refused(
                f"The server of '{shown(one.uri)}' sent {len(data):,} of {end - start:,} bytes. "
                "Run the command again."
            )
        return data

    def _fetch(self, uri: str, start: int, end: int) -> Answer | None:
        try:
            return self._client.get_part(uri, start, end, MOST_WHOLE)
        except NotFetched as error:
            if "answered 404" in str(error) or "answered 410" in str(error):
                return None
            if str(error).startswith("larger than"):
                raise Refused(
                    f"The server of '{shown(uri)}' sends it only whole, and it is {error}. Fetch "
                    "it with another program, and import the file."
                ) from None
            again = " Run the command again." if error.later else ""
            raise Refused(f"'{shown(uri)}' cannot be fetched: {error}.{again}") from None


def _etag(answer: Answer) -> str:
    """Which content it is: by its ETag, or the time of its last change; "" without both."""
    found = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    return found.removeprefix("W/").strip('"')
