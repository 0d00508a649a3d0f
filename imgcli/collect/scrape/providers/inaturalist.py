"""iNaturalist: animals, plants and fungi, identified by several people.

Observations of research grade, by taxon: its number, or its name. Paged by the last observation's
number, since page numbers end at 10,000 results. Photos of one observation show one individual and
are one group.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from imgcli.collect.scrape.licences import licence
from imgcli.collect.scrape.providers.api import Api, Ask, text
from imgcli.collect.scrape.search_result import Page, Search, SearchResult, Terms

PAGE_SIZE = 200
SIZE = "large"  # long side of 1,024 pixels; `original` has up to 2,048
LICENCES = ("cc0", "by", "by-sa", "by-nc", "by-nd", "by-nc-sa", "by-nc-nd")

_HIDDEN = ("/assets/", "attachment_defaults/")  # what is shown in place of a flagged photo


def _page(ask: Ask, search: Search, cursor: str, terms: Terms) -> Page:
    params = {
        "taxon_id" if search.query.isdigit() else "taxon_name": search.query,
        "quality_grade": "research",
        "photos": "true",
        "per_page": str(PAGE_SIZE),
        "order_by": "id",
        "order": "asc",
        "id_above": cursor or "0",
    }
    if not terms.unlicensed:
        codes = [code for code in LICENCES if code in (terms.licences or LICENCES)]
        params["photo_license"] = ",".join(c if c == "cc0" else f"cc-{c}" for c in codes)
    answer = ask(params)
    results = answer.get("results") or []
    # total_results counts from id_above on, so that it falls to what this answer holds.
    more = results and int(answer.get("total_results") or 0) > len(results)
    photos = tuple(photo for result in results for photo in _results(result))
    return Page(photos, str(results[-1]["id"]) if more else None)


def _results(observation: Mapping[str, Any]) -> Iterator[SearchResult]:
    taxon = observation.get("taxon") or {}
    user = observation.get("user") or {}
    login = text(user.get("login"))
    for photo in observation.get("photos") or []:
        url = text(photo.get("url")) or ""
        yield SearchResult(
            source_id=str(photo["id"]),
            file_url=url.replace("/square.", f"/{SIZE}."),
            landing_url=text(observation.get("uri")),
            title=text(taxon.get("preferred_common_name")) or text(taxon.get("name")),
            creator=text(user.get("name")) or login,
            creator_url=f"https://www.inaturalist.org/people/{login}" if login else None,
            licence=licence(text(photo.get("license_code")), version="4.0"),
            attribution=text(photo.get("attribution")),
            group=f"inaturalist:{observation['id']}",
            unusable=_unusable(photo, url),
        )


def _unusable(photo: Mapping[str, Any], url: str) -> str | None:
    if photo.get("flags") or any(part in url for part in _HIDDEN):
        return "flagged"
    return None if url else "the provider gives no URL"


INATURALIST = Api("inaturalist", "https://api.inaturalist.org/v1/observations", _page)
