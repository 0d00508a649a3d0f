"""`imgcli scrape`: photos come in from the net."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from imgcli.cli.options import Json, Quiet
from imgcli.errors import DataError, WrongUsage

if TYPE_CHECKING:
    from rich.console import RenderableType

    from imgcli.collect.scrape.accept import Check
    from imgcli.collect.scrape.engine import Scraped
    from imgcli.records import Rejected

SourceName = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="openverse, wikimedia, flickr, inaturalist, gallery or urls."
    ),
]
Words = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[LABEL[=QUERY]]...",
        show_default=False,
        help="Classes, each with what to search for if that is not its name.",
    ),
]
PerClass = Annotated[
    int | None,
    typer.Option(
        "--per-class",
        metavar="N",
        show_default="100; urls: all",
        help="Photos per class from this source, with those of earlier runs.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder to put the class folders into.")]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels", metavar="FILE", show_default=False, help="LABEL or LABEL=QUERY, one per line."
    ),
]
LicenseNames = Annotated[
    str | None,
    typer.Option(
        "--license",
        metavar="A,B",
        show_default="any",
        help="Only photos under by, by-sa, by-nc, by-nd, by-nc-sa, by-nc-nd, cc0 or pdm.",
    ),
]
Unlicensed = Annotated[
    bool, typer.Option("--allow-unlicensed", help="Take photos whose licence is not known, too.")
]
MaxSize = Annotated[
    int | None,
    typer.Option(
        "--max-size",
        metavar="PX",
        show_default="as received",
        help="Make photos with a longer side smaller, as JPEG; their provenance says so.",
    ),
]
Contact = Annotated[
    str | None,
    typer.Option(
        "--contact",
        metavar="ADDRESS",
        show_default="IMGCLI_CONTACT",
        help="Where the hosts' people can reach you: a mail address or a page; some insist.",
    ),
]
AllowHosts = Annotated[
    list[str],
    typer.Option(
        "--allow-host",
        metavar="HOST:PORT",
        show_default=False,
        help="Ask this host although it is not on the open internet; may be repeated.",
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        show_default=False,
        help="Ask another server that has the source's API.",
    ),
]


def scrape(
    source: SourceName,
    words: Words = None,
    per_class: PerClass = None,
    out: Out = Path("raw"),
    labels: Labels = None,
    licenses: LicenseNames = None,
    allow_unlicensed: Unlicensed = False,
    max_size: MaxSize = None,
    contact: Contact = None,
    allow_host: AllowHosts = [],  # noqa: B006  typer copies it
    endpoint: Endpoint = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fetch openly licensed photos into one folder of class folders.

    Sources: openverse; wikimedia (Category:NAME lists a category); flickr, with
    a key in FLICKR_API_KEY; inaturalist, by a taxon's name or number; gallery, a
    page of a photographers' site as LABEL=URL, with the pages after it; urls, a
    table (CSV, TSV, JSON lines) of url and label.

    Hosts are asked one request a second at most, robots.txt is obeyed, photos
    without a licence are left out. What a site's terms allow beyond that is
    yours to check, of gallery and urls above all. The same command goes on where
    it was stopped; what was received is not fetched twice. A larger N only adds.

    Examples:

      imgcli scrape openverse night macro "street=street photography" --per-class 1000

      imgcli scrape gallery street=https://example.org/street --contact me@example.org

      imgcli scrape urls photos.csv --allow-unlicensed
    """
    import os

    from imgcli.cli.console import show, show_json
    from imgcli.collect.http.client import Client
    from imgcli.collect.scrape.engine import scrape
    from imgcli.collect.scrape.host_state import open_host_memory
    from imgcli.collect.scrape.job import place_order
    from imgcli.collect.scrape.licences import licence_codes
    from imgcli.collect.scrape.search_result import Terms
    from imgcli.progress import be_quiet

    be_quiet(quiet)
    if max_size is not None and max_size < 16:
        raise WrongUsage(f"--max-size {max_size} must be at least 16 pixels.")
    terms = Terms(licence_codes(licenses) if licenses is not None else None, allow_unlicensed)
    with open_host_memory() as memory, Client(contact, allow_host, state=memory) as client:
        order = place_order(
            *(source, words or (), labels, per_class),
            client=client,
            terms=terms,
            endpoint=endpoint,
            environ=os.environ,
        )
        result = scrape(order, out, client=client, check=_check(max_size), terms=terms)
    if json:
        show_json(_document(result, out))
    else:
        show(*_renderables(result, out))
    if not result.added + result.skipped:
        raise _nothing(result)


