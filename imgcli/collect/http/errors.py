"""Errors of a fetch.

NotFetched           `str(error)` says why, for people, without the URL's query
├── Broken           a request that failed on the way; another one may succeed
│   └── NotConnected    and the host has not seen the request
└── Unreachable      the whole host cannot be fetched from, not only this URL
    └── Denied       a host that is not on the open internet, without --allow-host
"""


class NotFetched(Exception):
    """A URL that was not fetched; `later` says whether another run may fetch it."""

    def __init__(self, reason: str, later: bool = False) -> None:
        super().__init__(reason)
        self.later = later


class Broken(NotFetched):
    def __init__(self, reason: str) -> None:
        super().__init__(reason, later=True)


class NotConnected(Broken):
    pass


class Unreachable(NotFetched):
    def __init__(self, at: str, reason: str, later: bool = False) -> None:
        super().__init__(reason, later)
        self.at = at


class Denied(Unreachable):
    pass
