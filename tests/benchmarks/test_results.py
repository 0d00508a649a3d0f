"""RESULTS.md and README's table are what was measured, figure for figure."""

import re

import pytest

from tests.benchmarks import results
from tests.benchmarks.machine import PROJECT
from tests.benchmarks.timing import Goal, Result, Timed

QUIET = "2026-12-01, `python -m tests.benchmarks.startup`, quiet machine, 9 s"
HELP = "`imgcli --help`"


def row(
    work: str, ours: float, theirs: float, peer: str, goal: Goal | None = None, disturbed: int = 0
) -> Result:
    sides = [Timed([value] * 3, (value,) * 3, disturbed) for value in (ours, theirs)]
    return Result(work, *sides, peer, goal=goal)


def written(*rows: Result, facts: str = QUIET, old: str = "# Title\n") -> str:
    return results.with_block(old, "M, 2 cores", "startup", results.block([facts], rows))


def test_readme_has_the_figures_of_one_machine_of_the_results() -> None:
    readme = (PROJECT / "README.md").read_text("utf-8")
    measured = (PROJECT / "tests/benchmarks/RESULTS.md").read_text("utf-8")
    machine = results.readme_machine(readme)
    assert results.readme_block(measured, machine) in readme


def test_a_figure_changed_in_readme_is_noticed() -> None:
    measured = written(row(HELP, 1.0, 1.25, "bare"))
    readme = results.readme("<!-- speed: x -->\n?\n<!-- end: speed -->", measured, "M, 2 cores")
    assert (
        "| `imgcli --help` | 1.00 (1.00–1.00) s | bare: 1.25 (1.25–1.25) s | 1.25× (1.25–1.25)"
        in readme
    )
    assert results.readme_machine(readme) == "M, 2 cores"
    changed = readme.replace("| 1.25× ", "| 1.35× ")
    assert results.readme_block(measured, "M, 2 cores") not in changed


def test_readme_says_of_how_many_photos_a_figure_is() -> None:
    measured = written(row(f"{HELP}, caltech30, 2,056 photos", 1, 2, "p"))
    assert "| `imgcli --help`, 2,056 photos | 1.00" in results.readme_block(measured, "M, 2 cores")


def test_of_several_peers_the_strongest_is_shown() -> None:
    measured = written(
        row(HELP, 1.0, 8.0, "slow peer"),
        row(f"{HELP}, the same", 1.0, 0.5, "fast peer"),
        row(f"{HELP}, within", 1.0, 0.1, "imgcli itself", goal=Goal("cost", 1.3)),
        Result(f"{HELP}, of the machine's peak", Timed([1.0], (1.0,)), (0.1,), "a bound"),
    )
    shown = results.readme_block(measured, "M, 2 cores")
    assert "fast peer" in shown and "0.500×" in shown
    assert not re.search("slow peer|itself|bound", shown)


@pytest.mark.parametrize(
    ("measured", "why"),
    [
        (
            written(row(HELP, 1, 2, "p"), facts=QUIET.replace("quiet machine", "BUSY MACHINE")),
            "others were",
        ),
        (written(row(HELP, 1, 2, "p", disturbed=1)), "others were"),
        (
            written(row(HELP, 1, 2, "p"), facts=QUIET.replace("startup`", "startup --quick`")),
            "--quick",
        ),
        (written(Result(HELP, Timed([1.0], (1.0,)))), "not measured beside a peer"),
    ],
    ids=["busy", "disturbed", "quick", "alone"],
)
def test_what_cannot_be_trusted_is_not_in_readme_and_is_named(measured: str, why: str) -> None:
    assert results.NOTHING in results.readme_block(measured, "M, 2 cores")
    (said,) = [one for one in results.missing(measured, "M, 2 cores") if HELP in one]
    assert why in said


def test_writing_keeps_other_machines_and_what_people_wrote() -> None:
    old = "# Title\n\nIntro.\n\n## Other, 4 cores\n\n### startup\n\nBy hand.\n\n"
    old += "## M, 2 cores\n\n- fact\n\n### pixels\n\nNote.\n"
    first = written(row(HELP, 1, 2, "one"), old=old)
    assert [line for line in old.splitlines() if line not in first.splitlines()] == []
    noted = first.replace(
        "<!-- end: startup -->\n", "<!-- end: startup -->\n\nA note | of people.\n"
    )
    second = written(row(HELP, 1, 3, "two"), old=noted)
    assert "A note | of people." in second and "one:" not in second and "two:" in second
    assert second.count("### startup") == 2 and second.count("<!-- measured: startup -->") == 1
    assert second == written(row(HELP, 1, 3, "two"), old=second)


def test_a_heading_by_hand_gets_the_block_above_what_stands_there() -> None:
    text = written(row(HELP, 1, 2, "p"), old="# T\n\n## M, 2 cores\n\n### startup\n\nBy hand.\n")
    assert text.index("### startup") < text.index("<!-- measured") < text.index("By hand.")
    assert text.count("### startup") == 1


def test_two_sections_of_one_machine_are_refused() -> None:
    with pytest.raises(ValueError, match="two sections '## M, 2 cores'"):
        written(row(HELP, 1, 2, "p"), old="## M, 2 cores\n\na\n\n## M, 2 cores\n\nb\n")
