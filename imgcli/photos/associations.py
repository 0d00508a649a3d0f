"""Whether classes are of one size, and whether something else than what they show tells them apart.

If all owls are PNG and all else is JPEG, a model that looks at the format is right and has learned
nothing. How closely class and such a property go together is Cramér's V, 0 to 1, corrected for
chance (Bergsma 2013); that chance alone made it so large is tested by shuffling the classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from imgcli.records import FloatArray, IntArray
from imgcli.text import count, percent

STRONG = 0.3  # Cramér's V from which it is reported
SURE = 0.01  # p below which it is reported
SHUFFLES = 499
UNEVEN = 5  # times as many photos as in the smallest class
FEW = 5  # photos of a class; figures of fewer say hardly anything


@dataclass(frozen=True)
class Association:
    """How closely the class goes together with a property of the photos."""

    attribute: str  # "size", "shape", "format", "source"
    cramers_v: float
    p_value: float  # the smallest that there is, 1 / (SHUFFLES + 1), says "at most"
    n: int
    tells: bool  # strong, and more than chance
    sentence: str


def associations(
    labels: Sequence[str], properties: Mapping[str, Sequence[str]], seed: int = 0
) -> list[Association]:
    """How closely N labels go together with each property, for those that have two values."""
    classes, targets = np.unique(np.array(labels), return_inverse=True)
    found = []
    for name, given in properties.items():
        values, value = np.unique(np.array(given), return_inverse=True)
        if len(classes) < 2 or len(values) < 2:
            continue
        table = _table(targets, value)
        v, p = cramers_v(table), _p_value(targets, value, seed)
        telling = _most_telling(table, classes.tolist(), values.tolist())
        tells = v >= STRONG and p <= SURE
        figures = (
            f"Cramér's V {v:.2f}, p {'≤' if p * (SHUFFLES + 1) < 1.5 else '='} {p:.3f}, "
            f"n = {len(targets):,}"
        )
        sentence = (
            f"{name.capitalize()} and class go together ({figures}): {telling} A model may learn "
            f"the {name} instead."
            if tells
            else f"{name.capitalize()} is not shown to give the class away ({figures})."
        )
        found.append(Association(name, v, p, len(targets), tells, sentence))
    return found


def cramers_v(table: IntArray) -> float:
    """Cramér's V of a table of counts, corrected for what chance alone would give."""
    n = int(table.sum())
    rows, columns = table.shape
    free = (rows - 1) * (columns - 1) / (n - 1)
    phi = max(0.0, _chi_squared(table) / n - free)
    fewer = min(rows - (rows - 1) ** 2 / (n - 1), columns - (columns - 1) ** 2 / (n - 1)) - 1
    return float(min(1.0, np.sqrt(phi / fewer))) if fewer > 0 else 0.0


def _p_value(targets: IntArray, value: IntArray, seed: int) -> float:
    """How often shuffled classes go together with the property as closely as the true ones."""
    rng = np.random.default_rng(seed)
    true = _chi_squared(_table(targets, value)) * (1 - 1e-9)
    shuffled = targets.copy()
    above = 0
    for _ in range(SHUFFLES):
        rng.shuffle(shuffled)
        above += _chi_squared(_table(shuffled, value)) >= true
    return (1 + above) / (1 + SHUFFLES)


def _table(targets: IntArray, value: IntArray) -> IntArray:
    """Row i, column j counts the photos of class i that have value j."""
    shape = (int(targets.max()) + 1, int(value.max()) + 1)
    counts = np.bincount(targets * shape[1] + value, minlength=shape[0] * shape[1])
    return counts.reshape(shape).astype(np.int64)


def _chi_squared(table: IntArray) -> float:
    expected = _expected(table)
    return float(((table - expected) ** 2 / expected).sum())


def _expected(table: IntArray) -> FloatArray:
    expected: FloatArray = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    return expected


def _most_telling(table: IntArray, classes: Sequence[str], values: Sequence[str]) -> str:
    """The class and value that chance explains least, by their standardised residual."""
    n, expected = table.sum(), _expected(table)
    rest = np.outer(1 - table.sum(axis=1) / n, 1 - table.sum(axis=0) / n)
    residual = (table - expected) / np.sqrt(expected * rest)
    i, j = divmod(int(np.argmax(residual)), table.shape[1])
    own = table[i, j] / table[i].sum()
    others = (table[:, j].sum() - table[i, j]) / (n - table[i].sum())
    return (
        f"{percent(own, digits=0)} of '{classes[i]}' is {values[j]}, {percent(others, digits=0)} "
        "of the other classes."
    )


def in_bins(numbers: FloatArray, unit: str, digits: int) -> list[str]:
    """Each of N numbers as the range of its bin in words: below, at and between the quartiles."""
    edges = np.unique(np.quantile(numbers, [0.25, 0.5, 0.75]))
    bins = np.searchsorted(edges, numbers, "left") + np.searchsorted(edges, numbers, "right")
    names = {}
    for b in np.unique(bins).tolist():
        low, high = (f"{end(numbers[bins == b]):,.{digits}f}" for end in (np.min, np.max))
        names[b] = f"{low if low == high else f'{low}–{high}'} {unit}"
    return [names[b] for b in bins.tolist()]


def uneven(classes: Mapping[str, int]) -> dict[str, str]:
    """Warnings about the sizes of classes, by class."""
    warnings = {
        name: f"only {count(n, 'photo')}, too few for figures of its own"
        for name, n in classes.items()
        if n < FEW
    }
    largest, smallest = (
        max(classes, key=lambda c: classes[c]),
        min(classes, key=lambda c: classes[c]),
    )
    if classes[largest] >= UNEVEN * max(1, classes[smallest]):
        ratio = classes[largest] / max(1, classes[smallest])
        warnings[smallest] = (
            f"{count(classes[smallest], 'photo')}, where '{largest}' has {classes[largest]:,}: "
            f"{ratio:.0f} times as many. Balance them, or train with --balance"
        )
    return warnings
