"""The arguments of `imgcli scrape SOURCE` as a job: a provider, its searches and class goals."""

import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

from imgcli.collect.scrape.providers.api import ApiProvider
from imgcli.collect.scrape.providers.flickr import FLICKR
from imgcli.collect.scrape.providers.gallery import Gallery
from imgcli.collect.scrape.providers.inaturalist import INATURALIST
from imgcli.collect.scrape.providers.openverse import OPENVERSE
from imgcli.collect.scrape.providers.urls import Urls
from imgcli.collect.scrape.providers.wikimedia import WIKIMEDIA
from imgcli.collect.scrape.search_result import Job, Search, Terms
from imgcli.errors import DataError, WrongUsage
from imgcli.http.client import Client
from imgcli.reading import read_regular
from imgcli.text import listed

APIS = {api.name: api for api in (OPENVERSE, WIKIMEDIA, FLICKR, INATURALIST)}
PROVIDERS = (*APIS, "gallery", "urls")
DEFAULT_PER_CLASS = 100


def make_job(
    source: str,
    words: Sequence[str],
    labels: Path | None,
    per_class: int | None,
    *,
    client: Client,
    terms: Terms,
    endpoint: str | None,
    environ: Mapping[str, str],
) -> Job:
    """Make a job of the arguments.

    Args:
        words: LABEL, LABEL=QUERY, for the gallery LABEL=URL, for urls the files of tables.
        labels: a file with one such word per line, or one more table.
        per_class: None for the default: 100, or all rows of a table.

    Raises:
        WrongUsage: an unknown source, nothing to search for, a word that is not valid.
        DataError: a file that cannot be read, or a missing key of the source.
    """
    if source not in PROVIDERS:
        raise WrongUsage(f"There is no source '{source}'. There are {listed(PROVIDERS, most=9)}.")
    if per_class is not None and per_class < 1:
        raise WrongUsage(f"--per-class {per_class} must be at least 1.")
    if endpoint is not None and source not in APIS:
        raise WrongUsage(f"--endpoint is for the sources with an API: {listed([*APIS])}.")
    if source == "urls":
        tables = [*map(Path, words), *([labels] if labels else [])]
        if not tables:
            raise WrongUsage(
                "Name a table of url and label, such as: imgcli scrape urls photos.csv"
            )
        urls = Urls(tables)
        goals = {label: min(n, per_class or n) for label, n in urls.counts().items()}
        return Job(urls, tuple(urls.searches), goals, tuple(urls.rejected))
    typed = [*words, *(_lines(labels) if labels else ())]
    searches = tuple(dict.fromkeys(_search(word, source) for word in typed))
    if not searches:
        example = "street=https://…" if source == "gallery" else 'night "street=street photography"'
        raise WrongUsage(f"Name what to look for, such as: imgcli scrape {source} {example}")
    goals = {search.label: per_class or DEFAULT_PER_CLASS for search in searches}
    if source == "gallery":
        return Job(Gallery(client), searches, goals)
    return Job(ApiProvider(APIS[source], client, terms, endpoint, environ), searches, goals)


def _lines(file: Path) -> list[str]:
    try:
        text = read_regular(file).decode("utf-8-sig")
    except FileNotFoundError:
        raise DataError(f"There is no '{file}'. Name a file with a label per line.") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"'{file}' is no text in UTF-8 ({error.reason}). Save it as such."
        ) from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        raise DataError(f"'{file}' is empty. Write a label, or label=query, per line.")
    return lines


def _search(word: str, source: str) -> Search:
    """A LABEL, which is its own query, or LABEL=QUERY."""
    label, given, query = word.partition("=")
    label, query = " ".join(label.split()), query.strip()
    if source == "gallery" and ("://" in label or "://" not in query):
        raise WrongUsage(f"'{word}' must be LABEL=URL, such as street=https://example.org/street.")
    if not label or (given and not query):
        raise WrongUsage(f"'{word}' lacks a label or a query. Write LABEL, or LABEL=QUERY.")
    try:
        label.encode()
    except UnicodeEncodeError:
        raise WrongUsage(f"The label '{label}' is no text in UTF-8. Write another one.") from None
    label = unicodedata.normalize("NFC", label)  # as folders are called
    return Search(label, query or label)
