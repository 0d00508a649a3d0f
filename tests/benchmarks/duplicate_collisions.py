"""How many photos the search proposes for a photo by chance, among up to a hundred million.

    python -m tests.benchmarks.duplicate_collisions --upto 10000000

That number decides what the close comparison costs. A sample of photos is looked up, with the
search's own codes and tables, among photos that are drawn as in duplicate_scaling.py. Of those only
the descriptors are drawn, which is exact: low frequencies of a mixture are the mixture of the low
frequencies. They pass by in chunks, of which only the nearest codes of each table are kept: so
memory does not grow with their number. No copy is among them: whatever is proposed is by chance.
And each photo of the sample has a planted copy, of the kinds of duplicate_scaling.py in turn, that
counts as found where the others leave it among the nearest codes of some table.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from imgcli.evaluation.metrics import wilson_interval
from imgcli.photos import candidates as search
from imgcli.photos.candidates import BITS, INDEXED, REACH, SIGNS, TABLES, UNCUT, VIEWS
from imgcli.photos.fingerprint import Fingerprints, cosines, luma
from tests.benchmarks import machine
from tests.benchmarks.duplicate_scaling import MIX, copies, drawn, real
from tests.benchmarks.material import SHARED

CHUNK = 500_000
MARKS = (100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000, 100_000_000)


class Neighbours(NamedTuple):
    """The nearest codes of Q queries on one side in one table, nearest first; (Q, REACH) each."""

    gap: NDArray[np.uint64]  # between the codes, as numbers
    photo: NDArray[np.int64]
    alike: NDArray[np.bool_]  # in all bits but a few
    close: NDArray[np.bool_]  # by their descriptors as well


def population(own: Fingerprints, seed: int) -> Iterator[tuple[NDArray[np.float32], ...]]:
    """Chunks of descriptors (CHUNK, D) and tolerances (CHUNK,), without end."""
    turns = [(turn, UNCUT, UNCUT) for turn in range(8)]
    parts = []
    for rows in search.blocks(np.arange(len(own)), 2048):
        grey = luma(own[rows])
        waves = (cosines(search.WAVES) @ grey @ cosines(search.WAVES).T)[
            :, search.ROW, search.COLUMN
        ] * np.hypot(search.ROW, search.COLUMN)
        length = np.linalg.norm(waves, axis=1)[:, None, None]
        parts.append((search.descriptors_of(grey, turns) * length).astype(np.float32))
    waves = np.concatenate(parts)
    tolerance = search.survey(own, np.arange(len(own))).tolerance
    rng = np.random.default_rng(seed)
    while True:
        one, other = rng.integers(0, len(own), (2, CHUNK))
        a, b = (waves[rows, rng.integers(0, 8, CHUNK)] for rows in (one, other))
        b -= a
        b *= rng.uniform(*MIX, (CHUNK, 1)).astype(np.float32)
        a += b
        a /= np.maximum(np.linalg.norm(a, axis=1, keepdims=True), 1e-6)
        yield a, tolerance[one]


def measure(own: Fingerprints, sample: int, upto: int) -> Iterator[str]:
    """Rows of a table, one for each of MARKS."""
    asked = drawn(own, sample, 7)
    known = search.survey(asked, np.arange(sample))
    some = np.flatnonzero(known.tolerance)
    descriptors = search.descriptors_of(luma(asked[some])).reshape(-1, len(search.ROW))
    limit = known.tolerance[some].repeat(len(VIEWS))
    most = np.rint(search.MAX_BITS * limit).astype(np.uint8)
    chunks = population(own, 1)
    coder = search.Coder.of(next(chunks)[0], np.arange(CHUNK))
    queries = coder.codes(descriptors)
    copied = search.survey(copies(asked[some]), np.arange(len(some)))
    best: dict[tuple[int, int], Neighbours] = {}
    n, cpu = 0, time.process_time()
    while n < upto:
        uncut, tolerance = next(chunks)
        stop = min(len(uncut), min(mark for mark in MARKS if mark > n) - n)
        uncut, tolerance = uncut[:stop], tolerance[:stop]
        codes = np.stack([coder.codes(uncut * sign) for sign in SIGNS], axis=1).reshape(-1)
        for table in range(TABLES):
            rotated = search.rotated_by(codes, table)
            order = np.argsort(rotated)
            ordered, wanted = rotated[order], search.rotated_by(queries, table)
            place = np.searchsorted(ordered, wanted)
            for side, steps in ((0, range(-1, -REACH - 1, -1)), (1, range(REACH))):
                found = [
                    _at(place + step, ordered, order, wanted, descriptors, uncut, limit, tolerance)
                    for step in steps
                ]
                new = [
                    Neighbours(gap, n + photo, bits <= most, (bits <= most) & close)
                    for gap, photo, bits, close in found
                ]
                stacked = Neighbours(*(np.stack(part, axis=1) for part in zip(*new, strict=True)))
                best[table, side] = _nearest(best.get((table, side)), stacked)
        n += stop
        if n in MARKS:
            offered = _copies_found(best, copied, coder, queries, descriptors, limit)
            yield _row(n, best, len(some), offered, time.process_time() - cpu)


def _at(
    place: NDArray[np.int64],
    ordered: search.Codes,
    order: NDArray[np.int64],
    wanted: search.Codes,
    descriptors: NDArray[np.float32],
    uncut: NDArray[np.float32],
    limit: NDArray[np.float32],
    tolerance: NDArray[np.float32],
) -> tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """One neighbour of each query: gap, photo, bits that differ, whether descriptors are close."""
    inside = (place >= 0) & (place < len(ordered))
    place = np.clip(place, 0, len(ordered) - 1)
    code, entry = ordered[place], order[place]
    gap = np.where(code > wanted, code - wanted, wanted - code)
    photo, sign = entry // INDEXED, SIGNS[entry % INDEXED]
    distance = 1 - np.einsum("md,md->m", descriptors, uncut[photo] * sign)
    close = distance < np.minimum(limit, tolerance[photo]) ** 2
    bits = np.where(inside, np.bitwise_count(code ^ wanted), BITS)
    return np.where(inside, gap, np.uint64(2**64 - 1)), photo, bits, close


def _nearest(old: Neighbours | None, new: Neighbours) -> Neighbours:
    """The nearest of those so far and those of another chunk."""
    if old is None:
        return new
    both = [np.concatenate(pair, axis=1) for pair in zip(old, new, strict=True)]
    order = np.argsort(both[0], axis=1, kind="stable")[:, :REACH]
    return Neighbours(*(np.take_along_axis(part, order, axis=1) for part in both))


def _copies_found(
    best: dict[tuple[int, int], Neighbours],
    copied: search.Survey,
    coder: search.Coder,
    queries: search.Codes,
    descriptors: NDArray[np.float32],
    limit: NDArray[np.float32],
) -> int:
    """How many of the sample's photos are offered their copy."""
    views, found = len(VIEWS), np.zeros(len(copied.uncut), bool)
    for sign in SIGNS:
        uncut = copied.uncut * sign
        codes, uncut = coder.codes(uncut).repeat(views), uncut.repeat(views, axis=0)
        own = np.minimum(limit, copied.tolerance.repeat(views))
        close = 1 - np.einsum("md,md->m", descriptors, uncut) < own**2
        close &= np.bitwise_count(codes ^ queries) <= np.rint(search.MAX_BITS * limit)
        for table in range(TABLES):
            copy, wanted = search.rotated_by(codes, table), search.rotated_by(queries, table)
            above = copy >= wanted
            gap = np.where(above, copy - wanted, wanted - copy)
            last = np.where(above, *(best[table, side].gap[:, -1] for side in (1, 0)))
            found |= (close & (gap < last)).reshape(-1, views).any(axis=1)
    return int(found.sum())


