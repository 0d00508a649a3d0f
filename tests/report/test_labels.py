"""Wrong labels as a table and as a plan that people edit."""

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from imgcli.errors import DataError
from imgcli.report.labels import Relabel, read_plan, table, write_plan

CLASSES = ("cat", "dog", "owl, barn")


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


def printed(*issues: dict[str, Any]) -> str:
    file = io.StringIO()
    Console(file=file, width=80, highlight=False).print(table(issues))
    return file.getvalue()


def test_the_table_shows_what_speaks_for_it() -> None:
    text = printed(issue())
    assert "train/cat/1.jpg" in text and "1.0 → 95.0" in text and "1 → 8" in text
    assert "–" in printed(issue(nearest=None))
    assert printed().strip() == "No photo looks as if it were labelled wrong."


def test_of_many_the_worst_are_shown_and_it_says_so() -> None:
    text = " ".join(printed(*(issue(f"{i}.jpg") for i in range(25))).split())
    assert "5 photos more: --json lists them all." in text and "24.jpg" not in text


def test_names_are_shown_and_never_acted_on() -> None:
    text = printed(issue("a\x1b[2J.jpg", label="[red]x[/red]"))
    assert "\x1b" not in text and "[red]x[/red]" in text


def test_a_plan_left_alone_does_what_it_suggests(tmp_path: Path) -> None:
    names = ["a b.jpg", "c,d.jpg", 'e"f.jpg', "line\nbreak.jpg", "odd\udcff.jpg"]
    write_plan(tmp_path / "p.csv", [issue(name, suggestion="owl, barn") for name in names])
    found = read_plan(tmp_path / "p.csv", CLASSES)
    assert found == [Relabel(name, "cat", "owl, barn") for name in names]


def test_rows_that_are_deleted_emptied_or_set_back_leave_their_photos(tmp_path: Path) -> None:
    plan = tmp_path / "p.csv"
    write_plan(plan, [issue(f"{i}.jpg") for i in range(4)])
    header, first, second, third, _ = plan.read_text().splitlines()
    kept = [header, first, second.replace(",dog,", ",,"), third.replace(",dog,", ",cat,")]
    plan.write_text("\n".join(kept) + "\n\n")
    assert [row.path for row in read_plan(plan, CLASSES)] == ["0.jpg"]


def test_what_a_spreadsheet_makes_of_it_is_read(tmp_path: Path) -> None:
    plan = tmp_path / "p.csv"
    plan.write_bytes("\ufeffpath;label;new_label\r\n1.jpg;cat;dog\r\n".encode())
    assert read_plan(plan, CLASSES) == [Relabel("1.jpg", "cat", "dog")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path,label\n1.jpg,cat\n", "has no column 'new_label'"),
        ("", "has no column 'path'"),
        (
            "path,label,new_label\n1.jpg,cat,dgo\n",
            r"Line 2 of .* the label 'dgo', which is no class\. Did you mean 'dog'",
        ),
        (
            "path,label,new_label\n1.jpg,cat,dog\n1.jpg,cat,dog\n",
            r"Line 3 of .* names '1\.jpg' a second time",
        ),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_plan(tmp_path / "p.csv", CLASSES)


def test_a_plan_that_is_not_there_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Write one with `imgcli check --labels`"):
        read_plan(tmp_path / "p.csv", CLASSES)
