"""A report to make a page of, and what reaches a file."""

import io
import re
from collections.abc import Generator, Iterable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console, RenderableType

from imgcli.evaluation.evaluate import evaluate
from imgcli.evaluation.merges.suggest import suggest_merges
from imgcli.records import Predictions, Samples, Split
from imgcli.report.page.context import Evaluated, Report
from imgcli.report.plots import style
from imgcli.report.plots.drawn import StoredFigure


def stored(figure: Figure) -> StoredFigure:
    """A figure as it is in a run's folder."""
    return StoredFigure(Path("figure.png"), style.svg(figure), style.heading(figure))


def report_of(
    said: Predictions | None, figures: Mapping[str, Figure] | None = None, **more: Any
) -> Report:
    bare = Report(
        run="20260101-000000-tiny",
        made="2026-01-01 00:00",
        model={"arch": "tiny", "classes": ["a", "b"], "val": None, "imgcli": "0"},
        data="dataset",
        figures={name: stored(figure) for name, figure in (figures or {}).items()},
        commands=["imgcli train --arch tiny"],
        versions={"imgcli": "0"},
    )
    if said is not None:
        samples = Samples(
            Path("x"), said.paths, said.targets, said.groups, ("",) * len(said), said.classes
        )
        split = Split({"train": np.arange(len(said))})
        evaluated = Evaluated(said, evaluate(said))
        merges = suggest_merges(said)
        bare = replace(
            bare, evaluated=evaluated, samples=samples, split=split, merges=merges, issues=[]
        )
    return replace(bare, **more)


def tiny(paths: Iterable[str], side: int) -> Generator[bytes | None, None, None]:
    """A thumbnail of as many bytes as a real one has."""
    for path in paths:
        yield None if "gone" in path else bytes(1200 if side == 96 else 2700)


def piped(*renderables: RenderableType, width: int = 80) -> str:
    """What reaches a file: no colours, no terminal."""
    console = Console(file=io.StringIO(), width=width, highlight=False)
    for renderable in renderables:
        console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


class Parsed(HTMLParser):
    """Elements and texts of a page, and what is wrong with their order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def having(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return "".join(self.texts)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)
