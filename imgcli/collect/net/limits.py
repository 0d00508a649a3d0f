"""How long, how much and how often; see the comments."""

from dataclasses import dataclass

MB = 1_000_000
MOST = 25 * MB  # bytes of one answer
ROBOTS = MB  # bytes of a robots.txt; RFC 9309 wants at least 500 KiB to be read
ROBOTS_HOLD = 86_400.0  # seconds for which a robots.txt that was read holds


@dataclass(frozen=True)
class NetLimits:
    """The numbers of `Client`; tests use smaller ones."""

    delay: float = 1.0  # seconds from one request to the next, per host, at least
    longest_delay: float = 60.0  # seconds; a host whose robots.txt asks for more is skipped
    connect: float = 5.0  # seconds
    read: float = 15.0  # seconds without a byte
    seconds: float = 60.0  # for one answer, from the request to its last byte
    tries: int = 5  # requests for one URL
    backoff: float = 1.0  # seconds before the second try; twice that before the third, and so on
    longest_wait: float = 3600.0  # seconds that a Retry-After is followed
    redirects: int = 5
    strikes: int = 3  # failures in succession after which a host is left for the next run


LIMITS = NetLimits()
