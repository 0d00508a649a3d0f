"""A run's report as one page of HTML that needs nothing else: no network and no other file.

Names are escaped, and the page's own policy allows it nothing but the one script and the one style
sheet that it was written with, by their hashes, and the pictures inside it.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup

from imgcli.records import Predictions
from imgcli.report.page import matrix
from imgcli.report.page.context import Report, page_context
from imgcli.report.page.evidence import evidence_images
from imgcli.report.page.html import (
    Thumbnails,
    cell_images,
    environment,
    gallery_images,
    policy_hash,
    source,
)
from imgcli.report.page.matrix import MatrixTable
from imgcli.report.page.svg import Drawings
from imgcli.text import percent, printable

MAX_BYTES = 9_500_000  # bytes of a page; the cells' thumbnails take what the rest leaves


def page(report: Report, thumbnails: Thumbnails) -> str:
    """The whole page: under 10 MB, unless the names of the photos alone are more."""
    templates = environment()
    shown = page_context(report)
    drawings = Drawings()
    for name, figure in shown["figures"].items():
        figure["svg"] = drawings.add(figure["svg"], figure["heading"], name)
    images = gallery_images(_gallery_paths(shown), thumbnails)
    mistakes = [*shown["worst"], *(p for merge in shown["merges"] or () for p in merge["photos"])]
    evidence = evidence_images(mistakes, images, report.evidence)
    body = templates.get_template("body.html").render(shown, images=images, evidence=evidence)
    table: MatrixTable | None = shown["confusion"]
    css = _style_sheet(drawings, 1 if table is None else len(table.order))
    script = source("page.js")
    data: dict[str, Any] = {}
    thumbs: dict[int, str] = {}
    if table is not None and report.evaluated is not None:
        data = _cell_data(table, report.evaluated.predictions)
        room = MAX_BYTES - sum(map(_bytes, (body, css, script, htmlsafe_json_dumps(data))))
        thumbs = _cell_thumbs(table, report.evaluated.predictions, thumbnails, room)
    return templates.get_template("page.html").render(
        run=report.run,
        data_folder=report.data,
        body=Markup(body),
        css=Markup(css),
        script=Markup(script),
        css_hash=policy_hash(css),
        script_hash=policy_hash(script),
        data=data,
        thumbs=thumbs,
    )


def _gallery_paths(shown: Mapping[str, Any]) -> Iterator[str]:
    """The photos of all galleries."""
    photos = [*shown["worst"], *shown["drawn"], *(shown["suspects"] or ())]
    for one in (*(shown["merges"] or ()), *(shown["slices"] or ())):
        photos += one["photos"]
    yield from (photo.path for photo in photos)
    for group in shown["groups"]:
        yield from group.paths


# --- the cells ----------------------------------------------------------------------------------


def _cell_data(table: MatrixTable, predictions: Predictions) -> dict[str, Any]:
    """The data with which the script shows the photos of a cell."""
    probability = predictions.probs[table.rows].max(axis=1)
    return {
        "classes": [printable(predictions.classes[i]) for i in table.order],
        "true": table.true.tolist(),
        "predicted": table.predicted.tolist(),
        "first": table.first.tolist(),
        "n": table.n.tolist(),
        "shown": table.shown.tolist(),
        "paths": [printable(predictions.paths[i]) for i in table.rows],
        "probability": [percent(p) for p in probability.tolist()],
    }


def _cell_thumbs(
    table: MatrixTable, predictions: Predictions, thumbnails: Thumbnails, room: int
) -> dict[int, str]:
    order = table.urgency()
    paths = [predictions.paths[table.rows[i]] for i in order]
    images = cell_images(paths, thumbnails, room)
    return {int(order[i]): image for i, image in images.items()}


# --- style sheet and script ---------------------------------------------------------------------


def _style_sheet(drawings: Drawings, classes: int) -> str:
    light, dark = matrix.rules()
    return "\n".join(
        (
            f":root{{--k:{classes}}}",
            source("base.css"),
            source("page.css"),
            light,
            f"@media screen and (prefers-color-scheme:dark){{{dark}}}",
            drawings.rules,
        )
    )


def _bytes(text: str) -> int:
    return len(text.encode())
