"""When a host may be asked again."""

import random

from urllib3.exceptions import HTTPError
from urllib3.util import Retry

from imgcli.collect.net.answer import Answer

OVERLOADED = (429, 503)
# Seconds that a request may be on its way. The delay to the next one begins when the host sees it,
# between its being sent and the answer. To take the answer would be certain, but a slow host would
# then be asked more rarely than it allows.
LATENESS = 0.1


def asked_wait(answer: Answer, longest: float) -> float | None:
    """Seconds of the answer's Retry-After, a number or a date; None without one to understand."""
    try:
        return min(Retry().parse_retry_after(answer.headers["Retry-After"]), longest)
    except (KeyError, HTTPError, ValueError, OverflowError):
        return None


def backoff(tries: int, first: float) -> float:
    """Seconds to wait after `tries` failed ones, with jitter, so that programs do not meet."""
    return first * 2.0 ** (tries - 1) * random.uniform(1.0, 1.5)


def retriable(status: int) -> bool:
    """Whether the same request may be answered otherwise another time."""
    return status in (408, 429) or status >= 500
