"""The tables of results, to be written in any form: of an evaluation, a comparison, …

Values are shares of 1. `document` is that of the JSON contract of the command.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from imgcli.records import Evaluation, FloatArray, MergeSuggestion, Predictions
from imgcli.report.table_formats import Column, Row, TableRecord
from imgcli.text import count, free_suffixes, interval, megabytes, percent, plus_minus

SHARES = {
    "accuracy": "accuracy",
    "macro_precision": "macro precision",
    "macro_recall": "macro recall",
    "macro_f1": "macro F1",
    "top5": "top-5 accuracy",
}
LOSSES = {"log_loss": "log loss", "brier": "Brier score"}
_SPREAD = ("mean", "std", "median", "iqr", "min", "max")
FIGURE_KEYS = ("figure", "value", "low", "high", *_SPREAD, "train", "train_mean", "train_std")
CLASS_KEYS = (
    *("class", "n", "predicted", "precision", "precision_low", "precision_high"),
    *("recall", "recall_low", "recall_high", "f1"),
)


# --- an evaluation --------------------------------------------------------------------------------


def evaluation_tables(
    evaluation: Evaluation, predictions: Predictions, document: Mapping[str, Any], on: str
) -> dict[str, TableRecord]:
    """The classes, the figures, the confusion matrix and the photos of an evaluation.

    Args:
        on: what was scored, in words.
    """
    about = f"{on}, n = {evaluation.n:,}"
    return {
        "classes": _classes(evaluation, about),
        "figures": _figures(document, about, folds=evaluation.folds is not None),
        "confusion": _confusion(evaluation, about),
        "photos": _photos(predictions, about),
    }


def _figures(document: Mapping[str, Any], about: str, *, folds: bool) -> TableRecord:
    train = document["train"] or {}
    rows = [
        {
            "figure": key,
            **{name: document[key][name] for name in ("value", *_SPREAD)},
            **_ends(document[key]["ci95"]),
            "train": train.get(key, {}).get("value"),
            "train_mean": train.get(key, {}).get("mean"),
            "train_std": train.get(key, {}).get("std"),
        }
        for key in (*SHARES, *LOSSES)
        if document[key]
    ]
    columns = [
        Column("figure", _figure_name, name=True),
        Column("value", lambda row: _number(row, "value")),
        Column("95 % interval", _interval_of_figure),
    ]
    if folds:
        columns.append(Column("folds", _spread_of_figure))
    if train:
        columns.append(Column("training photos", _training_figure))
    return TableRecord(
        f"Figures, in % but for the losses; folds and training photos as mean ± sd: {about}.",
        rows,
        columns,
        FIGURE_KEYS,
    )


def _figure_name(row: Row) -> str:
    return {**SHARES, **LOSSES}[row["figure"]]


def _number(row: Row, key: str) -> str:
    if row[key] is None:
        return "–"
    return f"{row[key]:.3f}" if row["figure"] in LOSSES else percent(row[key], "")


def _interval_of_figure(row: Row) -> str:
    return "–" if row["low"] is None else f"{_number(row, 'low')}–{_number(row, 'high')}"


def _spread_of_figure(row: Row) -> str:
    return "–" if row["mean"] is None else f"{_number(row, 'mean')} ± {_number(row, 'std')}"


def _training_figure(row: Row) -> str:
    if row["train_mean"] is None:
        return percent(row["train"], "")
    return plus_minus(row["train_mean"], row["train_std"], "")


def _classes(evaluation: Evaluation, about: str) -> TableRecord:
    rows = [
        {
            "class": one.name,
            "n": one.n,
            "predicted": one.predicted,
            "precision": one.precision,
            **_ends(one.precision_ci95, "precision_"),
            "recall": one.recall,
            **_ends(one.recall_ci95, "recall_"),
            "f1": one.f1 if one.n else None,
        }
        for one in evaluation.per_class
    ]
    columns = [
        Column("class", lambda row: str(row["class"]), name=True),
        Column("n", lambda row: f"{row['n']:,}"),
        Column("precision", lambda row: with_interval(row, "precision")),
        Column("recall", lambda row: with_interval(row, "recall")),
        Column("F1", lambda row: percent(row["f1"], "")),
    ]
    return TableRecord(f"Classes, in % (95 % interval): {about}.", rows, columns, CLASS_KEYS)


def _confusion(evaluation: Evaluation, about: str) -> TableRecord:
    """Row = true class, column = predicted class."""
    classes = evaluation.classes
    true = next(name for s in free_suffixes() if (name := f"true class{s}") not in classes)
    matrix = evaluation.confusion.tolist()
    rows = [
        {true: name, **dict(zip(classes, row, strict=True))}
        for name, row in zip(classes, matrix, strict=True)
    ]
    columns = [
        Column("true ↓ predicted →", lambda row: str(row[true]), name=True),
        *(Column(name, lambda row, name=name: f"{row[name]:,}") for name in classes),  # type: ignore[misc]
    ]
    caption = f"Confusion matrix: {about}. Rows: true classes; columns: predicted classes."
    return TableRecord(caption, rows, columns, (true, *classes), shown=False)


def _photos(predictions: Predictions, about: str) -> TableRecord:
    classes, best = predictions.classes, predictions.preds
    rows = [
        {
            "path": path,
            "class": classes[target],
            "predicted": classes[pred],
            "confidence": float(probs[pred]),
            "correct": bool(target == pred),
            "fold": int(fold) if fold >= 0 else None,
            **probabilities(classes, probs),
        }
        for path, target, pred, probs, fold in zip(
            predictions.paths, predictions.targets, best, predictions.probs, predictions.fold,
            strict=True,
        )
    ]  # fmt: skip
    columns = [
        Column("photo", lambda row: str(row["path"]), name=True),
        Column("class", lambda row: str(row["class"]), name=True),
        Column("predicted", lambda row: str(row["predicted"]), name=True),
        Column("confidence in %", lambda row: percent(row["confidence"], "")),
    ]
    return TableRecord(f"Photos: {about}.", rows, columns, shown=False)


# --- predictions ----------------------------------------------------------------------------------


def prediction_table(
    paths: Sequence[str],
    classes: Sequence[str],
    probs: FloatArray,
    shown: Sequence[int],
    sure: Sequence[bool],
) -> TableRecord:
    """A row per photo: its class, whether that is an answer, and all probabilities.

    Args:
        probs: (M, K), rows in the order of `paths`.
        shown: (M,) the class of each photo: its answer, or the most probable one.
    """
    rows = [
        {
            "path": path,
            "class": classes[best],
            "confidence": float(row[best]),
            "sure": bool(answered),
            **probabilities(classes, row),
        }
        for path, row, best, answered in zip(paths, probs, shown, sure, strict=True)
    ]
    columns = [
        Column("photo", lambda row: str(row["path"]), name=True),
        Column("class", lambda row: str(row["class"]), name=True),
        Column("confidence in %", lambda row: percent(row["confidence"], "")),
    ]
    keys = ("path", "class", "confidence", "sure", *probabilities(classes, np.zeros(len(classes))))
    return TableRecord(f"{count(len(rows), 'photo')}.", rows, columns, keys)


def probabilities(classes: Sequence[str], probs: FloatArray) -> dict[str, float]:
    """A photo's probabilities `(K,)` by the names of their columns."""
    return {f"p({name})": p for name, p in zip(classes, probs.tolist(), strict=True)}


