"""Predictions of new photos as terminal tables and sentences."""

from collections.abc import Iterator, Mapping, Sequence
from shlex import quote
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.records import FloatArray
from imgcli.report.terminal.tables import number, reasons, table, text
from imgcli.text import count, interval, listed, percent, printable

NARROW = 0.005  # of a promised precision to its lower bound
MAX_PREDICTED = 1_000  # photos in a table on the terminal; of a million it takes ten minutes

Document = Mapping[str, Any]  # part of `predict --json`


def predicted(
    paths: Sequence[str],
    classes: Sequence[str],
    probs: FloatArray,
    shown: Sequence[str],
    sure: NDArray[np.bool_],
    sets: Sequence[Sequence[str]] | None = None,
    none_of_these: NDArray[np.bool_] | None = None,
) -> Iterator[RenderableType]:
    """Predictions of new photos: those answered, then the unsure ones, then none of these.

    Args:
        probs: (M, K), rows in the order of `paths`.
        shown: (M,) the class of each photo: its answer, or the most probable one.
        sure: (M,) which photos are answered.
        sets: (M,) the classes that each photo may be of, where these were asked for.
        none_of_these: (M,) which photos are of none of the classes.
    """
    novel = np.zeros(len(sure), bool) if none_of_these is None else none_of_these
    unsure = "Unsure; most probable:" if sets is None else "More than one class:"
    parts = (
        (sure, "", sets),
        (~sure & ~novel, unsure, sets),
        (novel, "None of these; most probable:", None),
    )
    for wanted, title, own_sets in parts:
        rows = np.flatnonzero(wanted)
        if not len(rows):
            continue
        some = rows[:MAX_PREDICTED].tolist()
        yield from [title] if title else []
        if own_sets is not None:
            own = [own_sets[i] for i in some]
            yield _sets([paths[row] for row in some], classes, probs[some], own)
        else:
            yield _predictions(
                [paths[row] for row in some], classes, probs[some], [shown[row] for row in some]
            )
        if len(rows) > len(some):
            yield (
                f"The first {len(some):,} of {count(len(rows), 'photo')}; --csv FILE or --json "
                "has all."
            )


def _predictions(
    paths: Sequence[str], classes: Sequence[str], probs: FloatArray, shown: Sequence[str]
) -> Table:
    """Each photo's class with its probability, and the most probable other class."""
    found = table(text("photo"), text("class"), number("confidence"), text("second"))
    order = np.argsort(-probs, axis=1, kind="stable")[:, :2].tolist()
    column = {name: k for k, name in enumerate(classes)}
    for path, best, name, p in zip(paths, order, shown, probs, strict=True):
        own = column[name]
        others = [k for k in best if k != own]
        second = f"{printable(classes[others[0]])} ({percent(p[others[0]])})" if others else "–"
        cells = (printable(path), printable(name), percent(p[own]), second)
        found.add_row(*map(Text, cells))
    return found


def _sets(
    paths: Sequence[str],
    classes: Sequence[str],
    probs: FloatArray,
    sets: Sequence[Sequence[str]],
) -> Table:
    """Each photo's set of classes, with their probabilities."""
    column = {name: k for k, name in enumerate(classes)}
    found = table(text("photo"), text("class, or one of"))
    for path, own, p in zip(paths, sets, probs, strict=True):
        named = (f"{printable(name)} ({percent(p[column[name]])})" for name in own)
        found.add_row(Text(printable(path)), Text(", ".join(named)))
    return found


def answered_line(threshold: float, answered: int, n: int) -> str:
    """The coverage of answers with at least some confidence."""
    return (
        f"Answered {answered:,} of {count(n, 'photo')}, those with a confidence of at least "
        f"{percent(threshold)}; the rest is unsure."
    )


def novelty_line(novelty: Document, n: int) -> str:
    """How many photos are of none of the classes, and how often photos of the classes are.

    Args:
        novelty: of the JSON contract of `predict`.
        n: photos at hand.
    """
    if novelty["unavailable"] is not None:
        return f"Photos of none of the classes are not told: {novelty['unavailable']}"
    return (
        f"None of these: {novelty['none_of_these']:,} of {count(n, 'photo')}. Of photos like the "
        f"{novelty['n']:,} that the run was evaluated on, up to "
        f"{percent(novelty['false_alarms'])} are called so by mistake."
    )


def drift_lines(sentence: str | None, farthest: Sequence[str]) -> list[str]:
    """How the photos differ from those that the run was evaluated on; nothing if they do not."""
    if sentence is None:
        return []
    return [sentence, f"Most unlike them: {listed(farthest, most=len(farthest))}."]


