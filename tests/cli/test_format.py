"""--format: only the table on stdout, in another form."""

import csv
import io
import json
from pathlib import Path

import pytest

from tests.support.runs import evaluated_run, judged
from tests.support.shell import Shell


@pytest.fixture
def two_runs(here: Path) -> list[str]:
    made = [evaluated_run(Path("runs"), judged(wrong, k=3), judged(wrong)) for wrong in (6, 9)]
    return [run.folder.name for run in made]


def test_a_comparison_is_a_table_for_a_paper(two_runs: list[str], shell: Shell) -> None:
    code, out, _ = shell("compare", *two_runs, "--format", "latex")
    assert code == 0 and out.startswith("% \\usepackage{booktabs}\n\\begin{table}")
    assert out.count("\\begin{tabular}") == 1
    assert "90.5 $\\pm$ 8.2 (75.7--96.3)" in out  # with the interval beside
    code, out, _ = shell("compare", *two_runs, "--format", "md", "--table", "pairs")
    assert code == 0 and "| +5.0 (" in out and "Differences in points (95 % interval)" in out


def test_a_comparison_as_csv_has_the_values_of_json(two_runs: list[str], shell: Shell) -> None:
    document = shell.json("compare", *two_runs)
    out = shell("compare", *two_runs, "--format", "csv").out
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["run"] for row in rows] == [run["run"] for run in document["runs"]]
    for row, run in zip(rows, document["runs"], strict=True):
        assert float(row["accuracy"]) == run["accuracy"]["value"]
        assert [float(row["accuracy_low"]), float(row["accuracy_high"])] == run["accuracy"]["ci95"]
    assert (
        json.loads(shell("compare", *two_runs, "--format", "json").out)[0]["run"] == rows[0]["run"]
    )


def test_suggestions_are_a_table(run_with_twins: None, shell: Shell) -> None:
    code, out, _ = shell("suggest-merges", "--format", "md")
    assert code == 0 and "| c00 + c01 | " in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("evaluate --json --format md", "give the one or the other"),
        ("evaluate --table classes", "--table classes goes with --format"),
        ("evaluate --format md --table runs", "no such table, but 'classes', 'figures'"),
        ("compare a b --format md --table runss", "no such table, but 'runs' and 'pairs'"),
        ("learning-curve --format csv --table curve", "no such table"),
        ("suggest-merges --json --format csv", "give the one or the other"),
    ],
)
def test_ways_to_print_that_cannot_be_meant_are_refused_before_any_work(
    here: Path, shell: Shell, words: str, said: str
) -> None:
    code, out, error = shell(*words.split())
    assert code == 2 and out == "" and said in error
