"""Candidates for the terminal: their table, and which to go on with.

`document` is that of the JSON contract of `choose` throughout.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from imgcli.report.terminal.comparison import p_text, points
from imgcli.report.terminal.tables import number, table, text, texts
from imgcli.text import count, interval, megabytes, percent, printable

Document = Mapping[str, Any]


def chosen(document: Document) -> list[RenderableType]:
    """The table of the candidates that were judged, what was not, and the command to go on with."""
    lines = [*_about(document), *_verdict(document), *_missing(document)]
    next_one = f"Next:   {document['command']}"
    return [_table(document), *texts([*lines, next_one])]


def _table(document: Document) -> Table:
    shown = table(
        text("network"),
        number("accuracy"),
        number("macro\nprecision"),
        number("photos/s\nhere"),
        number("to the\nbest"),
        gap=2,
    )
    for one in _of(document, "judged", "dropped"):
        shown.add_row(_network(one, document), *map(Text, _figures(one)))
    return shown


def _network(one: Document, document: Document) -> Text:
    params = f"{one['params'] / 1e6:.1f} million parameters, {megabytes(one['bytes'])}"
    share = f"\ndropped on {one['n']:,} photos" if one["status"] == "dropped" else ""
    return Text.assemble(
        (printable(one["arch"]), "bold"),
        " (best)" if one["arch"] == document["best"] else "",
        f"\n{params}{share}",
    )


def _figures(one: Document) -> Iterator[str]:
    for name in ("accuracy", "macro_precision"):
        yield f"{percent(one[name]['value'], '')}\n{interval(one[name]['ci95'], '')}"
    rate = one["images_per_second"]
    yield f"{rate:,.0f}" if rate >= 10 else f"{rate:.1f}"
    behind = one["behind"]
    yield f"{points(-behind['difference'])}\n{p_text(behind['p_value'])}" if behind else "–"


def _about(document: Document) -> Iterator[str]:
    photos = f"{document['n']:,} of {count(document['photos'], 'training photo')}"
    if document["n"] == document["photos"]:
        photos = count(document["n"], "training photo")
    yield (
        f"Judged by {document['folds']} folds of {photos}. In %; below, the 95 % interval. "
        "Photos/s: through the network, decoded."
    )
    if any(one["behind"] for one in document["candidates"]):
        yield (
            "P-values: exact McNemar test on the same photos, corrected for all pairs of those "
            "compared (Holm)."
        )


def _verdict(document: Document) -> Iterator[str]:
    best = document["best"]
    others = [one for one in _of(document, "judged") if one["behind"]]
    shown = [one["arch"] for one in others if one["behind"]["shown"]]
    unsure = [one["arch"] for one in others if not one["behind"]["shown"]]
    if shown:
        yield f"{best} is more accurate than {_all(shown)}, by more than chance."
    if unsure:
        yield f"No difference shown between {best} and {_all(unsure)}."
    if document["cheaper"]:
        macs = {one["arch"]: one["macs"] for one in document["candidates"]}
        share = percent(macs[document["cheaper"]] / macs[best], digits=0)
        yield (
            f"{document['cheaper']} is not shown to be less accurate and takes {share} of the "
            "multiply-adds."
        )
    if others:
        yield (
            "The best was chosen on these photos, so that its accuracy is slightly optimistic; "
            "score the test part once, in the end: imgcli evaluate."
        )


def _missing(document: Document) -> Iterator[str]:
    """What was not judged, and what it takes."""
    for one in _of(document, "left out"):
        # The remedies that follow are for a training by its own weights.
        yield f"Left out: {one['arch']}. {one['reason'].partition('. ')[0].rstrip('.')}."
    names = [one["arch"] for one in _of(document, "not judged")]
    left = document["minutes_left"]
    if not left:
        return
    minutes = count(left, "minute")
    if names:
        yield (
            f"Not judged, for want of time: {', '.join(names)}. With --minutes {left} the same "
            f"command goes on to judge all on all photos (about {minutes} more)."
        )
    else:
        yield (
            f"For all photos there was no time: it takes about {minutes} more. With --minutes "
            f"{left} the same command goes on from here."
        )
    yield "Without a limit of time, the candidates and photos above come to the same with:"
    yield f"Again:  {document['repeat']}"


def _all(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def _of(document: Document, *states: str) -> Sequence[Document]:
    return [one for one in document["candidates"] if one["status"] in states]
