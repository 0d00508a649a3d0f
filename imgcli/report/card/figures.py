"""How good a run is: figures with intervals, by class, confusion, and classes that may be one."""

from collections.abc import Iterator, Sequence

from imgcli.records import ClassFigures, Evaluation, Summary
from imgcli.report.card.markdown import md, table
from imgcli.report.card.material import Card
from imgcli.report.page.context import confused_pairs
from imgcli.report.page.summary import tested
from imgcli.report.terminal.evaluation import FIGURES, measured_on
from imgcli.report.terminal.merges import NONE as NO_MERGES
from imgcli.text import count, interval, percent, plus_minus

MATRIX = 15  # classes whose whole confusion matrix is shown
PAIRS = 20  # of classes confused most, where they are more


def figures(of: Card) -> Iterator[str]:
    yield "## Evaluation"
    yield ""
    evaluated = of.evaluated
    if evaluated is None:
        yield of.not_evaluated
        yield ""
        return
    evaluation = evaluated.evaluation
    yield (
        f"{count(evaluation.n, 'photo')}, {md(measured_on(evaluation))}, none of which trained the "
        "network that predicted it. Intervals are 95 % intervals; near-duplicates and photos of "
        "one group count once in them."
    )
    yield ""
    yield from _figures(evaluation)
    yield ""
    if of.report.tested is not None:
        yield md(tested(of.report.tested, of.report.evaluations))
        yield ""
    elif evaluation.on != "test":
        yield "Not evaluated on the sealed test part."
        yield ""
    yield from _per_class(evaluation.per_class)
    yield ""
    yield from _confusion(evaluation)
    yield ""
    yield from _merges(of)


def _figures(evaluation: Evaluation) -> Iterator[str]:
    spread = evaluation.accuracy.folds is not None
    head = ["in %", "value", "95 % interval", *(["folds: mean ± sd", "min–max"] if spread else [])]
    rows = [_figure(name, getattr(evaluation, key), spread) for key, name in FIGURES.items()]
    if evaluation.train is not None:
        rows += [
            _figure(f"{name}, training photos", evaluation.train[key], spread)
            for key, name in FIGURES.items()
            if key in evaluation.train
        ]
    yield from table(head, rows)


def _figure(name: str, summary: Summary, spread: bool) -> list[str]:
    ends = None if summary.min is None or summary.max is None else (summary.min, summary.max)
    cells = [name, percent(summary.value, ""), interval(summary.ci95, "")]
    if spread:
        cells += [plus_minus(summary.mean, summary.std, ""), interval(ends, "")]
    return cells


def _per_class(rows: Sequence[ClassFigures]) -> Iterator[str]:
    yield "### By class"
    yield ""
    yield from table(
        ["in %", "n", "precision", "95 % interval", "recall", "95 % interval", "F1"],
        [
            [
                md(row.name),
                f"{row.n:,}",
                percent(row.precision, ""),
                interval(row.precision_ci95, ""),
                percent(row.recall, ""),
                interval(row.recall_ci95, ""),
                percent(row.f1 if row.n else None, ""),
            ]
            for row in rows
        ],
    )


def _confusion(evaluation: Evaluation) -> Iterator[str]:
    yield "### Confusion"
    yield ""
    names = [md(name) for name in evaluation.classes]
    if len(names) <= MATRIX:
        yield "Photos by their class (rows) and the class predicted (columns):"
        yield ""
        rows = [
            [name, *(f"{int(n):,}" if n else "·" for n in of_class)]
            for name, of_class in zip(names, evaluation.confusion, strict=True)
        ]
        yield from table(["true ↓ predicted →", *names], rows)
        return
    pairs = confused_pairs(evaluation, PAIRS)
    if not pairs:
        yield "No photo was misclassified."
        return
    yield f"The {count(len(pairs), 'pair')} of classes confused most, in photos:"
    yield ""
    yield from table(
        ["a", "b", "a predicted as b", "b predicted as a"],
        [[md(one["a"]), md(one["b"]), f"{one['ab']:,}", f"{one['ba']:,}"] for one in pairs],
    )


def _merges(of: Card) -> Iterator[str]:
    yield "### Classes that may be one"
    yield ""
    merges = of.report.merges
    if merges is None:
        yield "Not looked for: that needs an evaluation by folds."
    elif not merges:
        yield md(of.report.merges_sample_size or NO_MERGES)
    else:
        yield (
            "The network cannot tell these classes apart; a prediction of one of them may as well "
            "be another."
        )
        yield ""
        yield from table(
            ["classes", "photos", "accuracy if merged", "reason"],
            [
                [
                    " + ".join(map(md, one.classes)),
                    f"{one.photos:,}",
                    percent(one.accuracy_after),
                    md(one.reason),
                ]
                for one in merges
            ],
        )
    yield ""
