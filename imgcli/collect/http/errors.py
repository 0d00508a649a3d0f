"""Why a URL was not fetched.

NotFetched           `str(error)` says why, for people, without the URL's query
├── Broken           a try that failed on the way; another one may succeed
│   └── NotConnected    and the host has not seen the request
└── Unreachable      not this URL but its whole host cannot be fetched from
    └── Denied       a host that is not on the open internet, and that no option allows
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
