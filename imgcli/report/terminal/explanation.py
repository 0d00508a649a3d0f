"""The explanations of photos, for the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from imgcli.report.terminal.tables import reasons, table, text, texts
from imgcli.text import count, percent, printable

MISTAKES = {  # by whether the networks had not seen the photos
    True: "Each was predicted as the class by the network of its fold, and is labelled as the "
    "other one. The probabilities and maps are of that network, which had not seen the photo.",
    False: "Each was predicted as the class by the network of its fold, and is labelled as the "
    "other one. The probabilities and maps are of the final network, which was trained on these "
    "photos.",
}
MAX_PHOTOS = 24  # rows of the table
LEGEND = (
    "Evidence: where the middle of what speaks for the class is, and its share in the outer eighth "
    "of the picture on each side, which is 44 % of the area. Nearest: the labels of the training "
    "photos most like it, and the similarity of the first (cosine, at most 1)."
)


def explained(document: Mapping[str, Any]) -> list[RenderableType]:
    """A row per photo, what the maps are, and where the figures lie.

    Args:
        document: of the JSON contract of `explain`.
    """
    photos = document["photos"]
    shown = table(*map(text, ("photo", "class", "rather than", "evidence", "nearest")), gap=2)
    for one in photos[:MAX_PHOTOS]:
        cells = (
            one["path"],
            _class(one, mistake=document["stored"] is not None),
            f"{one['against']} ({percent(one['confidence_against'])})",
            place(one["map"]),
            nearest(one["nearest"]),
        )
        shown.add_row(*(Text(printable(cell)) for cell in cells))
    lines = [LEGEND, *_methods(photos)] if photos else []
    if len(photos) > MAX_PHOTOS:
        lines.insert(0, f"{len(photos) - MAX_PHOTOS:,} more; --json lists all.")
    if rejected := document["rejected"]:
        lines += [f"{count(len(rejected), 'photo')} could not be used:", *reasons(rejected)]
    lines += _figures(photos)
    if document["stored"]:
        lines += [MISTAKES[document["held_out"]]] if photos else []
        lines += [f"Maps for the report: {document['stored']}", "Next: imgcli report"]
    return [*([shown] if photos else []), *texts(lines)]


def _class(one: Mapping[str, Any], *, mistake: bool) -> str:
    words = f"{one['class']} ({percent(one['confidence'])})"
    if mistake:  # of the folds, which the final network does not make again
        return words
    if one["class"] != one["predicted"]:
        words += f"; predicted {one['predicted']}"
    if one["label"] not in (None, one["class"]):
        words += f"; labelled {one['label']}"
    return words


def place(found: Mapping[str, Any]) -> str:
    """Where the evidence is, in words: "middle left, 20 % at the border"."""
    if found["centre"] is None:
        return "none"
    return f"{where(*found['centre'])}, {percent(found['border'], digits=0)} at the border"


def where(x: float, y: float) -> str:
    """A place in a picture by thirds: "top left", "middle", "bottom"."""
    down = ("top", "middle", "bottom")[min(2, max(0, int(3 * y)))]
    across = ("left", "", "right")[min(2, max(0, int(3 * x)))]
    return f"{down} {across}".strip() if down != "middle" or not across else across


def nearest(found: Sequence[Mapping[str, Any]]) -> str:
    """The labels of the photos most alike: "4 lotus, 1 water_lilly (0.91)"."""
    if not found:
        return "–"
    labels = Counter(near["class"] for near in found)
    words = ", ".join(f"{n} {label}" for label, n in labels.most_common())
    twins = sum(near["duplicate"] for near in found)
    same = f"; {count(twins, 'nearly the same photo', 'nearly the same photo')}" if twins else ""
    return f"{words} ({found[0]['similarity']:.2f}{same})"


def _methods(photos: Sequence[Mapping[str, Any]]) -> list[str]:
    methods = dict.fromkeys(one["method"] for one in photos)
    exact = all(one["map"]["exact"] for one in photos)
    adds = (
        "exact, a map adds up to the class's score less the bias"
        if exact
        else "an approximation, whose cells need not add up to the class's score"
    )
    return [f"Maps: {'; '.join(methods)} ({adds})."]


def _figures(photos: Sequence[Mapping[str, Any]]) -> list[str]:
    drawn = [one for one in photos if one["figure"]]
    if not drawn:
        return []
    if len(drawn) == 1:
        return [f"Figure: {photos[0]['figure']}"]
    folder = drawn[0]["figure"].rpartition("/")[0]
    return [f"{count(len(drawn), 'figure')} in {folder}"]
