"""A report to make a page of."""

from collections.abc import Generator, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from imgcli.evaluation.evaluate import evaluate
from imgcli.evaluation.merges.suggest import suggest_merges
from imgcli.records import Predictions, Samples, Split
from imgcli.report.page.context import Judged, Report


def report_of(said: Predictions | None, **more: Any) -> Report:
    bare = Report(
        run="20260101-000000-tiny",
        made="2026-01-01 00:00",
        model={"arch": "tiny", "classes": ["a", "b"], "val": None, "imgcli": "0"},
        data="dataset",
        figures={},
        commands=["imgcli train --arch tiny"],
        versions={"imgcli": "0"},
    )
    if said is not None:
        samples = Samples(
            Path("x"), said.paths, said.targets, said.groups, ("",) * len(said), said.classes
        )
        split = Split({"train": np.arange(len(said))})
        judged = Judged(said, evaluate(said))
        merges = suggest_merges(said)
        bare = replace(bare, judged=judged, samples=samples, split=split, merges=merges, issues=[])
    return replace(bare, **more)


def tiny(paths: Iterable[str], side: int) -> Generator[bytes | None, None, None]:
    """A thumbnail of as many bytes as a real one has."""
    for path in paths:
        yield None if "gone" in path else bytes(1200 if side == 96 else 2700)