def promise_lines(promise: Document, answered: int, n: int) -> list[str]:
    """The coverage of a selective prediction, and the precision that it was chosen for.

    Args:
        promise: of the JSON contract of `predict --min-precision`.
        answered: of the `n` photos at hand.
    """
    weak = [f"{printable(name)} ({percent(p, digits=0)})" for name, p in promise["weak"].items()]
    return [
        answered_line(promise["threshold"], answered, n),
        f"Out-of-fold: precision {percent(promise['precision'])} at coverage "
        f"{percent(promise['share'])} ({promise['answered']:,} of "
        f"{count(promise['n'], 'photo')}). For photos like those, precision is at least "
        f"{percent(promise['min_precision'])} with 95 % confidence.",
        *_margin(promise),
        *([f"Classes of lower precision: {', '.join(weak)}."] if weak else []),
    ]


def _margin(promise: Document) -> list[str]:
    """A warning where photos that are a little harder would break the promise."""
    margin = promise["lower_bound"] - promise["min_precision"]
    if margin >= NARROW:
        return []
    return [
        f"Its lower bound is {percent(promise['lower_bound'])}: no margin for photos that are a "
        "little harder than those. A higher --min-precision leaves one."
    ]


def set_lines(sets: Document, single: int, n: int) -> list[str]:
    """How many photos have one class, and what sets have held, out-of-fold.

    Args:
        sets: of the JSON contract of `predict --coverage`.
        single: of the `n` photos at hand, those with one class in their set.
    """
    lowest = sorted(
        (one for one in sets["per_class"] if one["covered"] < sets["coverage"]),
        key=lambda one: one["covered"],
    )
    shown = [f"{printable(one['class'])} ({percent(one['covered'], digits=0)})" for one in lowest]
    lines = [
        f"{single:,} of {count(n, 'photo')} {'has' if single == 1 else 'have'} one class.",
        f"Out-of-fold, sets hold the true class of {percent(sets['covered'])} of "
        f"{count(sets['n'], 'photo')} (95 % interval {interval(sets['covered_ci95'])}), asked for "
        f"were {percent(sets['coverage'])}; {sets['classes_per_photo']:.2f} classes a photo, "
        f"{percent(sets['single'])} have one. The same holds for photos like those.",
    ]
    if shown:
        lines.append(f"Less often: {', '.join(shown[:5])}{_more(shown[5:])}.")
    if sets["few"]:
        lines.append(f"Too few photos to hold it by themselves: {listed(sets['few'])}.")
    return lines


def _more(rest: Sequence[str]) -> str:
    return f" and {len(rest):,} more" if rest else ""


def cost_lines(cost: Document, unsure: int, n: int) -> list[str]:
    """What answers cost out-of-fold, and whether those of least cost are given.

    Args:
        cost: of the JSON contract of `predict --cost`.
        unsure: of the `n` photos at hand, those for which no answer costs least.
    """
    lines = [cost_line(cost)]
    if unsure:
        lines.append(f"For {unsure:,} of {count(n, 'photo')} no answer costs least: unsure.")
    return lines


def cost_line(cost: Document) -> str:
    """What answers to held-out photos cost by both rules, and which is used.

    Args:
        cost: of the JSON contract of `evaluate --cost`.
    """
    least, plain = cost["least"], cost["most_probable"]
    found = (
        f"Mean cost per held-out photo {least['value']:.4g} (95 % interval "
        f"{_amounts(least['ci95'])}) by answers of least expected cost, {plain['value']:.4g} "
        f"({_amounts(plain['ci95'])}) by the most probable class; saved "
        f"{cost['saved']['value']:.4g} ({_amounts(cost['saved']['ci95'])}), other answers to "
        f"{cost['changed']:,} of {count(cost['n'], 'photo')}."
    )
    if cost["decides"] == "most probable":
        return f"{found} They cost more here, so `predict` gives the most probable class."
    return found


def _amounts(bounds: Sequence[float]) -> str:
    return f"{bounds[0]:.4g} to {bounds[1]:.4g}"


def sorted_table(document: Document) -> Table:
    """Photos per folder of `predict --sort-into`.

    Args:
        document: "sorted" of the JSON contract of `predict`.
    """
    shown = table(text("sorted into"), number("photos"), gap=2)
    rows = {
        **document["classes"],
        document["unsure_folder"]: document["unsure"],
        document["none_of_these_folder"]: document["none_of_these"],
    }
    for name, photos in rows.items():
        if photos:
            shown.add_row(Text(printable(name)), f"{photos:,}")
    return shown


def sorted_lines(document: Document) -> list[str]:
    """Where photos were put, and how to take them out again.

    Args:
        document: "sorted" of the JSON contract of `predict`.
    """
    photos = sum(document["classes"].values()) + document["unsure"] + document["none_of_these"]
    new, lines = photos - document["already"], []
    lines.append(f"Put {count(new, 'photo')} into {document['out']}; their originals stay.")
    if document["already"]:
        lines.append(f"There before, with the same bytes: {document['already']:,}.")
    if document["copied"]:
        lines.append(f"Copied: {document['copied']:,}, since hard links do not reach there.")
    if document["left"]:
        lines += [f"Not placed: {len(document['left']):,}.", *reasons(document["left"])]
    if new:
        lines.append(f"Undo: imgcli restore {quote(document['out'])}")
    return lines
