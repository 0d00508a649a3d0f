"""The map of all photos: each a point near the photos most like it, served as pages and one array.

    GET  /map                        the page
    GET  /map/about                  JSON: title, number of photos, what they can be coloured by
    GET  /map/points                 the places and codes, as of `PhotoMap.packed`
    GET  /map/photos?ids=3,17        JSON: path and caption of some photos
    GET  /map/thumbnail/17           a WebP
    POST /map/list                   ids as uint32 in, the paths as text out, one a line
    GET  /map/static/map.js          and what else the page needs

The routes belong into an app that keeps strangers out; they check ids and nothing else.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from imgcli.photos.row_cache import RowStore
from imgcli.progress import note
from imgcli.reading import hash_of_arrays
from imgcli.records import IntArray, Predictions
from imgcli.report.projection import (
    Places,
    made_by,
    need_projection,
    places_by_features,
)
from imgcli.runs import CACHE
from imgcli.text import count, percent, printable

STATIC = Path(__file__).parent / "static"
SERVED = ("map.css", "map.js", "points.js")
NONE = 0xFFFF  # the code of a photo of which something is not known
MOST_IDS = 200  # in one question for photos; the page asks for 60
KEPT = 4096  # thumbnails in memory, about 12 MB
SLOW = 20_000  # photos whose map takes long enough for a note
FOREVER = {"Cache-Control": "private, max-age=3600"}
FRESH = {"Cache-Control": "no-cache"}  # else a browser keeps a page of an earlier version

ALIKE = "Photos close together look alike to the model"

Thumbnail = Callable[[int], bytes | None]  # a WebP of a photo by its id; None for an unreadable one


@dataclass(frozen=True, eq=False)
class Colouring:
    """What the points can be coloured by: a name for each photo, of a few."""

    key: str
    title: str
    names: tuple[str, ...]
    codes: IntArray  # (N,) positions in names; -1 where it is not known

    def __post_init__(self) -> None:
        assert len(self.names) < NONE
        assert self.codes.min(initial=0) >= -1 and self.codes.max(initial=-1) < len(self.names)


@dataclass(frozen=True, eq=False)
class PhotoMap:
    """N photos in the plane."""

    title: str
    paths: tuple[str, ...]  # (N,)
    captions: tuple[str, ...]  # (N,)
    places: Places  # (N, 2) between -1 and 1
    colourings: tuple[Colouring, ...]  # at least one
    meaning: str = ALIKE  # of closeness, for the page

    def __post_init__(self) -> None:
        n = len(self.paths)
        assert self.places.shape == (n, 2) and len(self.captions) == n and self.colourings
        assert all(colouring.codes.shape == (n,) for colouring in self.colourings)

    def packed(self) -> bytes:
        """The places, then the codes of each colouring: (N, 2) float32, (N,) uint16 …

        Little-endian, without a head: `/map/about` says how many photos and colourings there are.
        An odd N has two bytes too few for the next array to begin at a whole word, which uint16
        does not need.
        """
        codes = (np.where(c.codes < 0, NONE, c.codes).astype("<u2") for c in self.colourings)
        return self.places.astype("<f4").tobytes() + b"".join(code.tobytes() for code in codes)

    def photo(self, i: int) -> dict[str, object]:
        """One photo as the page shows it."""
        caption = printable(self.captions[i])
        return {"id": i, "path": printable(self.paths[i]), "caption": caption}


def colourings_of(predictions: Predictions, sources: Sequence[str | None]) -> tuple[Colouring, ...]:
    """Label, prediction, right or wrong, and where the photos come from, where any has a source."""
    wrong = (predictions.preds != predictions.targets).astype(np.int64)
    found = [
        Colouring("label", "Label", predictions.classes, predictions.targets),
        Colouring("prediction", "Prediction", predictions.classes, predictions.preds),
        Colouring("error", "Right or wrong", ("right", "wrong"), wrong),
    ]
    names = sorted({name for name in sources if name})
    if names:
        position = {name: i for i, name in enumerate(names)}
        codes = np.array([position.get(name or "", -1) for name in sources], dtype=np.int64)
        found.append(Colouring("source", "Source", tuple(names), codes))
    return tuple(found)


def captions_of(predictions: Predictions) -> tuple[str, ...]:
    """The label of each photo, what it is predicted as, and how surely."""
    names, sure = predictions.classes, predictions.probs.max(axis=1)
    return tuple(
        f"{names[label]}: {'right' if label == said else f'predicted as {names[said]}'}, "
        f"{percent(float(p))} sure"
        for label, said, p in zip(predictions.targets, predictions.preds, sure, strict=True)
    )


def places_of(features: NDArray[np.floating], seed: int = 0, cache: Path = CACHE) -> Places:
    """The place of each photo, (N, 2), from the cache or worked out now.

    The key is the content of all features, the seed and what works the places out; one photo more
    moves all of them.

    Args:
        features: (N, D), all finite.

    Raises:
        Refused: openTSNE is not installed.
    """
    need_projection()
    n = len(features)
    made_of = f"{hash_of_arrays({'': features})} {seed} {made_by()}"
    key = hashlib.sha256(made_of.encode()).hexdigest()
    store = RowStore(
        cache / "maps" / f"tsne-{n}", (n, 2), "float32", about=f"maps of {count(n, 'photo')}"
    )
    row = store.rows([key])
    if row[0] < 0:
        if n >= SLOW:
            note(f"The map of {count(n, 'photo')} is made once, which takes minutes.")
        store.append([key], places_by_features(features, seed)[None])
        store.flush()
        row = store.rows([key])
    return np.asarray(store.take(row)[0], dtype=np.float32)


# --- routes -------------------------------------------------------------------------------------


def routes(found: PhotoMap, thumbnail: Thumbnail) -> list[BaseRoute]:
    """What serves a map, for `make_app(extra_routes=…)`.

    Args:
        thumbnail: gives a photo as a WebP; called from several threads.
    """
    packed = found.packed()
    kept = lru_cache(maxsize=KEPT)(thumbnail)
    page = _page(found)

    def show(_: Request) -> Response:
        return HTMLResponse(page)

    def about(_: Request) -> Response:
        of = [
            {"key": c.key, "title": c.title, "names": [printable(name) for name in c.names]}
            for c in found.colourings
        ]
        return JSONResponse({"photos": len(found.paths), "colourings": of})

    def points(_: Request) -> Response:
        return Response(packed, media_type="application/octet-stream")

    def photos(request: Request) -> Response:
        ids = request.query_params.get("ids", "").split(",")
        return JSONResponse([found.photo(i) for i in _known(found, ids)])

    def picture(request: Request) -> Response:
        (i,) = _known(found, [request.path_params["id"]])
        data = kept(i)
        if data is None:
            raise HTTPException(404, "The photo is gone, has changed or cannot be read.")
        return Response(data, media_type="image/webp", headers=FOREVER)

    async def listing(request: Request) -> Response:
        raw = await request.body()
        ids = np.frombuffer(raw[: len(raw) // 4 * 4], dtype="<u4")
        if len(raw) % 4 or len(ids) > len(found.paths) or (ids >= len(found.paths)).any():
            raise HTTPException(400, "The body is no list of ids of this map.")
        text = "".join(f"{printable(found.paths[i])}\n" for i in ids.tolist())
        return Response(text, media_type="text/plain; charset=utf-8")

    def static(request: Request) -> Response:
        if (name := request.path_params["name"]) not in SERVED:
            raise HTTPException(404)
        return FileResponse(STATIC / name, headers=FRESH)

    return [
        Route("/map", show),
        Route("/map/about", about),
        Route("/map/points", points),
        Route("/map/photos", photos),
        Route("/map/thumbnail/{id}", picture),
        Route("/map/list", listing, methods=["POST"]),
        Route("/map/static/{name}", static),
    ]


def _known(found: PhotoMap, ids: Sequence[str]) -> list[int]:
    """Ids as numbers.

    Raises:
        HTTPException: 404 for one that the map does not have, 400 for too many.
    """
    if len(ids) > MOST_IDS:
        raise HTTPException(400, f"At most {MOST_IDS} photos at once.")
    numbers = [int(one) if one.isascii() and one.isdigit() and len(one) < 10 else -1 for one in ids]
    if not all(0 <= i < len(found.paths) for i in numbers):
        raise HTTPException(404, "The map has no such photo.")
    return numbers


def _page(found: PhotoMap) -> str:
    templates = Environment(
        loader=PackageLoader("imgcli.review"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return templates.get_template("map.html").render(
        title=printable(found.title),
        photos=count(len(found.paths), "photo"),
        meaning=found.meaning,
    )
