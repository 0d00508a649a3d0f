"""Providers with an API that answers with JSON objects: a table of what differs, one way to ask.

A new one is a file with an `Api`; its `page` function makes the parameters and reads the answer.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from imgcli.collect.scrape.search_result import Page, Search, Terms
from imgcli.errors import DataError
from imgcli.http.client import Client
from imgcli.http.request import NotFetched

Answered = Mapping[str, Any]
Ask = Callable[[Mapping[str, str]], Answered]  # the answer to these parameters

TRIES = 5  # the client waits as long as an answer's Retry-After


@dataclass(frozen=True)
class Api:
    """What differs from one provider's API to the next."""

    name: str
    url: str
    page: Callable[[Ask, Search, str, Terms], Page]  # of a search, at a cursor
    # The reason if an answer of status 200 says that the server is busy; it is asked again.
    busy: Callable[[Answered], str | None] = lambda answer: None
    # Credentials in the environment, sent with each request as parameters or as headers.
    params: Callable[[Mapping[str, str]], Mapping[str, str]] = lambda environ: {}
    headers: Callable[[Mapping[str, str]], Mapping[str, str]] = lambda environ: {}


class ApiProvider:
    """A `Provider` that asks an API.

    Raises:
        DataError: the environment lacks a key that it needs.
    """

    def __init__(
        self,
        api: Api,
        client: Client,
        terms: Terms,
        endpoint: str | None,  # another server, or another URL on it
        environ: Mapping[str, str],
    ) -> None:
        self.name = api.name
        self._api = api
        self._client = client
        self._terms = terms
        self._url = api.url
        if endpoint is not None:
            given, path = urlsplit(endpoint), urlsplit(api.url).path
            self._url = endpoint if given.path.strip("/") else given._replace(path=path).geturl()
        self._params = api.params(environ)
        self._headers = api.headers(environ)

    def address(self, search: Search, cursor: str) -> str:
        return self._url

    def page(self, search: Search, cursor: str) -> Page:
        return self._api.page(self._ask, search, cursor, self._terms)

    def _ask(self, params: Mapping[str, str]) -> Answered:
        """The JSON object that the API answers.

        Raises:
            NotFetched: no answer, or busy for too long.
            DataError: an answer that is no JSON object.
        """
        reason: str | None = ""
        for _ in range(TRIES):
            got = self._client.get(
                self._url, params={**params, **self._params}, headers=self._headers, api=True
            )
            try:
                answer = json.loads(got.body)
            except (ValueError, RecursionError):
                answer = None
            if not isinstance(answer, dict):
                raise DataError(f"{self._url} answers with something else than a JSON object.")
            reason = self._api.busy(answer)
            if reason is None:
                return answer
        raise NotFetched(f"busy: {reason}", later=True)


def text(value: object) -> str | None:
    """A field as one line of text: numbers as written; null, lists and blanks as None."""
    if value is None or isinstance(value, dict | list):
        return None
    whole = str(value).encode("utf-8", "replace").decode()  # JSON can hold half a character
    return " ".join(whole.split()) or None
