"""Helpers for the answers of all providers."""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlsplit

from imgcli.collect.http.client import Client
from imgcli.collect.http.errors import NotFetched
from imgcli.errors import DataError

Answered = Mapping[str, Any]

TRIES = 5  # the client waits as long as an answer's Retry-After


def base_url(home: str, endpoint: str | None) -> str:
    """The URL of the API: the provider's own, or the same path on another server."""
    if endpoint is None:
        return home
    given = urlsplit(endpoint)
    return endpoint if given.path.strip("/") else given._replace(path=urlsplit(home).path).geturl()


def ask(
    client: Client,
    url: str,
    params: Mapping[str, str],
    headers: Mapping[str, str] | None = None,
    busy: Callable[[Answered], str | None] = lambda answer: None,
) -> Answered:
    """The JSON object that an API answers.

    Args:
        busy: the reason if an answer of status 200 says that the server is busy; it is repeated.

    Raises:
        NotFetched: no answer, or busy for too long.
        DataError: an answer that is no JSON object.
    """
    reason: str | None = ""
    for _ in range(TRIES):
        got = client.get(url, params=params, headers=headers, api=True)
        try:
            answer = json.loads(got.body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise DataError(f"{url} answers with something else than a JSON object.")
        reason = busy(answer)
        if reason is None:
            return answer
    raise NotFetched(f"busy: {reason}", later=True)


def text(value: object) -> str | None:
    """A field as one line of text: numbers as written; null, lists and blanks as None."""
    if value is None or isinstance(value, dict | list):
        return None
    whole = str(value).encode("utf-8", "replace").decode()  # JSON can hold half a character
    return " ".join(whole.split()) or None


def feed(parser: HTMLParser, html: str) -> None:
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


def stripped(html: object) -> tuple[str | None, str | None]:
    """The text of a piece of HTML, and where its first link leads."""
    parser = _Words()
    feed(parser, str(html))
    return text("".join(parser.words)), parser.link
