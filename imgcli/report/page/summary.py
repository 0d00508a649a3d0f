"""The summary of a report in plain sentences, each number with its n."""

from collections.abc import Iterator

import numpy as np

from imgcli.records import Evaluation, Samples
from imgcli.report.terminal.evaluation import baseline_line, folds_of, macro_line
from imgcli.text import count, interval, percent, plus_minus, printable

FEW = 100  # photos; under that many the interval is too wide to choose by


def headline(evaluation: Evaluation) -> str:
    """The first sentence: accuracy and its n."""
    accuracy, hits = percent(evaluation.accuracy.value), int(evaluation.confusion.trace())
    photos = count(evaluation.n, "held-out photo")
    if evaluation.on == "test":
        photos = f"{count(evaluation.n, 'photo')} of the sealed test part"
    if evaluation.repeats > 1:  # counts are of the first repeat, and the figure of all
        return f"Accuracy {accuracy} on {photos}, each predicted {evaluation.repeats} times"
    return f"Accuracy {accuracy}: {hits:,} of {photos} correctly classified"


def verdict(evaluation: Evaluation) -> list[str]:
    """The figures, sentence by sentence."""
    return [
        *_certainty(evaluation),
        *_folds(evaluation),
        *_macro(evaluation),
        *_weakest(evaluation),
        *_pair(evaluation),
    ]


def _certainty(evaluation: Evaluation) -> Iterator[str]:
    wrong = 1 - evaluation.accuracy.value
    if wrong > 0.5:
        yield "Most photos were misclassified."
    elif wrong:
        yield f"About 1 photo in {1 / wrong:.0f} was misclassified."
    if evaluation.accuracy.ci95:
        few = ", wide because there are few photos" if evaluation.n < FEW else ""
        yield (
            f"95 % interval of the accuracy: {interval(evaluation.accuracy.ci95)}{few}. "
            f"{baseline_line(evaluation)}"
        )


def _folds(evaluation: Evaluation) -> Iterator[str]:
    accuracy = evaluation.accuracy
    if accuracy.min is not None and accuracy.max is not None:
        yield (
            f"Accuracy over the {folds_of(evaluation)}: {plus_minus(accuracy.mean, accuracy.std)}, "
            f"lowest {percent(accuracy.min)}, highest {percent(accuracy.max)}."
        )


def _macro(evaluation: Evaluation) -> Iterator[str]:
    macro = evaluation.macro_precision
    within = f" (95 % interval {interval(macro.ci95)})" if macro.ci95 else ""
    yield f"Macro precision, the mean precision of all classes, is {percent(macro.value)}{within}."
    if line := macro_line(evaluation):
        yield line
    if never := sum(row.precision is None and row.n > 0 for row in evaluation.per_class):
        yield f"{count(never, 'class', 'classes')} without a prediction, counted as 0."


def _weakest(evaluation: Evaluation) -> Iterator[str]:
    found = [row for row in evaluation.per_class if row.recall is not None and row.recall < 1]
    if found and len(evaluation.classes) > 2:
        row = min(found, key=lambda row: (row.recall or 0.0, -row.n))
        got = f"{round((row.recall or 0.0) * row.n):,} of {row.n:,}"
        if evaluation.repeats > 1:
            got = f"{percent(row.recall)} of {count(row.n, 'photo')}"
        yield f"Lowest recall: {_quoted(row.name)}, {got} correctly classified."


def _pair(evaluation: Evaluation) -> Iterator[str]:
    confused = np.triu(evaluation.confusion + evaluation.confusion.T, 1)
    if len(evaluation.classes) > 2 and confused.any():
        a, b = np.unravel_index(int(confused.argmax()), confused.shape)
        first = " of the first repeat" if evaluation.repeats > 1 else ""
        yield (
            f"Most confused: {_quoted(evaluation.classes[a])} and {_quoted(evaluation.classes[b])},"
            f" {count(int(confused[a, b]), 'photo')}{first}."
        )


def tested(evaluation: Evaluation, evaluations: int | None) -> str:
    """Accuracy on the sealed test part, beside that of the folds."""
    so_far = "" if evaluations is None else f"; {count(evaluations, 'test-set evaluation')} so far"
    return (
        f"Accuracy on the sealed test part: {percent(evaluation.accuracy.value)} "
        f"(n = {evaluation.n:,}; 95 % interval {interval(evaluation.accuracy.ci95)}{so_far})."
    )


def _quoted(name: str) -> str:
    """A class in quotes; marks that print nothing keep a right-to-left name to itself."""
    return f"“\u2068{printable(name)}\u2069”"


def balance(samples: Samples) -> str:
    """How uneven the classes are."""
    counts = samples.counts()
    large, small = int(counts.argmax()), int(counts.argmin())
    if counts[large] == counts[small]:
        return f"Every class has {count(int(counts[small]), 'photo')}."
    return (
        f"The largest class, {_quoted(samples.classes[large])}, has {counts[large]:,} photos; the "
        f"smallest, {_quoted(samples.classes[small])}, {counts[small]:,}."
    )
