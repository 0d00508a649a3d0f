"""What `evaluate` and `predict` print."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.text import Text

from imgcli.records import Evaluation, FloatArray
from imgcli.report.terminal import evaluation as tables
from imgcli.report.terminal.evaluation import (
    calibration_line,
    promise_lines,
    repeats_line,
    scores_line,
)
from imgcli.report.terminal.runs import leaking
from imgcli.text import count


def evaluated(
    evaluation: Evaluation,
    document: Mapping[str, Any],
    *,
    runs: int,
    test_evaluations: int | None,
    leaks: int,
    figures: Sequence[Path],
    following: str,
) -> Iterator[RenderableType]:
    """An evaluation: its figures, its classes, and what limits them.

    Args:
        document: of the JSON contract of `evaluate`.
        runs: how many the predictions are averaged over.
        test_evaluations: of the test part so far; None if this one did not score it.
        leaks: groups of duplicates in the test part and outside it.
        following: the command to type next, after folds of one run.
    """
    if runs > 1:
        yield f"Mean probabilities of {runs} runs:"
    yield Text(tables.verdict(evaluation), style="bold")
    yield tables.figures(evaluation)
    yield tables.per_class(evaluation)
    lines = [scores_line(document), calibration_line(document), repeats_line(document)]
    lines += [document["gap"]]
    if evaluation.folds is None or test_evaluations:
        lines += [_ledger_line(test_evaluations)]
    lines += leaking(leaks)
    lines += [f"Figure: {path}" for path in figures]
    if evaluation.folds and runs == 1:
        lines += [f"Next:   {following}"]
    yield Text("\n".join(line for line in lines if line))


def _ledger_line(times: int | None) -> str:
    if times is None:
        return "This run had scored the test part before; that score is shown again."
    if times == 1:
        return "The test part has now been scored once. Choose nothing by it."
    return (
        f"The test part has now been scored {times} times. Each choice based on test-set "
        "evaluations makes its figures more optimistic."
    )


def predicted(
    paths: Sequence[str],
    classes: Sequence[str],
    probs: FloatArray,
    sure: NDArray[np.bool_],
    promise: Mapping[str, Any] | None,
    csv: Path | None,
) -> Iterator[RenderableType]:
    """Predictions of new photos: the confident ones, then the unsure ones.

    Args:
        probs: (M, K), rows in the order of `paths`.
        sure: (M,) which photos are confident enough to be answered.
        promise: of the JSON contract of `predict --min-precision`.
        csv: the file that has the predictions instead.
    """
    if csv is not None:
        yield f"{count(len(paths), 'prediction')} in {csv}"
    else:
        for rows, title in ((sure, ""), (~sure, "Unsure; most probable:")):
            if rows.any():
                chosen = [path for path, row in zip(paths, rows, strict=True) if row]
                yield from [title] if title else []
                yield tables.predictions(chosen, classes, probs[rows])
    if promise:
        yield Text("\n".join(promise_lines(promise, int(sure.sum()), len(paths))))
