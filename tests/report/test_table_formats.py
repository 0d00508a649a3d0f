"""A table in its four forms: values as they are for programs, escaped cells for readers."""

import csv
import io
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imgcli.report.table_formats import Column, Format, TableRecord, as_frame, tables_text
from imgcli.text import from_cell

COLUMNS = (
    Column("class", lambda row: str(row["class"]), name=True),
    Column("recall in %", lambda row: f"{100 * row['recall']:.1f} ± 1"),
)


def table(*names: str) -> TableRecord:
    rows = [{"class": name, "recall": (1 + i) / 3} for i, name in enumerate(names)]
    return TableRecord("Classes_1: n = 3.", rows, COLUMNS, ("class", "recall"))


def written(form: Format, *names: str) -> str:
    return tables_text({"classes": table(*names)}, form)


def test_csv_and_json_have_unrounded_values() -> None:
    assert written("csv", "a", "b").splitlines() == [
        *("class,recall", "a,0.3333333333333333", "b,0.6666666666666666"),
    ]
    assert json.loads(written("json", "a")) == [{"class": "a", "recall": 1 / 3}]
    both = tables_text({"one": table("a"), "two": table("b")}, "json")
    assert list(json.loads(both)) == ["one", "two"]
    assert tables_text({"one": table("a"), "two": table("b")}, "csv") == written("csv", "a")


def test_markdown_is_a_table_of_github() -> None:
    assert written("md", "snow_owl", "a|b").splitlines() == [
        *(r"Classes\_1: n = 3.", ""),
        *("| class | recall in % |", "| :--- | ---: |"),
        *(r"| snow\_owl | 33.3 ± 1 |", r"| a\|b | 66.7 ± 1 |"),
    ]


def test_latex_has_the_rules_of_booktabs() -> None:
    lines = [line.strip() for line in written("latex", "snow_owl", "50 % & {more}").splitlines()]
    assert lines == [
        *(r"% \usepackage{booktabs}", r"\begin{table}", r"\centering"),
        *(r"\caption{Classes\_1: n = 3.}", r"\label{tab:classes}", r"\begin{tabular}{lr}"),
        *(r"\toprule", r"class & recall in \% \\", r"\midrule"),
        r"snow\_owl & 33.3 $\pm$ 1 \\",
        r"50 \% \& \{more\} & 66.7 $\pm$ 1 \\",
        *(r"\bottomrule", r"\end{tabular}", r"\end{table}"),
    ]


NAMES = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=12)


@given(NAMES)
@example("-<-")
def test_no_name_is_markup_of_latex(name: str) -> None:
    (row,) = (
        line for line in written("latex", name).splitlines() if line.endswith(r"33.3 $\pm$ 1 \\")
    )
    cell = row.strip().removesuffix(r" & 33.3 $\pm$ 1 \\")
    assert not cell.startswith(("[", "*"))  # of the row before
    left = re.sub(r"\\(text[a-z]+|char34|dots)\{\}|\\[{}$&#_%]|\$(\\[a-z]+|-)\$|-\{\}-", "x", cell)
    assert not re.search(r"[\\$&#%_^]|--", left.replace("--", "") if "–" in name else left)
    assert left.count("{") == left.count("}")


@given(NAMES)
def test_no_name_is_markup_of_markdown(name: str) -> None:
    *_, row = written("md", name).splitlines()
    plain = re.sub(r"\\(.)", "", row)
    assert plain.count("|") == 3 and not set(plain) & set("`*_[]<>~$&")


@given(NAMES)
def test_csv_gives_a_name_back(name: str) -> None:
    (_, (cell, _)) = csv.reader(io.StringIO(written("csv", name)))
    assert from_cell(cell) == name and cell.isprintable()


def test_a_table_without_rows_has_its_header() -> None:
    assert written("csv") == "class,recall\n" and json.loads(written("json")) == []
    assert written("md").splitlines()[2:] == ["| class | recall in % |", "| :--- | ---: |"]


def test_a_frame_has_the_values() -> None:
    frame = as_frame(table("a", "b"))
    assert list(frame.columns) == ["class", "recall"] and frame.recall.tolist() == [1 / 3, 2 / 3]


def test_without_pandas_a_frame_is_refused_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    from imgcli.errors import Refused

    monkeypatch.setitem(__import__("sys").modules, "pandas", None)
    with pytest.raises(Refused, match="pip install pandas"):
        as_frame(table("a"))
