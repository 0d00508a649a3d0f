"""Openverse: openly licensed photos of many providers, by the words they are described with.

Five requests an hour without credentials, so a large class takes hours. With those of a registered
application, `OPENVERSE_TOKEN` holds the access token that it was given.
"""

from collections.abc import Mapping
from typing import Any

from imgcli.collect.scrape.licences import licence
from imgcli.collect.scrape.providers.api import Api, Ask, text
from imgcli.collect.scrape.search_result import Page, Search, SearchResult, Terms

PAGE_SIZE = 20  # the maximum without credentials


def _page(ask: Ask, search: Search, cursor: str, terms: Terms) -> Page:
    number = int(cursor or 1)
    params = {
        "q": search.query,
        "page": str(number),
        "page_size": str(PAGE_SIZE),
        "category": "photograph",
        "mature": "false",
    }
    if terms.licences is not None:
        params["license"] = ",".join(sorted(terms.licences))
    answer = ask(params)
    results = answer.get("results") or []
    more = results and number < int(answer.get("page_count") or 0)
    return Page(tuple(_result(result) for result in results), str(number + 1) if more else None)


def _headers(environ: Mapping[str, str]) -> dict[str, str]:
    token = environ.get("OPENVERSE_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def _result(result: Mapping[str, Any]) -> SearchResult:
    url = text(result.get("url"))
    unusable = None
    if url is None:
        unusable = "the provider gives no URL"
    elif text(result.get("filetype")) == "svg":
        unusable = "an SVG drawing"
    return SearchResult(
        source_id=str(result["id"]),
        file_url=url or "",
        landing_url=text(result.get("foreign_landing_url")),
        title=text(result.get("title")),
        creator=text(result.get("creator")),
        creator_url=text(result.get("creator_url")),
        licence=licence(
            text(result.get("license")),
            text(result.get("license_version")),
            text(result.get("license_url")),
        ),
        attribution=text(result.get("attribution")),
        unusable=unusable,
    )


OPENVERSE = Api(
    name="openverse", url="https://api.openverse.org/v1/images/", page=_page, headers=_headers
)
