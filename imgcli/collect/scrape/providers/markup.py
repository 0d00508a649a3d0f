"""Photos, links and robots directives of a web page, and the text of a piece of one."""

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

from imgcli.collect.scrape.providers.api import text
from imgcli.image_types import PHOTO_SUFFIXES

MIN_SIDE = 100  # pixels; smaller ones are icons or tracking pixels

_LAZY = ("data-src", "data-original", "data-lazy-src", "data-full")
_STATE = re.compile(r"\A(?:[^{\[]*?=)?\s*(?=[{\[])")  # window.__STATE__ = {…};


@dataclass
class Photo:
    """A photo on a page, with its own metadata."""

    url: str
    title: str | None = None
    creator: str | None = None
    licence: str | None = None  # its URL or name


@dataclass
class Markup:
    """A page as it was read; all URLs absolute."""

    photos: list[Photo] = field(default_factory=list)
    robots: list[str] = field(default_factory=list)  # contents of <meta name="robots">
    links: list[tuple[str, str, str]] = field(default_factory=list)  # URL, rel, tag


def read_markup(html: str, url: str) -> Markup:
    """Read a page that was found at `url`."""
    reader = _Reader(url)
    _feed(reader, html)
    return reader.markup


def stripped(html: object) -> tuple[str | None, str | None]:
    """The text of a piece of HTML, and where its first link leads."""
    parser = _Words()
    _feed(parser, str(html))
    return text("".join(parser.words)), parser.link


def _feed(parser: HTMLParser, html: str) -> None:
    """Let `parser` read `html`, up to where it is too broken."""
    with suppress(AssertionError, RecursionError):
        parser.feed(html)
        parser.close()


class _Words(HTMLParser):
    """The text and the first link of a piece of HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.link: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a" and self.link is None:
            self.link = dict(attrs).get("href")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


class _Reader(HTMLParser):
    def __init__(self, url: str) -> None:
        super().__init__()
        self.base = url
        self.markup = Markup()
        self._linked = False  # inside a link to a photo: what it shows is that photo, smaller
        self._sources: list[str] | None = None  # inside <picture>: the srcsets of its sources
        self._script: str | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        match tag:
            case "base" if given.get("href"):
                self.base = absolute(self.base, given["href"]) or self.base
            case "meta":
                self._meta(given)
            case "a" | "link" if given.get("href"):
                self._link(tag, given)
            case "picture":
                self._sources = []
            case "source" if self._sources is not None:
                self._sources.append(given.get("srcset") or given.get("data-srcset", ""))
            case "img":
                self._image(given)
            case "script" if "json" in given.get("type", "") or not given.get("src"):
                self._script, self._text = given.get("type", ""), []

    def handle_endtag(self, tag: str) -> None:
        match tag:
            case "a":
                self._linked = False
            case "picture":
                self._sources = None
            case "script" if self._script is not None:
                self._data("".join(self._text), linked_data=self._script == "application/ld+json")
                self._script = None

    def handle_data(self, data: str) -> None:
        if self._script is not None:
            self._text.append(data)

    def _meta(self, given: dict[str, str]) -> None:
        if given.get("name", "").lower() in ("robots", "imgcli"):
            self.markup.robots.append(given.get("content", ""))
        elif given.get("property", given.get("name")) in ("og:image", "og:image:url"):
            self._add(given.get("content", ""))

    def _link(self, tag: str, given: dict[str, str]) -> None:
        if url := absolute(self.base, given["href"]):
            self.markup.links.append((url, given.get("rel", ""), tag))
        self._linked = tag == "a" and is_photo(given["href"])
        if self._linked:
            self._add(given["href"], given.get("title"))

    def _image(self, given: dict[str, str]) -> None:
        if self._linked or any(_is_small(given.get(side)) for side in ("width", "height")):
            return
        sets = [*(self._sources or ()), given.get("srcset") or given.get("data-srcset", "")]
        lazy = next((given[name] for name in _LAZY if given.get(name)), None)
        self._add(_largest(sets) or lazy or given.get("src", ""), given.get("alt"))

    def _data(self, content: str, linked_data: bool) -> None:
        """JSON in a script: linked data describes photos, a program's state only has URLs."""
        start = _STATE.match(content)
        if start is None:
            return
        try:
            document, _ = json.JSONDecoder().raw_decode(content, start.end())
        except (ValueError, RecursionError):
            return
        if linked_data:
            for photo in _image_objects(document):
                self._add(photo.url, photo.title, photo.creator, photo.licence)
        else:
            for found in _strings(document):
                if is_photo(found) and "/" in found:
                    self._add(found)

    def _add(
        self,
        url: str,
        title: str | None = None,
        creator: str | None = None,
        licence: str | None = None,
    ) -> None:
        where = absolute(self.base, url)
        if where is not None:
            self.markup.photos.append(Photo(where, title or None, creator, licence))


def absolute(base: str, url: str) -> str | None:
    """A link of the page at `base` as a whole URL; None where it leads to no other resource."""
    try:
        parts = urlsplit(urljoin(base, url.strip()))
    except ValueError:
        return None
    web = url.strip() and parts.scheme in ("http", "https") and parts.netloc
    return parts._replace(fragment="").geturl() if web else None


def is_photo(url: str) -> bool:
    """Whether a URL's path ends like a photo's."""
    path = re.split("[?#]", url, maxsplit=1)[0].lower()
    return path.endswith(tuple(PHOTO_SUFFIXES))


def _is_small(length: str | None) -> bool:
    digits = (length or "").removesuffix("px")
    return digits.isdigit() and int(digits) < MIN_SIDE


def _largest(sets: list[str]) -> str | None:
    """The widest, or else the densest, picture of some srcsets."""
    best: tuple[float, str] | None = None
    for choice in (choice for one in sets for choice in re.split(r",\s+|,(?=https?:)", one)):
        url, _, size = choice.strip().partition(" ")
        number = re.match(r"[\d.]+", size.strip())
        weight = float(number[0]) if number and number[0].count(".") < 2 else 1.0
        if url and not url.startswith("data:") and (best is None or weight > best[0]):
            best = weight, url
    return best[1] if best else None


def _image_objects(document: Any) -> Iterator[Photo]:
    for thing in _objects(document):
        kinds = thing.get("@type")
        if "ImageObject" not in (kinds if isinstance(kinds, list) else [kinds]):
            continue
        url = thing.get("contentUrl") or thing.get("url")
        if isinstance(url, str):
            creator = thing.get("creator") or thing.get("author") or thing.get("creditText")
            yield Photo(url, _name(thing.get("name")), _name(creator), _name(thing.get("license")))


def _name(thing: Any) -> str | None:
    """A thing by its name, however linked data wraps it."""
    if isinstance(thing, list):
        thing = thing[0] if thing else None
    if isinstance(thing, dict):
        thing = thing.get("name") or thing.get("url") or thing.get("@id")
    return thing if isinstance(thing, str) else None


def _objects(document: Any) -> Iterator[dict[str, Any]]:
    if isinstance(document, dict):
        yield document
        document = list(document.values())
    if isinstance(document, list):
        for part in document:
            yield from _objects(part)


def _strings(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict | list):
        for part in document.values() if isinstance(document, dict) else document:
            yield from _strings(part)