def _check(max_size: int | None) -> "Check":
    """Decodes a received photo whole, on as many cores as there are, and makes it smaller."""
    import io
    import os
    from threading import Semaphore

    from imgcli.collect.imports.labelled_photo import NotTaken
    from imgcli.collect.scrape.accept import Checked
    from imgcli.photos.decode import Fault, decode

    cores = Semaphore(os.cpu_count() or 1)

    def check(data: bytes) -> Checked:
        with cores:
            photo = decode(data)
            if isinstance(photo, Fault):
                raise NotTaken(photo.sentence)
            size = photo.size
            if max_size is None or max(size) <= max_size:
                return Checked(data, *size)
            photo.thumbnail((max_size, max_size))
            smaller = io.BytesIO()
            photo.save(smaller, "JPEG", quality=92)
            return Checked(smaller.getvalue(), *photo.size, made_from=size)

    return check


def _document(result: "Scraped", out: Path) -> dict[str, object]:
    from imgcli.files import as_json

    return {
        "out": str(out),
        "added": result.added,
        "skipped": result.skipped,
        "rejected": [as_json(photo) for photo in result.rejected],
        "deferred": [as_json(photo) for photo in result.deferred],
        "classes": result.classes,
        "short": result.short,
        "interrupted": result.interrupted,
    }


def _renderables(result: "Scraped", out: Path) -> "list[RenderableType]":
    """The result for people: classes, totals, what was not taken, and what to type next."""
    from shlex import quote

    from rich.text import Text

    from imgcli.cli.collected import class_table, first
    from imgcli.text import count, printable

    lines = [
        f"Added {count(result.added, 'photo')} to {out}, skipped {result.skipped:,} already there, "
        f"rejected {len(result.rejected):,}, put off {len(result.deferred):,}.",
        *first(_told(result.rejected)),
    ]
    if result.deferred:
        lines += ["Put off; the same command tries them again:", *first(_told(result.deferred))]
    if result.short:
        lacking = ", ".join(f"{label} {n:,}" for label, n in result.short.items())
        lines.append(f"Lacking of what was asked for: {lacking}.")
    if result.interrupted:
        cut = count(result.interrupted, "request")
        lines.append(f"{cut} had been cut off when an earlier run was stopped: made again.")
    if result.classes:
        lines.append(f"Credit the photos where you show them: imgcli credits {quote(str(out))}")
        lines.append(f"Next: imgcli check {quote(str(out))}")
    table = [class_table(result.classes)] if result.classes else []
    return [*table, *(Text(printable(line)) for line in lines)]


def _told(photos: "Sequence[Rejected]") -> list[str]:
    return [f"{photo.path}: {photo.reason}" for photo in photos]


def _nothing(result: "Scraped") -> DataError:
    """Not one photo, in this run or before."""
    from imgcli.collect.scrape.search_result import NO_LICENCE

    reasons = _told((*result.rejected, *result.deferred))
    if not reasons:
        return DataError("The source has no such photos. Try other words.")
    if all(photo.reason == NO_LICENCE for photo in result.rejected) and not result.deferred:
        return DataError(
            f"No photo was taken: of {len(reasons):,} none has a licence. If you may use them all "
            "the same, add --allow-unlicensed."
        )
    such = reasons[0].removesuffix(".")
    return DataError(f"No photo was taken. Rejected or put off: {len(reasons):,}, such as {such}.")
