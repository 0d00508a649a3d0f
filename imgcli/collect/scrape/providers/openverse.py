"""Openverse: openly licensed photos of many providers, by the words they are described with."""

from collections.abc import Mapping
from typing import Any

from imgcli.collect.http.client import Client
from imgcli.collect.scrape.licences import licence
from imgcli.collect.scrape.providers.answers import ask, base_url, text
from imgcli.collect.scrape.search_result import Page, Search, SearchResult, Terms

PAGE_SIZE = 20  # the maximum without credentials


class Openverse:
    """`GET /v1/images/`, page by page.

    Five requests an hour without credentials, so a large class takes hours. With those of a
    registered application, `OPENVERSE_TOKEN` holds the access token that it was given.
    """

    name = "openverse"
    home = "https://api.openverse.org/v1/images/"

    def __init__(
        self, client: Client, terms: Terms, endpoint: str | None, environ: Mapping[str, str]
    ) -> None:
        self._client = client
        self._terms = terms
        self._url = base_url(self.home, endpoint)
        token = environ.get("OPENVERSE_TOKEN")
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def address(self, search: Search, cursor: str) -> str:
        return self._url

    def page(self, search: Search, cursor: str) -> Page:
        number = int(cursor or 1)
        params = {
            "q": search.query,
            "page": str(number),
            "page_size": str(PAGE_SIZE),
            "category": "photograph",
            "mature": "false",
        }
        if self._terms.licences is not None:
            params["license"] = ",".join(sorted(self._terms.licences))
        answer = ask(self._client, self._url, params, self._headers)
        results = answer.get("results") or []
        more = results and number < int(answer.get("page_count") or 0)
        return Page(tuple(_result(result) for result in results), str(number + 1) if more else None)


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
