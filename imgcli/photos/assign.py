"""Assigns photos to parts: from labels, groups, digests and a seed; no file is touched."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from imgcli.folder_names import PARTS
from imgcli.records import FloatArray, IntArray

_MAX_CELLS = 20_000_000  # groups, or pairs of groups, times classes: more are not exchanged
_SAME = 1e-9  # photos, by which sums of shares may differ
DEFAULT_FOLDS = 10
_HELD_OUT = 0.75  # share of the classes that have a photo in each of the folds that are suggested


def suggested_folds(groups: Sequence[int]) -> int:
    """Folds that most classes can be in: up to ten, and at least two.

    Args:
        groups: independent photos of each class, those of one group counted once. A class of one
            counts for nothing: no folds can judge it.
    """
    judged = [n for n in groups if n > 1]
    for k in range(DEFAULT_FOLDS, 2, -1):
        if sum(n >= k for n in judged) >= _HELD_OUT * len(judged) and judged:
            return k
    return 2


class _Group(NamedTuple):
    """Photos that stay together."""

    rank: float  # in [0, 1], a hash of the bytes of its photos and the seed
    rows: list[int]
    counts: Mapping[int, int]  # photos per class


def choose_parts(
    targets: IntArray,
    groups: IntArray,
    digests: Sequence[str],
    shares: Mapping[str, float],
    seed: int,
    placed: Mapping[int, str] | None = None,
    *,
    large_groups: bool = False,
) -> dict[str, IntArray]:
    """Assign N photos to parts, stratified by class, no group in two parts.

    Each class comes as near to its shares as its groups allow; a class of two has a test photo, a
    class of three a validation photo, and every class keeps a training photo. The order of
    assignment follows from the bytes of the photos and the seed alone.

    Args:
        targets: (N,) class of each photo.
        groups: (N,) photos with one number stay together.
        digests: (N,) hash of each photo's bytes.
        shares: of each class's photos, for "train" and whichever of "test" and "val" there are.
        placed: the part of each row that is already assigned; it stays, and its group joins it.
        large_groups: groups are more than a few duplicates. Those of several classes are then
            exchanged for as long as a part comes nearer to its shares.

    Returns:
        The rows of each part, ascending.
    """
    part = np.full(len(targets), "train", dtype=object)
    free = _groups_by_rank(targets, groups, digests, seed)
    if placed:
        free = [group for group in free if not _follow_placed(part, group.rows, placed)]
    counts = np.bincount(targets)
    low = 0.0
    for name, enough in (("test", 2), ("val", 3)):
        if name not in shares:
            continue
        in_train = np.bincount(targets[part == "train"], minlength=len(counts))
        quota = _Quota(
            have=np.bincount(targets[part == name], minlength=len(counts)),
            goal=np.maximum(shares[name] * counts, counts >= enough),
            minimum=(counts >= enough).astype(np.int64),
            removable=in_train - 1,
        )
        quota.fill(free, low, low + shares[name], exchange=large_groups)
        for group in quota.chosen:
            part[group.rows] = name
        free = [group for group in free if part[group.rows[0]] == "train"]
        low += shares[name]
    return {name: np.flatnonzero(part == name) for name in shares}


def _groups_by_rank(
    targets: IntArray, groups: IntArray, digests: Sequence[str], seed: int
) -> list[_Group]:
    members: dict[int, list[int]] = defaultdict(list)
    for row, number in enumerate(groups.tolist()):
        members[number].append(row)
    labels = targets.tolist()
    single = {label: {label: 1} for label in set(labels)}  # the counts of photos on their own
    ranked = []
    counts: Mapping[int, int]
    for rows in members.values():
        counts = single[labels[rows[0]]]
        least = digests[rows[0]]
        if len(rows) > 1:
            counts = Counter([labels[row] for row in rows])
            least = min([digests[row] for row in rows])
        rank = int.from_bytes(sha256(f"{seed}:{least}".encode()).digest()[:8], "big") / 2**64
        ranked.append(_Group(rank, rows, counts))
    return sorted(ranked)  # by rank, and where ranks are equal by the first row


def _follow_placed(part: NDArray[np.object_], rows: list[int], placed: Mapping[int, str]) -> bool:
    """Put a group where its placed photos are; False where it has none.

    Where these are in two parts already none is moved, and new ones prefer train: there they leak
    nothing that has not leaked.
    """
    known = {placed[row] for row in rows if row in placed}
    if not known:
        return False
    existing = min(known, key=PARTS.index)
    for row in rows:
        part[row] = placed.get(row, existing)
    return True


@dataclass(frozen=True, eq=False)
class _Quota:
    """What one part has and should have of each class; every array (K,)."""

    have: IntArray
    goal: FloatArray
    minimum: IntArray
    removable: IntArray  # photos that train can still give
    chosen: list[_Group] = field(default_factory=list)

    def fill(
        self, free: Sequence[_Group], low: float, high: float, *, exchange: bool = False
    ) -> None:
        """Choose among the `free` groups, in the order of their ranks.

        A group of several classes ties their sums together. Such groups go first, by their own
        rank in [low, high), with the probability that any photo has. Groups of one class then make
        up the difference as nearly as any selection could. Groups of several classes that were left
        may give what is still missing.

        Args:
            exchange: groups of several classes for better ones, before those of one class.
        """
        own: dict[int, list[_Group]] = defaultdict(list)
        later = []
        for group in free:
            if len(group.counts) == 1:
                own[next(iter(group.counts))].append(group)
            elif low <= group.rank < high and self._fits(group):
                self._take(group)
            else:
                later.append(group)
        if exchange:
            later = self._exchange([*self.chosen, *later], own)
        for label, groups in own.items():
            have, removable = int(self.have[label]), int(self.removable[label])
            goal, minimum = float(self.goal[label]) - have, int(self.minimum[label]) - have
            for group in _nearest_sum(groups, goal, minimum, removable):
                self._take(group)
        for group in later:
            if self._helps(group):
                self._take(group)

    def _exchange(self, groups: list[_Group], own: Mapping[int, Sequence[_Group]]) -> list[_Group]:
        """Take or give back a group, or swap two, for as long as the part comes nearer its goals.

        A class that lacks its minimum weighs more than all photos. Each step is the best one, the
        groups' order deciding between equals, so the result follows from them alone.

        Args:
            groups: of several classes, those chosen first, then the others.
            own: the groups of one class, which are to fill their share of its goal.

        Returns:
            The groups that are not chosen.
        """
        n, k = len(groups), len(self.have)
        if not n or n * k > _MAX_CELLS:
            return groups[len(self.chosen) :]
        counts = np.zeros((n, k), np.int64)
        for i, group in enumerate(groups):
            counts[i, list(group.counts)] = list(group.counts.values())
        single = np.array([sum(len(group.rows) for group in own.get(c, ())) for c in range(k)])
        both = counts.sum(axis=0) + single
        goal = self.goal * (1 - single / np.maximum(both, 1))
        minimum = np.where(single > 0, 0, self.minimum)
        chosen = np.arange(n) < len(self.chosen)

        def cost(change: IntArray) -> FloatArray:
            have = self.have + change  # (M, K), of M steps
            impossible = ((change > self.removable) & (change > 0)).any(axis=1)
            lacking = (have < minimum).sum(axis=1) * float(both.sum() + 1)
            distance = np.abs(have - goal).sum(axis=1) + lacking
            return np.asarray(np.where(impossible, np.inf, distance))

        while True:
            change = np.where(chosen[:, None], -counts, counts)
            now, alone = float(cost(np.zeros((1, k), np.int64))[0]), cost(change)
            steps, best = [int(np.argmin(alone))], float(alone.min())
            if best >= now - _SAME and n * n * k <= _MAX_CELLS:
                others = np.flatnonzero(~chosen)
                for i in np.flatnonzero(chosen).tolist() if len(others) else ():
                    swapped = cost(change[i] + change[others])
                    if swapped.min() < min(best, now) - _SAME:
                        best, steps = float(swapped.min()), [i, int(others[np.argmin(swapped)])]
            if best >= now - _SAME:
                break
            for i in steps:
                self.have[:] += change[i]
                self.removable[:] -= change[i]
                chosen[i] = not chosen[i]
        self.chosen[:] = [groups[i] for i in np.flatnonzero(chosen)]
        return [groups[i] for i in np.flatnonzero(~chosen)]

    def _take(self, group: _Group) -> None:
        self.chosen.append(group)
        for label, n in group.counts.items():
            self.have[label] += n
            self.removable[label] -= n

    def _fits(self, group: _Group) -> bool:
        return all(
            self.have[label] + n <= self.goal[label] and n <= self.removable[label]
            for label, n in group.counts.items()
        )

    def _helps(self, group: _Group) -> bool:
        """Whether the group's classes would be nearer to their goals, all in all."""
        if any(n > self.removable[label] for label, n in group.counts.items()):
            return False
        return sum(self._gap(c, n) - self._gap(c, 0) for c, n in group.counts.items()) < 0

    def _gap(self, label: int, more: int) -> float:
        have = self.have[label] + more
        return float(abs(have - self.goal[label]) + (have < self.minimum[label]))


