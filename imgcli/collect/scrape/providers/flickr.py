"""Flickr: a search by words, with a key from the environment.

First the 4,000 best results, then everything by date of upload: a span of time that has more than
4,000 results is halved until none has.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from imgcli.collect.scrape.licences import licence
from imgcli.collect.scrape.providers.api import Answered, Api, Ask, text
from imgcli.collect.scrape.search_result import Page, Search, SearchResult, Terms
from imgcli.errors import DataError

PAGE_SIZE = 500
MAX_RESULTS = 4000  # of one query; further pages only repeat them
FIRST_UPLOAD = 1_072_915_200  # 2004-01-01 in seconds; Flickr opened that February

LICENCES = {
    "1": "by-nc-sa",
    "2": "by-nc",
    "3": "by-nc-nd",
    "4": "by",
    "5": "by-sa",
    "6": "by-nd",
    "9": "cc0",
    "10": "pdm",
}
_BUSY = {"10", "11", "105", "106"}  # codes of Flickr's "not currently available"
_SIZES = ("url_l", "url_o", "url_m")  # 1,024 pixels; smaller photos have none and come as they are


@dataclass(frozen=True)
class _Place:
    """A page of the results between two upload times, and the spans still to come."""

    page: int = 1
    spans: tuple[tuple[int, int], ...] = ()  # seconds since 1970; the first is being read


def _page(ask: Ask, search: Search, cursor: str, terms: Terms) -> Page:
    place = _Place()
    if cursor:
        stored = json.loads(cursor)
        place = _Place(stored["page"], tuple((start, end) for start, end in stored["spans"]))
    answer = ask(_params(search, place, terms))
    if answer.get("stat") != "ok":
        raise DataError(f"Flickr refuses '{search.query}': {_reason(answer)}.")
    found = answer["photos"]
    onward = _next(place, int(found.get("total") or 0), int(found.get("pages") or 0))
    results = tuple(_result(photo) for photo in found.get("photo") or [])
    return Page(results, json.dumps(asdict(onward)) if onward else None)


def _key(environ: Mapping[str, str]) -> dict[str, str]:
    if key := environ.get("FLICKR_API_KEY"):
        return {"api_key": key}
    raise DataError(
        "Flickr answers only with a key, and FLICKR_API_KEY is not set. Get one at "
        "https://www.flickr.com/services/api/keys/, then: export FLICKR_API_KEY=…"
    )


def _params(search: Search, place: _Place, terms: Terms) -> dict[str, str]:
    params = {
        "method": "flickr.photos.search",
        "text": search.query,
        "media": "photos",
        "safe_search": "1",
        "sort": "relevance",
        "per_page": str(PAGE_SIZE),
        "page": str(place.page),
        "extras": "license,owner_name,url_m,url_l,url_o",
        "format": "json",
        "nojsoncallback": "1",
    }
    if not terms.unlicensed:
        wanted = LICENCES.values() if terms.licences is None else terms.licences
        params["license"] = ",".join(key for key, code in LICENCES.items() if code in wanted)
    if place.spans:
        params["min_upload_date"], params["max_upload_date"] = map(str, place.spans[0])
    return params


def _next(place: _Place, total: int, pages: int) -> _Place | None:
    """The place after `place`, of a query with so many results; None at the end."""
    last = min(pages, MAX_RESULTS // PAGE_SIZE)
    if not place.spans:
        if place.page < last:
            return _Place(place.page + 1)
        now = int(datetime.now(UTC).timestamp())
        return _Place(1, _halves(FIRST_UPLOAD, now)) if total > MAX_RESULTS else None
    (start, end), rest = place.spans[0], place.spans[1:]
    if total > MAX_RESULTS and end > start:
        return _Place(1, (*_halves(start, end), *rest))
    if place.page < last:
        return _Place(place.page + 1, place.spans)
    return _Place(1, rest) if rest else None


def _halves(start: int, end: int) -> tuple[tuple[int, int], ...]:
    """Both halves of a span, whose ends belong to it; the newer first."""
    middle = (start + end) // 2
    return (middle + 1, end), (start, middle)


def _busy(answer: Answered) -> str | None:
    failed = answer.get("stat") == "fail" and str(answer.get("code")) in _BUSY
    return _reason(answer) if failed else None


def _reason(answer: Answered) -> str:
    return text(answer.get("message")) or f"error {answer.get('code')}"


def _result(photo: Mapping[str, Any]) -> SearchResult:
    url = next((url for size in _SIZES if (url := text(photo.get(size)))), None)
    owner = text(photo.get("owner"))
    code = LICENCES.get(str(photo.get("license")))
    return SearchResult(
        source_id=str(photo["id"]),
        file_url=url or "",
        landing_url=f"https://www.flickr.com/photos/{owner}/{photo['id']}" if owner else None,
        title=text(photo.get("title")),
        creator=text(photo.get("ownername")) or owner,
        creator_url=f"https://www.flickr.com/people/{owner}/" if owner else None,
        licence=licence(code, version="2.0") if code else None,
        unusable=None if url else "its owner lets nobody fetch it",
    )


FLICKR = Api(
    name="flickr",
    url="https://api.flickr.com/services/rest/",
    page=_page,
    busy=_busy,
    params=_key,
)
