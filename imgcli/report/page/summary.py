"""The verdict of a report in plain sentences, each number with its n."""

from collections.abc import Iterator

import numpy as np

from imgcli.records import Evaluation, Samples
from imgcli.report.terminal.evaluation import folds_of
from imgcli.text import count, interval, percent, plus_minus, printable

FEW = 100  # photos; under that many the interval is too wide to choose by


def headline(evaluation: Evaluation) -> str:
    """The first sentence: how much was right."""
    accuracy, right = percent(evaluation.accuracy.value), int(evaluation.confusion.trace())
    seen = "of the sealed test part" if evaluation.on == "test" else "it had not learnt from"
    photos = count(evaluation.n, "photo")
    if evaluation.repeats > 1:  # what is counted is the first repeat, and the figure of all
        return f"{accuracy} right of {photos} {seen}, each asked {evaluation.repeats} times"
    return f"{accuracy} right: {right:,} of {photos} {seen}"


def verdict(evaluation: Evaluation) -> list[str]:
    """What the figures mean, sentence by sentence."""
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
        yield "Most were called something else."
    elif wrong:
        yield f"About 1 photo in {1 / wrong:.0f} was called something else."
    if evaluation.accuracy.ci95:
        few = ", a wide range: there are few photos" if evaluation.n < FEW else ""
        yield (
            f"On other photos of the same kind expect {interval(evaluation.accuracy.ci95)} "
            f"(95 % interval){few}."
        )


def _folds(evaluation: Evaluation) -> Iterator[str]:
    accuracy = evaluation.accuracy
    if accuracy.min is not None and accuracy.max is not None:
        yield (
            f"Over the {folds_of(evaluation)} it was {plus_minus(accuracy.mean, accuracy.std)}, "
            f"at worst {percent(accuracy.min)} and at best {percent(accuracy.max)}."
        )


def _macro(evaluation: Evaluation) -> Iterator[str]:
    macro = evaluation.macro_precision
    within = f", {interval(macro.ci95)}" if macro.ci95 else ""
    yield (
        f"When it names a class it is right {percent(macro.value)} of the time, every class "
        f"counting alike (macro precision{within})."
    )
    if never := sum(row.precision is None and row.n > 0 for row in evaluation.per_class):
        yield f"{count(never, 'class', 'classes')} it never named, which counts as 0 there."


def _weakest(evaluation: Evaluation) -> Iterator[str]:
    found = [row for row in evaluation.per_class if row.recall is not None and row.recall < 1]
    if found and len(evaluation.classes) > 2:
        row = min(found, key=lambda row: (row.recall or 0.0, -row.n))
        got = f"{round((row.recall or 0.0) * row.n):,} of {row.n:,}"
        if evaluation.repeats > 1:
            got = f"{percent(row.recall)} of {count(row.n, 'photo')}"
        yield f"It has most trouble with {_quoted(row.name)}: {got} were recognised."


def _pair(evaluation: Evaluation) -> Iterator[str]:
    mixed = np.triu(evaluation.confusion + evaluation.confusion.T, 1)
    if len(evaluation.classes) > 2 and mixed.any():
        a, b = np.unravel_index(int(mixed.argmax()), mixed.shape)
        first = " of the first repeat" if evaluation.repeats > 1 else ""
        yield (
            f"It mixes up {_quoted(evaluation.classes[a])} and {_quoted(evaluation.classes[b])} "
            f"most, in {count(int(mixed[a, b]), 'photo')}{first}."
        )


def tested(evaluation: Evaluation, evaluations: int | None) -> str:
    """What the sealed test part says beside the folds."""
    return (
        f"On the sealed test part{_so_far(evaluations)} it got "
        f"{percent(evaluation.accuracy.value)} of {count(evaluation.n, 'photo')} right "
        f"(95 % interval {interval(evaluation.accuracy.ci95)})."
    )


def _so_far(evaluations: int | None) -> str:
    if evaluations is None:
        return ""
    return f", evaluated {'once' if evaluations == 1 else f'{evaluations:,} times'} so far,"


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