# --- learning curve, merges -----------------------------------------------------------------------


def curve_tables(document: Mapping[str, Any]) -> dict[str, TableRecord]:
    """The points of a learning curve, the last one expected; and what each class would gain."""
    more = document["times"] * document["points"][-1]["photos"]
    points = [*document["points"], {"photos": more, **document["expected"]}]
    rows = [
        {
            "photos": point["photos"],
            "accuracy": point["accuracy"],
            **_ends(point["ci95"], "accuracy_"),
            "expected": place == len(points) - 1,
        }
        for place, point in enumerate(points)
    ]
    classes = [
        {
            "class": row["class"],
            "n": row["n"],
            "recall": row["recall"][-1],
            "expected": row["accuracy"],
            "gain": row["gain"],
            **_ends(row["gain_ci95"], "gain_"),
        }
        for row in document["per_class"]
    ]
    about = f"{document['folds']} folds, n = {document['n']:,}"
    return {
        "points": TableRecord(
            f"Learning curve: {about}.",
            rows,
            [
                Column("training photos", _photos_of_point),
                Column("accuracy in % (95 % interval)", lambda row: with_interval(row, "accuracy")),
            ],
        ),
        "classes": TableRecord(
            f"Expected recall with {document['times']:g} times the photos: {about}.",
            classes,
            [
                Column("class", lambda row: str(row["class"]), name=True),
                Column("n", lambda row: f"{row['n']:,}"),
                Column("recall in %", lambda row: percent(row["recall"], "")),
                Column("expected in %", lambda row: percent(row["expected"], "")),
                Column("gain in points (95 % interval)", _gain),
            ],
        ),
    }


