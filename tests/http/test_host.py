from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from imgcli.http.host import backoff, retriable, retry_after
from imgcli.http.request import Answer


def wait(value: str) -> float | None:
    return retry_after(Answer("", 429, {"Retry-After": value}, b""), 3600)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        *(("120", 120), (" 7 ", 7), ("0", 0), ("86400", 3600), ("9" * 400, 3600)),
        *(("soon", None), ("-5", None), ("1.5", None), ("", None), ("9" * 5000, None)),
    ],
)
def test_retry_after_is_a_number_of_seconds_up_to_an_hour(
    value: str, seconds: float | None
) -> None:
    assert wait(value) == seconds


def test_retry_after_may_be_a_date() -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    assert wait(soon) == pytest.approx(90, abs=3)
    assert wait(format_datetime(datetime.now(UTC) + timedelta(days=2), usegmt=True)) == 3600
    assert wait("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert wait("Wed, 99 Foo 2015 99:99:99 GMT") is None
    assert retry_after(Answer("", 429, {}, b""), 3600) is None


def test_backoff_doubles_with_jitter() -> None:
    for tries, least in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0)):
        waits = [backoff(tries, 1.0) for _ in range(50)]
        assert least <= min(waits) < max(waits) <= 1.5 * least


def test_only_what_may_change_is_retried() -> None:
    assert [s for s in (200, 301, 400, 403, 404, 408, 410, 429, 500, 503, 504) if retriable(s)] == [
        *(408, 429, 500, 503, 504),
    ]
