"""What comes back from the network: an answer, or why there is none."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Answer:
    """What a host answered. `Client.get` returns only whole ones, of status 200 or 203."""

    url: str  # after redirects, with its query, which may hold a key: never show or store an API's
    status: int
    headers: Mapping[str, str]  # case-insensitive; repeated ones joined by ", "
    body: bytes


class NotFetched(Exception):
    """A URL that was not fetched; `str(error)` is the reason, for people, without any query."""

    def __init__(self, reason: str, later: bool = False) -> None:
        super().__init__(reason)
        self.later = later  # whether another run may fetch it


class Broken(NotFetched):
    """A try that failed on the way, so that another one may succeed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, later=True)


class Unreachable(NotFetched):
    """Not this URL but its whole host cannot be fetched from."""

    def __init__(self, at: str, reason: str, later: bool = False) -> None:
        super().__init__(reason, later)
        self.at = at


class Denied(Unreachable):
    """A host that is not on the open internet, and that no option permits to ask."""
