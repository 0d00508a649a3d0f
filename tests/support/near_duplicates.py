"""The search for near-duplicates without blocks, files or threads: what the quick one must equal.

Everything is in memory, every photo is looked up in every table, and each pair is compared alone.
"""

from collections.abc import Sequence

import numpy as np

from imgcli.photos import candidates, fingerprint
from imgcli.photos.candidates import INDEXED, PLACEMENTS, REACH, TABLES, TURNS, VIEWS
from imgcli.photos.fingerprint import Fingerprints
from imgcli.records import IntArray

STAGES = ((True, 1, 1.6), (True, 1, 1.25), (False, 3, 1.0))  # half size, steps, tolerance
Pair = tuple[int, int, int, int]  # first, second, view, indexed


def groups_of(fingerprints: Fingerprints) -> list[int]:
    """The group of each fingerprint, named by one of its members."""
    limits = fingerprint.tolerance(fingerprints)
    groups = list(range(len(fingerprints)))
    seen: dict[bytes, int] = {}
    for i in np.flatnonzero(limits == 0).tolist():
        groups[i] = seen.setdefault(fingerprints[i, 1:].tobytes(), i)
    rich = np.flatnonzero(limits).tolist()
    if len(rich) > 1:
        own, tolerance = fingerprints[rich], limits[rich]
        links = [pair[:2] for pair in pairs_of(own, tolerance) if same(own, tolerance, pair)]
        for i, centre in enumerate(joined(own, tolerance, links)):
            groups[rich[i]] = rich[centre]
    return groups


def pairs_of(fingerprints: Fingerprints, tolerance: fingerprint.Array) -> list[Pair]:
    """Each pair whose codes and descriptors are close, in the view in which it is closest."""
    descriptors = candidates.descriptors_of(fingerprint.luma(fingerprints))
    n = len(descriptors)
    codes = candidates.Coder.of(descriptors[:, 0], np.arange(n)).codes
    asked = codes(descriptors).reshape(-1).tolist()
    indexed = [asked[i * len(VIEWS) + view] for i in range(n) for view in range(INDEXED)]
    best: dict[tuple[int, int], tuple[float, Pair]] = {}
    for query, place in sorted(close_codes(asked, indexed, tolerance)):
        first, view, second, other = *divmod(query, len(VIEWS)), *divmod(place, INDEXED)
        a, b = descriptors[first, view, None], descriptors[second, other, None]
        distance = (1 - np.einsum("md,md->m", a, b))[0]  # to the last bit
        key = (min(first, second), max(first, second))
        if first == second or not distance < min(tolerance[first], tolerance[second]) ** 2:
            continue
        if key not in best or distance < best[key][0]:
            best[key] = distance, (first, second, view, other)
    return [pair for _, pair in best.values()]


def close_codes(
    asked: Sequence[int], indexed: Sequence[int], tolerance: fingerprint.Array
) -> set[tuple[int, int]]:
    """Positions of codes that are neighbours in some rotation and differ in a few bits."""
    found = set()
    for table in range(TABLES):
        shift = 64 // TABLES * table

        def rotated(code: int, shift: int = shift) -> int:
            return ((code << shift) | (code >> (64 - shift))) & (2**64 - 1)

        tie = candidates.scattered(np.arange(len(indexed)), table).tolist()
        order = sorted(range(len(indexed)), key=lambda i: (rotated(indexed[i]), tie[i]))
        ordered = np.array([rotated(indexed[i]) for i in order], np.uint64)
        for query, code in enumerate(asked):
            most = round(36 * float(tolerance[query // len(VIEWS)]))
            place = int(np.searchsorted(ordered, np.uint64(rotated(code))))
            for beside in range(place - REACH, place + REACH):
                at = order[min(max(beside, 0), len(order) - 1)]
                if (code ^ indexed[at]).bit_count() <= most:
                    found.add((query, at))
    return found


def same(fingerprints: Fingerprints, tolerance: fingerprint.Array, pair: Pair) -> bool:
    """Whether two photos agree at each stage, in grey and then in colour."""
    first, second, view, indexed = pair
    both = fingerprints[[first, second]]
    turns = TURNS[view], TURNS[indexed]

    def sides(planes: fingerprint.Array) -> list[fingerprint.Array]:
        return [
            fingerprint.turned(planes[k : k + 1], int(turn)).copy() for k, turn in enumerate(turns)
        ]

    grey, warp = fingerprint.luma(both), PLACEMENTS[[view]]
    for half, steps, factor in STAGES:
        a, b = sides(fingerprint.halved(grey) if half else grey)
        warp = fingerprint.place(a, b, warp, steps)
        limit = factor * min(tolerance[first], tolerance[second])
        if not fingerprint.residual(a, b, warp)[0] < limit:
            return False
    a, b = sides(fingerprint.chroma(both))
    return bool(fingerprint.colour_residual(a, b, warp)[0] < fingerprint.COLOUR_TOLERANCE)


def joined(
    fingerprints: Fingerprints, tolerance: fingerprint.Array, links: Sequence[tuple[int, int]]
) -> IntArray:
    """The group of each photo, named by its centre."""
    partners: dict[int, set[int]] = {}
    for a, b in links:
        partners.setdefault(a, set()).add(b)
        partners.setdefault(b, set()).add(a)
    halves = fingerprint.halved(fingerprint.luma(fingerprints))
    groups, left = np.arange(len(fingerprints)), set(partners)
    for centre in sorted(partners, key=lambda photo: (-len(partners[photo]), photo)):
        if centre not in left:
            continue
        left.remove(centre)
        met, ring = {centre}, partners[centre] & left
        while ring:
            groups[list(ring)] = centre
            left -= ring
            met |= ring
            beyond = set().union(*(partners[photo] for photo in ring)) & left - met
            met |= beyond
            ring = {
                i
                for i in beyond
                if resemble(halves[centre], halves[i]) < 2 * min(tolerance[centre], tolerance[i])
            }
    return groups


def resemble(a: fingerprint.Array, b: fingerprint.Array) -> float:
    """The residual of two pictures in their best turn."""
    found = []
    for turn in range(8):
        turned = fingerprint.turned(b[None], turn).copy()
        placed = fingerprint.place(a[None], turned, fingerprint.WHOLE[None], steps=6)
        found.append(float(fingerprint.residual(a[None], turned, placed)[0]))
    return min(found)
