"""Wrong labels as a table, and what became of a plan."""

from typing import Any

from imgcli.report.terminal.check import NOT_ACCEPTED, relabelled
from imgcli.report.terminal.check import labels_table as table
from tests.support.reports import piped


def issue(path: str = "train/cat/1.jpg", **more: Any) -> dict[str, Any]:
    return {
        "path": path,
        "label": "cat",
        "suggestion": "dog",
        "score": 0.98,
        "probability": 0.01,
        "suggested_probability": 0.95,
        "nearest": 10,
        "nearest_as_labelled": 1,
        "nearest_as_suggested": 8,
        "reason": 'It is "surely", they say, a dog.',
        **more,
    }


SUMMARY = "About 2 of 40 labels are expected to be wrong."


def printed(*issues: dict[str, Any]) -> str:
    return piped(table(issues, SUMMARY))


def test_the_table_shows_what_speaks_for_it() -> None:
    text = printed(issue())
    assert (
        "train/cat/1.jpg" in text
        and "1.0 → 95.0" in text
        and "8 of 10" in text
        and "Labels to review (1)" in text
        and SUMMARY in text
    )
    assert "–" in printed(issue(nearest=None))
    assert printed().startswith("No labels to review")


def test_of_many_the_worst_are_shown_and_it_says_so() -> None:
    text = " ".join(printed(*(issue(f"{i}.jpg") for i in range(25))).split())
    assert "5 photos more: the plan lists them all." in text and "24.jpg" not in text


def test_names_are_shown_and_never_acted_on() -> None:
    text = printed(issue("a\x1b[2J.jpg", label="[red]x[/red]"))
    assert "\x1b" not in text and "[red]x[/red]" in text


def done(**more: Any) -> dict[str, Any]:
    moved = [{"path": f"cat/{i}.jpg", "to": f"dog/{i}.jpg"} for i in range(25)]
    return {"quarantine": "quarantine/raw-1", "moved": moved, "left": [], **more}


def test_what_was_relabelled_is_listed_with_the_way_back_and_on() -> None:
    said = relabelled(done(), "imgcli restore raw", "imgcli split raw")
    assert said[:2] == ["Relabelled 25 photos:", "  cat/0.jpg → dog/0.jpg"]
    assert said[-3:] == [
        "  and 5 more; --json lists all",
        "Undo: imgcli restore raw",
        "Next: imgcli split raw",
    ]


def test_what_would_be_done_and_nothing_are_told_apart() -> None:
    would = done(quarantine=None, moved=[], would_move=done()["moved"][:1])
    assert relabelled(would, "", "") == ["Would relabel 1 photo:", "  cat/0.jpg → dog/0.jpg"]
    (nothing,) = relabelled({**would, "would_move": []}, "", "")
    assert nothing == NOT_ACCEPTED
