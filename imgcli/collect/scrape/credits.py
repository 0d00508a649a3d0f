"""The page of photo credits: creator, licence and attribution of each photo."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from imgcli import provenance
from imgcli.aside import write_page
from imgcli.collect.ingest import CREDITS
from imgcli.collect.scrape.licences import attribution, licence
from imgcli.errors import DataError
from imgcli.text import count, printable

_PAGE = """{% macro link(text, url) %}
{% if url %}<a href="{{ url }}">{{ text | printable }}</a>
{%- else %}{{ text | printable }}{% endif %}
{% endmacro %}
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Photo credits</title>
<style>
:root { color-scheme: light dark; }
body { margin: 0 auto; padding: 1.5rem; max-width: 60rem; font: 15px/1.5 system-ui, sans-serif; }
li { margin: .3rem 0; overflow-wrap: anywhere; } .file { opacity: .65; font-size: 12px; }
</style>
</head>
<body>
<h1>Photo credits</h1>
<p>{{ credits | length | count("photo") }}:
{% for name, n in licences.items() %}
{{ n }} × {{ name | printable }}{{ "." if loop.last else "," }}
{% endfor %}
</p>
{% for label, photos in credits | groupby("label", case_sensitive=True) %}
<h2>{{ label | printable }}</h2>
<ul>
{% for photo in photos %}
<li>{{ link(photo.title or "Untitled", photo.landing_url) }} by
{{ link(photo.creator or "an unknown creator", photo.creator_url) }},
{{ link(photo.licence, photo.licence_url) }}{{ "; " ~ photo.change if photo.change }}
{% if photo.wording %}
<br>{{ photo.wording | printable }}
{% endif %}
<br>
{% if with_files %}
<a class="file" href="{{ photo.path | quoted }}">{{ photo.path | printable }}</a></li>
{% else %}
<span class="file">{{ photo.path | printable }}</span></li>
{% endif %}
{% endfor %}
</ul>
{% endfor %}
</body>
</html>
"""


@dataclass(frozen=True)
class Credit:
    """The credit of one photo; URLs are http or https only."""

    path: str
    label: str
    title: str | None
    landing_url: str | None
    creator: str | None
    creator_url: str | None
    licence: str
    licence_url: str | None
    wording: str | None  # the attribution as its provider words it
    change: str | None  # how imgcli changed it


@dataclass(frozen=True)
class Credited:
    """The page that was written."""

    page: Path
    licences: Mapping[str, int]  # photos under each, the commonest first
    uncredited: int  # photos that were not scraped; their authors are not recorded
    kept: str | None = None  # a sentence on where a page not made by imgcli is now


def write_credits(folder: Path) -> Credited:
    """Write `credits.html` for the scraped photos in a folder, replacing an older one.

    Raises:
        DataError: the folder has no provenance, or no scraped photos.
    """
    credits, uncredited = read_credits(folder)
    page = folder / CREDITS
    kept = write_page(page, credits_page(credits))
    return Credited(page, licences_of(credits), uncredited, kept)


def read_credits(folder: Path, among: Collection[str] | None = None) -> tuple[list[Credit], int]:
    """The credits of the scraped photos in a folder, and how many others there are.

    Args:
        among: the photos to credit, by their paths in the folder; by default all that are there.

    Raises:
        DataError: the folder has no provenance, or no such photos that were scraped.
    """
    try:
        lines = {str(line["path"]): line for line in provenance.read(folder)}
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"'{folder}' has no {provenance.NAME}, so nobody knows where its photos come from. "
            "Name a folder that `imgcli scrape` made."
        ) from None
    except OSError as error:
        raise DataError(
            f"'{folder / provenance.NAME}' cannot be read ({error.strerror or error}). Restore it."
        ) from None
    wanted = sorted(lines.keys() if among is None else lines.keys() & among)
    there = [lines[p] for p in wanted if among is not None or (folder / p).is_file()]
    credits = [_credit(line) for line in there if "file_url" in line]
    if not credits:
        raise DataError(f"'{folder}' holds no photos that `imgcli scrape` placed: none to credit.")
    return credits, (len(there) if among is None else len(among)) - len(credits)


def licences_of(credits: Sequence[Credit]) -> dict[str, int]:
    """Photos under each licence, the commonest first."""
    return dict(Counter(credit.licence for credit in credits).most_common())


def credits_page(credits: Sequence[Credit], with_files: bool = True) -> str:
    """The page as HTML.

    Args:
        with_files: whether each photo's file is beside the page, to be linked to.
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": count, "printable": printable, "quoted": quote}
    page = environment.from_string(_PAGE)
    licences = licences_of(credits)
    return page.render(credits=credits, licences=licences, with_files=with_files)


def _credit(line: Mapping[str, Any]) -> Credit:
    """The credit in a line of the provenance, much of which strangers have written."""
    title, creator, code, wording = (
        text if isinstance(text := line.get(name), str) else None
        for name in ("title", "creator", "license", "attribution")
    )
    granted = licence(code, line.get("license_version"), line.get("license_url"))
    made_from = line.get("made_from")
    return Credit(
        path=str(line["path"]),
        label=str(line.get("label")),
        title=title,
        landing_url=_web(line.get("landing_url")) or _web(line.get("file_url")),
        creator=creator,
        creator_url=_web(line.get("creator_url")),
        licence=granted.name if granted else "no licence known",
        licence_url=_web(granted.url) if granted else None,
        wording=None if wording == attribution(title, creator, granted) else wording,
        change=f"made smaller from {made_from['width']} × {made_from['height']} pixels"
        if made_from
        else None,
    )


def _web(url: object) -> str | None:
    """A URL that is safe to click on; strangers also write javascript:."""
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else None
