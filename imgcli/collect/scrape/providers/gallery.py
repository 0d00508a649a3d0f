"""A page of a photographers' site, such as a genre or a tag, and the pages after it."""

import re
from urllib.parse import parse_qs, urlsplit

from imgcli.collect.scrape.licences import Licence, licence
from imgcli.collect.scrape.providers.api import text
from imgcli.collect.scrape.providers.markup import Markup, Photo, read_markup
from imgcli.collect.scrape.search_result import Page, Search, SearchResult
from imgcli.errors import DataError
from imgcli.http.client import Client
from imgcli.http.request import Answer
from imgcli.http.robots import forbidden_use

MAX_PAGE_BYTES = 5_000_000

_CHARSET = re.compile(r"charset=[\"']?([\w-]+)", re.IGNORECASE)


class Gallery:
    """The photos of pages, each under the licence that its page names.

    The query is a page's URL; the next page is what it links to as the next, or as ?page= with the
    next number.
    """

    name = "gallery"

    def __init__(self, client: Client) -> None:
        self._client = client
        self._visited: set[tuple[Search, str]] = set()  # some sites' last page leads back

    def address(self, search: Search, cursor: str) -> str:
        return cursor or search.query

    def page(self, search: Search, cursor: str) -> Page:
        answer = self._client.get(self.address(search, cursor), max_bytes=MAX_PAGE_BYTES)
        markup = read_markup(_decoded(answer), answer.url)
        for content in markup.robots:
            if reason := forbidden_use(content):
                raise DataError(f"The page asks in its meta robots not to be used ({reason}).")
        granted = page_licence(markup)
        best: dict[str, Photo] = {}
        for photo in markup.photos:
            known = best.get(photo.url)
            if known is None or (photo.licence and not known.licence):
                best[photo.url] = photo
        self._visited |= {(search, self.address(search, cursor)), (search, answer.url)}
        onward = next_page(markup, answer.url)
        if onward is not None and (search, onward) in self._visited:
            onward = None
        return Page(tuple(_result(photo, answer.url, granted) for photo in best.values()), onward)


def _decoded(answer: Answer) -> str:
    head = answer.body[:1024].decode("ascii", "ignore")
    named = _CHARSET.search(answer.headers.get("Content-Type", "")) or _CHARSET.search(head)
    try:
        return answer.body.decode(named[1] if named else "utf-8", "replace")
    except LookupError:
        return answer.body.decode("utf-8", "replace")


def page_licence(markup: Markup) -> Licence | None:
    """The licence of all photos on a page: what it links to as its licence, else the one Creative
    Commons licence it links to; None where there is none, or where there are several."""
    declared = [url for url, rel, _ in markup.links if "license" in rel.lower().split()]
    linked = [url for url, _, _ in markup.links if "creativecommons.org/" in url]
    for urls in (declared, linked):
        found = {granted for url in urls if (granted := licence(None, url=url))}
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def next_page(markup: Markup, url: str) -> str | None:
    """The page after `url`: rel=next, or the same path with ?page= one higher."""
    for link, rel, _ in markup.links:
        if "next" in rel.lower().split():
            return link
    here = urlsplit(url)
    number = _page_number(url) or 1
    for link, _, tag in markup.links:
        there = urlsplit(link)
        same = (there.netloc, there.path) == (here.netloc, here.path)
        if tag == "a" and same and _page_number(link) == number + 1:
            return link
    return None


def _page_number(url: str) -> int | None:
    number = parse_qs(urlsplit(url).query).get("page", [""])[0]
    return int(number) if number.isdecimal() else None


def _result(photo: Photo, page: str, granted: Licence | None) -> SearchResult:
    own = granted
    if photo.licence is not None:  # a URL names a licence only where it is a known one's
        own = licence(None if "://" in photo.licence else photo.licence, url=photo.licence)
    return SearchResult(
        source_id=photo.url,
        file_url=photo.url,
        landing_url=page,
        title=text(photo.title),
        creator=text(photo.creator),
        licence=own,
    )
