"""`imgcli scrape`: openly licensed photos from the network."""

from pathlib import Path
from typing import Annotated

import typer

from imgcli.cli.console import render
from imgcli.cli.options import AllowHosts, Json, Quiet
from imgcli.commands.scrape import scrape as download
from imgcli.report.terminal.photos import scraped

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
        help="Classes, each with its search query; by default the query is the class name.",
    ),
]
PerClass = Annotated[
    int | None,
    typer.Option(
        "--per-class",
        metavar="N",
        show_default="100; urls: all",
        help="Photos per class from this source, including earlier runs.",
    ),
]
Out = Annotated[Path, typer.Option("--out", help="Folder to put the class folders into.")]
Labels = Annotated[
    Path | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        show_default=False,
        help="File of classes: LABEL or LABEL=QUERY, one per line.",
    ),
]
LicenseNames = Annotated[
    str | None,
    typer.Option(
        "--license",
        metavar="A,B",
        show_default="any",
        help="Licences to accept: by, by-sa, by-nc, by-nd, by-nc-sa, by-nc-nd, cc0 or pdm.",
    ),
]
Unlicensed = Annotated[
    bool, typer.Option("--allow-unlicensed", help="Accept photos without a known licence.")
]
MaxSize = Annotated[
    int | None,
    typer.Option(
        "--max-size",
        metavar="PX",
        show_default="as received",
        help="Reduce photos with a longer side, as JPEG; recorded in their provenance.",
    ),
]
Contact = Annotated[
    str | None,
    typer.Option(
        "--contact",
        metavar="ADDRESS",
        show_default="IMGCLI_CONTACT",
        help="Your mail address or page, sent to the hosts; some require it.",
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        metavar="URL",
        show_default=False,
        help="Use another server with the API of the source.",
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
    """Download openly licensed photos into one folder of class folders.

    Sources: openverse; wikimedia (Category:NAME lists a category); flickr, with
    a key in FLICKR_API_KEY; inaturalist, by a taxon's name or number; gallery, a
    page of a photographers' site as LABEL=URL, with the pages after it; urls, a
    table (CSV, TSV, JSON lines) of url and label.

    Each host gets at most one request a second, robots.txt is obeyed, photos
    without a licence are left out. Check the terms of each site yourself, for
    gallery and urls above all. After an interruption the same command resumes;
    no photo is downloaded twice. A larger N only adds photos.

    Examples:

      imgcli scrape openverse night macro "street=street photography" --per-class 1000

      imgcli scrape gallery street=https://example.org/street --contact me@example.org

      imgcli scrape urls photos.csv --allow-unlicensed
    """
    result = download(
        source,
        words or (),
        per_class=per_class,
        out=out,
        labels=labels,
        license=licenses,
        allow_unlicensed=allow_unlicensed,
        max_size=max_size,
        contact=contact,
        allow_host=allow_host,
        endpoint=endpoint,
    )
    render(result, json=json, people=lambda done: scraped(done.to_json()))
    if result.error:
        raise result.error
