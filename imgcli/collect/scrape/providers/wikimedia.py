"""Wikimedia Commons, by `action=query` of the MediaWiki API.

"Category:Owls" lists that category, anything else is searched for. A busy server answers with
status 200 and the error maxlag or ratelimited.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

from imgcli.collect.scrape.licences import licence
from imgcli.collect.scrape.providers.api import Answered, Api, Ask, text
from imgcli.collect.scrape.providers.markup import stripped
from imgcli.collect.scrape.search_result import Page, Search, SearchResult, Terms
from imgcli.errors import DataError

PAGE_SIZE = 50
MAX_PARTS = 50  # answers per batch

_PHOTOS = {"image/jpeg", "image/png", "image/webp", "image/gif", "image/tiff"}


def _page(ask: Ask, search: Search, cursor: str, terms: Terms) -> Page:
    """One batch, whose pages may come in parts and again in each part."""
    begin: dict[str, str] = json.loads(cursor or "{}")
    onward: dict[str, str] = {}
    pages: dict[str, dict[str, Any]] = {}
    for _ in range(MAX_PARTS):
        answer = ask({**_params(search), **begin, **onward})
        if "error" in answer:
            raise DataError(f"Wikimedia refuses '{search.query}': {_reason(answer)}.")
        for key, part in (answer.get("query") or {}).get("pages", {}).items():
            pages.setdefault(key, {}).update(part)
        onward = {key: str(value) for key, value in (answer.get("continue") or {}).items()}
        if "batchcomplete" in answer or not onward:
            break
    ranked = sorted(pages.values(), key=lambda page: int(page.get("index") or 0))
    results = tuple(_result(page) for page in ranked if page.get("imageinfo"))
    return Page(results, json.dumps(onward) if onward else None)


def _params(search: Search) -> dict[str, str]:
    common = {
        "action": "query",
        "format": "json",
        "maxlag": "5",
        "prop": "imageinfo",
        "iiprop": "url|user|dimensions|extmetadata|mediatype|size|mime",
    }
    if search.query.lower().startswith("category:"):
        return {
            **common,
            "generator": "categorymembers",
            "gcmtitle": search.query,
            "gcmtype": "file",
            "gcmlimit": str(PAGE_SIZE),
        }
    return {
        **common,
        "generator": "search",
        "gsrsearch": f"{search.query} filetype:bitmap",
        "gsrnamespace": "6",
        "gsrlimit": str(PAGE_SIZE),
    }


def _busy(answer: Answered) -> str | None:
    code = (answer.get("error") or {}).get("code")
    return _reason(answer) if code in ("maxlag", "ratelimited", "readonly") else None


def _reason(answer: Answered) -> str:
    error = answer["error"]
    return text(error.get("info")) or text(error.get("code")) or "no reason given"


def _result(page: Mapping[str, Any]) -> SearchResult:
    info = page["imageinfo"][0]
    landing = text(info.get("descriptionurl"))
    creator, link = _field(info, "Artist")
    mime = text(info.get("mime"))
    unusable = None if mime in (None, *_PHOTOS) else f"no photo: {mime}"
    return SearchResult(
        source_id=str(page["pageid"]),
        file_url=text(info.get("url")) or "",
        landing_url=landing,
        title=text(page.get("title")),
        creator=creator or text(info.get("user")),
        creator_url=urljoin(landing or "", link) if link else None,
        # Not every licence has a code such as "cc-by-sa-4.0".
        licence=licence(
            _field(info, "License")[0] or _field(info, "LicenseShortName")[0],
            url=_field(info, "LicenseUrl")[0],
        ),
        attribution=_field(info, "Attribution")[0],
        unusable=unusable if info.get("url") else "the provider gives no URL",
    )


def _field(info: Mapping[str, Any], name: str) -> tuple[str | None, str | None]:
    """The text of a field of the file's description, and its first link."""
    value = ((info.get("extmetadata") or {}).get(name) or {}).get("value")
    return (None, None) if value is None or isinstance(value, dict) else stripped(value)


WIKIMEDIA = Api("wikimedia", "https://commons.wikimedia.org/w/api.php", _page, busy=_busy)