def _row(
    n: int, best: dict[tuple[int, int], Neighbours], sample: int, found: int, cpu: float
) -> str:
    """What the sample has been offered among n photos, per photo, with 95 % intervals."""
    counts = []
    for field in ("alike", "close"):
        pairs = set()
        for some in best.values():
            query, place = np.nonzero(getattr(some, field))
            pairs |= set(
                zip((query // len(VIEWS)).tolist(), some.photo[query, place].tolist(), strict=True)
            )
        count = len(pairs)
        low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
        high = chi2.ppf(0.975, 2 * count + 2) / 2
        counts.append(f"{count / sample:.3g} ({low / sample:.2g}–{high / sample:.2g})")
    low, high = wilson_interval(found / sample, sample)
    counts.append(f"{found} of {sample} ({low:.1%}–{high:.1%})")
    return f"| {n:,} | {' | '.join(counts)} | {cpu:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=SHARED, metavar="PATH")
    parser.add_argument("--kind", default="small", choices=("photos", "small", "digits"))
    parser.add_argument("--sample", type=int, default=2000)
    parser.add_argument("--upto", type=int, default=10_000_000)
    parser.add_argument("--work", type=Path, metavar="DIR", help="keep the photos here")
    asked = parser.parse_args()
    print("\n".join([machine.title(), *machine.facts(), ""]), flush=True)
    with TemporaryDirectory(prefix="imgcli-collisions-") as temporary:
        own = real(asked.kind, asked.data.resolve(), (asked.work or Path(temporary)).resolve())
    print("| photos | similar codes per photo | similar descriptors too | copies offered | CPU s |")
    print("|---|---|---|---|---|", flush=True)
    for row in measure(own, asked.sample, asked.upto):
        print(row, flush=True)


if __name__ == "__main__":
    main()