def _nearest_sum(groups: Sequence[_Group], goal: float, minimum: int, most: int) -> list[_Group]:
    """The selection whose photos add up nearest to `goal`, early groups preferred.

    The sum is at most `most`, and at least `minimum` where the groups allow it. Subset sums as bits
    of whole numbers: exact, and quick because single photos are counted apart.
    """
    sizes = [len(group.rows) for group in groups]
    most = min(most, sum(sizes))
    sums = [1]  # bit s of sums[-1]: groups of several photos, from here on, can add up to s
    for size in reversed(sizes):
        if size > 1:
            sums.append(sums[-1] | sums[-1] << size)
    singles = sizes.count(1)
    possible = [s for s in range(most + 1) if _reachable(s, sums[-1], singles)]
    missing = min(possible, key=lambda s: (s < minimum, round(abs(s - goal), 9), s))
    if singles == len(groups):
        return list(groups[:missing])
    chosen = []
    for group, size in zip(groups, sizes, strict=True):
        if size > 1:
            sums.pop()
        else:
            singles -= 1
        if size <= missing and _reachable(missing - size, sums[-1], singles):
            chosen.append(group)
            missing -= size
    return chosen


def _reachable(total: int, sums: int, singles: int) -> bool:
    """Whether some of `sums`, a set of bits, and up to `singles` more make `total`."""
    low = max(0, total - singles)
    return (sums >> low) & ((2 << (total - low)) - 1) != 0
