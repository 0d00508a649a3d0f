"""The ordered map in threads."""

import time

from imgcli.compute.local import cores, in_threads


def test_in_threads_keeps_the_order_and_stays_close_to_its_reader() -> None:
    begun: list[int] = []

    def work(i: int) -> int:
        begun.append(i)
        time.sleep(0.001 * (i % 3 == 0))
        return i * i

    results = in_threads(work, range(1000))
    assert [next(results) for _ in range(20)] == [i * i for i in range(20)]
    time.sleep(0.05)  # in which they could have run far ahead
    assert len(begun) <= 20 + cores() + 2
    results.close()
    stopped = len(begun)
    time.sleep(0.02)
    assert len(begun) == stopped
    assert list(in_threads(work, [])) == []
