"""Rounds of candidates on more and more photos, until all photos, or the time, have been used.

A round judges all candidates that are left on the same photos, so that they can be compared. One
that the time does not allow for is not begun; only in the first are candidates left out for want of
time, each by itself. So what the rounds come to follows from which candidates were judged and on
how many photos, and both are told.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from shlex import quote

from imgcli.errors import DataError, ModelError, WrongUsage
from imgcli.evaluation.choosing import Standings, standings
from imgcli.evaluation.compare import Difference
from imgcli.progress import note
from imgcli.records import IntArray, Predictions
from imgcli.text import count, listed, percent
from imgcli.training.choosing import (
    Budget,
    Candidate,
    Judge,
    Judged,
    Speed,
    expected_seconds,
    minutes_for,
)


@dataclass
class Rounds:
    """The rounds, as far as they have come."""

    candidates: Sequence[Candidate]  # cheapest first
    shares: Sequence[IntArray]  # rows of each round
    judged: dict[Candidate, Predictions] = field(default_factory=dict)  # in the last round of each
    behind: dict[str, tuple[str, Difference]] = field(default_factory=dict)  # whom, by how much
    speeds: dict[Candidate, Speed] = field(default_factory=dict)
    left_out: dict[Candidate, str] = field(default_factory=dict)  # and why
    too_long: dict[Candidate, float] = field(default_factory=dict)  # seconds of the first round
    standings: Standings | None = None  # after the last round
    alive: Sequence[Candidate] = ()  # judged in the last round, and not dropped after it
    n: int = 0  # rows of the last round

    def run(self, judge: Judge, budget: Budget) -> Standings:
        """Judge as many candidates on as many photos as the time allows for.

        Raises:
            WrongUsage: it does not allow for one candidate.
            ModelError: the weights of none can be had.
            DataError: there are too few photos for the folds.
        """
        self.alive = self.candidates
        for rows in self.shares:
            last = len(rows) == len(self.shares[-1])
            try:
                found = self._round(judge, budget, rows)
            except DataError:
                if last:
                    raise
                continue  # of a class there are too few among these
            if found is None:
                break
            self.judged.update(found)
            self.n = len(rows)
            self.standings = standings({one.arch: said for one, said in found.items()})
            best, behind = self.standings.best, self.standings.behind
            self.behind.pop(best, None)
            self.behind |= {arch: (best, gap) for arch, gap in behind.items()}
            dropped = () if last else self.standings.hopeless
            for arch in dropped:
                note(_dropped(arch, self.standings, self.n))
            self.alive = [one for one in found if one.arch not in dropped]
        assert self.standings is not None
        return self.standings

    def _round(
        self, judge: Judge, budget: Budget, rows: IntArray
    ) -> dict[Candidate, Predictions] | None:
        """The predictions of all candidates; None where the time does not allow for all."""
        found = self._kept(judge, rows)
        pending = [one for one in self.alive if one not in found and one not in self.left_out]
        while pending:
            try:
                seconds = self._expected(judge, pending, rows)
            except ModelError as error:  # it is loaded, to measure it
                self._leave_out(pending.pop(0), error)
                continue
            one, *pending = pending
            first = self.standings is None
            if budget.allows(seconds[0] if first else sum(seconds)):
                if done := self._judged(judge, one, rows):
                    found[one] = done.predictions
                    said = percent(_accuracy(done.predictions))
                    note(f"{one.arch}: accuracy {said} on {count(len(rows), 'photo')}.")
            elif first:
                self.too_long[one] = seconds[0]
            else:
                return None
        if not found:
            raise self._none(budget)
        return {one: found[one] for one in self.alive if one in found}

    def _kept(self, judge: Judge, rows: IntArray) -> dict[Candidate, Predictions]:
        found = {}
        for one in self.alive:
            try:
                if done := judge.kept(one, rows):
                    found[one] = done.predictions
                    self._learn(one, done.speed)
            except ModelError as error:
                self._leave_out(one, error)
        return found

    def _judged(self, judge: Judge, one: Candidate, rows: IntArray) -> Judged | None:
        try:
            done = judge.judge(one, rows)
        except ModelError as error:
            self._leave_out(one, error)
            return None
        self._learn(one, done.speed)
        return done

    def _leave_out(self, one: Candidate, error: ModelError) -> None:
        self.left_out[one] = str(error)
        note(f"{one.arch} is left out: its weights cannot be had, or not be used here.")

    def _expected(self, judge: Judge, rest: Sequence[Candidate], rows: IntArray) -> list[float]:
        """Seconds of each judgement that is still to be made on these rows."""
        if self.speeds:
            new = len(rows) - self.n
            return [expected_seconds(one, len(rows), new, self.speeds) for one in rest]
        first = judge.seconds_of_first(rest[0], len(rows))
        return [first * one.macs / max(rest[0].macs, 1) for one in rest]

    @property
    def seconds_left(self) -> float:
        """How long it takes to judge all that the time did not allow for, on all photos."""
        sizes = [len(rows) for rows in self.shares]
        later = sum(size for size in sizes if size > self.n)
        rest = [(one, later, sizes[-1] - self.n) for one in self.alive if later]
        rest += [(one, sum(sizes), sizes[-1]) for one in self.too_long]
        return sum(expected_seconds(*of_one, self.speeds) for of_one in rest)

    def _learn(self, one: Candidate, speed: Speed) -> None:
        """Keep a speed: the best there was, and the longest that features took: some are cached."""
        known = self.speeds.get(one, speed)
        rate = max(speed.images_per_second, known.images_per_second)
        self.speeds[one] = Speed(rate, max(speed.extract, known.extract), speed.fit)

    def _none(self, budget: Budget) -> ModelError | WrongUsage:
        """Why no candidate was judged."""
        if self.too_long:
            one, seconds = next(iter(self.too_long.items()))
            least, photos = minutes_for(seconds), count(len(self.shares[0]), "photo")
            return WrongUsage(
                f"--minutes {budget.minutes:g} is too short for one candidate: {quote(one.arch)}, "
                f"the cheapest, takes about {count(least, 'minute')} here on {photos}. Use "
                f"--minutes {least} or more."
            )
        names, (why, *_) = [one.arch for one in self.left_out], self.left_out.values()
        return ModelError(why if len(names) == 1 else f"None of {listed(names)} is at hand. {why}")


def _dropped(arch: str, found: Standings, n: int) -> str:
    low, high = (f"{100 * end:.1f}" for end in found.behind[arch].ci95)
    return (
        f"{arch} is dropped: on {count(n, 'photo')} it is {low} to {high} points behind "
        f"{found.best} (95 % interval)."
    )


def _accuracy(predictions: Predictions) -> float:
    return float((predictions.preds == predictions.targets).mean())
