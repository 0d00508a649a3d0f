"""Candidates as the terminal shows them."""

from io import StringIO
from typing import Any

from rich.console import Console
from rich.text import Text

from imgcli.report.terminal.choosing import chosen


def figure(value: float, half: float = 0.02) -> dict[str, Any]:
    return {"value": value, "ci95": [value - half, value + half]}


def behind(difference: float, p: float) -> dict[str, Any]:
    return {"arch": "best", "difference": difference, "p_value": p, "shown": p <= 0.05}


def candidate(arch: str, status: str = "judged", value: float = 0.9, **more: Any) -> dict[str, Any]:
    judged = status in ("judged", "dropped")
    return {
        "arch": arch,
        "status": status,
        "n": 2000 if status == "judged" else 500 if judged else 0,
        "accuracy": figure(value) if judged else None,
        "macro_precision": figure(value - 0.01) if judged else None,
        "behind": None,
        "images_per_second": 123.4 if judged else None,
        "params": 4_811_000,
        "bytes": 19_244_000,
        "macs": 400,
        "reason": None,
        **more,
    }


def document(*candidates: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "folds": 10,
        "n": 2000,
        "photos": 2000,
        "best": "best",
        "cheaper": None,
        "candidates": [*candidates],
        "minutes_left": 0,
        "command": "imgcli train --arch best --freeze",
        "repeat": "imgcli choose --archs best",
        **more,
    }


def shown(made: dict[str, Any]) -> str:
    console = Console(file=StringIO(), width=80)
    for part in chosen(made):
        console.print(part, soft_wrap=isinstance(part, Text) and bool(part.no_wrap))
    return console.file.getvalue()  # type: ignore[attr-defined]


def words(made: dict[str, Any]) -> str:
    return " ".join(shown(made).split())


def test_every_candidate_that_was_judged_has_a_row_with_its_figures() -> None:
    out = shown(
        document(
            candidate("best", value=0.957),
            candidate("second", value=0.946, behind=behind(0.011, 0.041)),
            candidate("far", "dropped", 0.5, behind=behind(0.45, 1e-9)),
        )
    )
    rows = [line.split() for line in out.splitlines()]
    assert ["best", "(best)", "95.7", "94.7", "123", "–"] in rows
    assert ["second", "94.6", "93.6", "123", "−1.1"] in rows
    assert ["far", "50.0", "49.0", "123", "−45.0"] in rows
    assert "dropped on 500 photos" in out and "4.8 million parameters, 19 MB" in out
    assert "p = 0.041" in out and "p < 0.001" in out and max(map(len, out.splitlines())) <= 80


def test_the_verdict_tells_what_is_more_than_chance_and_what_is_cheaper() -> None:
    said = words(
        document(
            candidate("best", macs=400),
            candidate("a", behind=behind(0.02, 0.01)),
            candidate("b", behind=behind(0.02, 0.02)),
            candidate("c", behind=behind(0.001, 0.7), macs=100),
            cheaper="c",
        )
    )
    assert "best is more accurate than a and b, by more than chance." in said
    assert "No difference shown between best and c." in said
    assert "c is not shown to be less accurate and takes 25 % of the multiply-adds." in said
    assert "Judged by 10 folds of 2,000 training photos." in said and "Again:" not in said


def test_what_was_not_judged_is_told_with_what_it_takes() -> None:
    reason = "The weights of 'x' are not in the cache ('a/b.c') and h gives none. Give a file."
    cut = document(
        candidate("best"),
        candidate("large", "not judged"),
        candidate("x", "left out", reason=reason),
        n=500,
        minutes_left=7,
    )
    said = words(cut)
    assert "Judged by 10 folds of 500 of 2,000 training photos." in said
    assert "Left out: x. The weights of 'x' are not in the cache" in said
    assert "Give a file" not in said
    assert "Not judged, for want of time: large. With --minutes 7 the same command" in said
    assert "Again:  imgcli choose --archs best" in shown(cut)
    cut["candidates"][1]["status"] = "judged"
    cut["candidates"][1] = candidate("large", behind=behind(0.01, 0.5))
    assert "For all photos there was no time: it takes about 7 minutes more." in words(cut)


def test_a_command_to_copy_is_one_line_however_long() -> None:
    long = "imgcli train --arch best --freeze --data " + "x" * 100
    assert f"Next:   {long}\n" in shown(document(candidate("best"), command=long))
