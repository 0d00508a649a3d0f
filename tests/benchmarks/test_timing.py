"""Contenders take turns, and what others took of the machine is noticed."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.benchmarks import meter, script, timing
from tests.benchmarks.meter import Turn
from tests.benchmarks.timing import Conditions, Goal, Result, Timed, alternate


@pytest.fixture
def conditions(monkeypatch: pytest.MonkeyPatch) -> Iterator[Conditions]:
    mine = Conditions()
    monkeypatch.setattr(timing, "CONDITIONS", mine)
    yield mine


class FakeMeter:
    """Others' shares as given, one per turn; then none."""

    def __init__(self, shares: list[float]) -> None:
        self.shares = shares

    def __call__(self) -> "FakeMeter":
        return self

    def read(self) -> Turn:
        return Turn(10.0, 4.0, self.shares.pop(0) if self.shares else 0.0)


def turns(monkeypatch: pytest.MonkeyPatch, shares: list[float]) -> None:
    monkeypatch.setattr(timing, "Meter", FakeMeter(shares))
    monkeypatch.setattr(timing, "wait_until_quiet", lambda seconds: True)


def test_the_order_alternates_so_that_warmth_favours_nobody(
    tmp_path: Path, conditions: Conditions
) -> None:
    order: list[str] = []
    contenders = {name: lambda _, name=name: order.append(name) for name in "ab"}
    timed = alternate(contenders, 4, tmp_path, warm_up=False)
    assert "".join(order) == "abbaabba"
    assert {name: len(seconds) for name, seconds in timed.items()} == {"a": 4, "b": 4}


def test_a_disturbed_round_is_done_again_as_a_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conditions: Conditions
) -> None:
    turns(monkeypatch, [0.0, 0.0, 0.0, 0.5])
    done: list[str] = []
    timed = alternate(
        {name: lambda _, name=name: done.append(name) for name in "ab"}, 2, tmp_path, warm_up=False
    )
    assert "".join(done) == "abbaba" and len(timed["a"]) == 2
    assert timed["a"].disturbed == 0


@pytest.mark.parametrize("busy", [True, False])
def test_rounds_that_stay_disturbed_are_marked(
    busy: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conditions: Conditions
) -> None:
    conditions.busy = busy
    turns(monkeypatch, [0.5] * 99)
    done: list[int] = []
    timed = alternate({"a": lambda _: done.append(1)}, 3, tmp_path, warm_up=False)["a"]
    assert len(done) == (3 if busy else 6) and timed.disturbed == 3
    assert Result("w", timed).row()[-1] == "3, 3 disturbed"
    assert "over 5 % of the cores" in timing.table([Result("w", timed)])


def test_time_ends_a_comparison_but_not_before_three_rounds(
    tmp_path: Path, conditions: Conditions
) -> None:
    conditions.seconds = 0.0
    assert len(alternate({"a": lambda _: None}, 20, tmp_path)["a"]) == 3


def test_figures_are_medians_with_their_range_and_ratios_are_of_rounds() -> None:
    result = Result(
        "w",
        Timed([1.0, 2.0, 9.0], (1.0, 3.0, 5.0)),
        Timed([4.0, 2.0, 9.0], (2.0, 2.0, 8.0)),
        "peer",
        goal=Goal("faster", 1.5),
    )
    assert result.row()[1:] == (
        "2.00 (1.00–9.00) s",
        "peer: 4.00 (2.00–9.00) s",
        "1.00× (1.00–4.00)",  # 4, 1 and 1: not 4 / 2
        "3.00 / 2.00",
        "≥ 1.5× as fast",
        "no",
        "3",
    )


def test_results_are_the_same_after_they_were_saved(tmp_path: Path) -> None:
    result = Result("w", Timed([1.0, 2.0], (3.0, 4.0), 1), (2.0,), "p", goal=Goal("cost", 1.0))
    script.save(tmp_path / "x.json", [result], ["fact"])
    facts, (loaded,) = script.load(tmp_path / "x.json")
    assert facts == ["fact"] and loaded.row() == result.row() and loaded.goal == result.goal
    assert script.load(tmp_path / "absent.json") == ([], [])
    assert json.loads((tmp_path / "x.json").read_text())["results"][0]["ours"]["disturbed"] == 1


def test_a_busy_machine_is_refused_in_a_sentence_unless_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(meter, "others_share", lambda seconds=1.0: 0.34)
    monkeypatch.setattr(script, "PATIENCE", 0.0)
    with pytest.raises(SystemExit, match=r"Others take 34 % of the \d+ cores .* with --busy"):
        script.require_quiet(busy=False)
    script.require_quiet(busy=True)
    monkeypatch.setattr(meter, "others_share", lambda seconds=1.0: 0.01)
    monkeypatch.setattr(script, "PATIENCE", 5.0)
    script.require_quiet(busy=False)


def test_the_command_shown_has_what_decides_a_figure() -> None:
    words = "--data /x --work=/y --rounds 5 --busy --quick --json z".split()
    assert script.shown(words) == ["--rounds", "5", "--quick"]