def _photos_of_point(row: Row) -> str:
    return f"{row['photos']:,.0f}{', expected' if row['expected'] else ''}"


def _gain(row: Row) -> str:
    low, high = (f"{100 * row[end]:+.1f}" for end in ("gain_low", "gain_high"))
    return f"{100 * row['gain']:+.1f} ({low} to {high})"


def merge_table(suggestions: Sequence[MergeSuggestion], accuracy: float) -> TableRecord:
    """A row per suggestion, best first.

    Args:
        accuracy: before any merge.
    """
    rows = [
        {
            "classes": " + ".join(one.classes),
            "kind": one.kind,
            "photos": one.photos,
            "accuracy_after": one.accuracy_after,
            "gain_beyond_chance": one.evidence.get("gain_beyond_chance"),
            "score": one.score,
            "reason": one.reason,
        }
        for one in suggestions
    ]
    columns = [
        Column("classes", lambda row: str(row["classes"]), name=True),
        Column("kind", lambda row: str(row["kind"]), name=True),
        Column("photos", lambda row: f"{row['photos']:,}"),
        Column("accuracy if merged in %", lambda row: percent(row["accuracy_after"], "")),
        Column("beyond chance", _gain_beyond_chance),
    ]
    keys = (
        *("classes", "kind", "photos", "accuracy_after"),
        *("gain_beyond_chance", "score", "reason"),
    )
    caption = f"Suggested merges; accuracy before any: {percent(accuracy)}."
    return TableRecord(caption, rows, columns, keys)


def _gain_beyond_chance(row: Row) -> str:
    gain = row["gain_beyond_chance"]
    return "–" if gain is None else f"{100 * gain:+.1f}"


# --- runs -----------------------------------------------------------------------------------------

RUN_KEYS = (
    *("run", "date", "arch", "state", "latest", "accuracy", "accuracy_low", "accuracy_high", "n"),
    *("on", "folds", "data", "photos", "bytes", "starts_from"),
)


def runs_table(runs: Sequence[Mapping[str, Any]]) -> TableRecord:
    """A row per run.

    Args:
        runs: of the JSON contract of `runs`.
    """
    rows = [
        {
            **{key: run[key] for key in ("run", "date", "arch", "latest")},
            "state": run_state(run),
            "accuracy": (found := run["accuracy"] or {}).get("value"),
            **_ends(found.get("ci95"), "accuracy_"),
            **{key: found.get(key) for key in ("n", "on", "folds")},
            **{key: run[key] for key in ("data", "photos", "bytes", "starts_from")},
        }
        for run in runs
    ]
    columns = [
        Column("run", lambda row: str(row["run"]).rpartition("/")[2], name=True),
        Column("arch", lambda row: str(row["arch"]), name=True),
        Column("accuracy in % (95 % interval)", lambda row: with_interval(row, "accuracy")),
        Column("n", lambda row: "–" if row["n"] is None else f"{row['n']:,}"),
        Column("on", lambda row: measured(row), name=True),
        Column("size", lambda row: megabytes(row["bytes"])),
        Column("state", lambda row: str(row["state"]), name=True),
    ]
    return TableRecord(f"{count(len(rows), 'run')}.", rows, columns, RUN_KEYS)


def run_state(run: Mapping[str, Any]) -> str:
    """Whether a run is finished, being trained, or damaged."""
    if run["problem"]:
        return "damaged"
    if run["training"]:
        return "in use"
    return "finished" if run["finished"] else "unfinished"


def measured(accuracy: Mapping[str, Any]) -> str:
    """What an accuracy was measured on: "10 folds", "test part", "validation"."""
    if accuracy["on"] == "folds":
        return f"{accuracy['folds']} folds"
    return {"test": "test part", None: "–"}.get(accuracy["on"], str(accuracy["on"]))


# --- cells ----------------------------------------------------------------------------------------


def with_interval(row: Row, key: str) -> str:
    """A share in % with its interval: "94.2 (93.0–95.2)"."""
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    value = percent(row[key], "")
    return value if low is None else f"{value} ({interval((low, high), '')})"


def _ends(ends: Sequence[float] | None, prefix: str = "") -> dict[str, float | None]:
    low, high = (None, None) if ends is None else ends
    return {f"{prefix}low": low, f"{prefix}high": high}
