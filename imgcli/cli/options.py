"""The options that mean the same in every command, each declared once.

`--quiet`, `--max-pixels` and `--cluster` are carried out here, for the time of the command; no
command has to do anything for them.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from imgcli.config import GROUP_BY_HELP, GROUP_TABLE_HELP, NO_TRACKER, TRACKERS
from imgcli.errors import WrongUsage
from imgcli.progress import quietly
from imgcli.text import listed


def _be_quiet(context: typer.Context, quiet: bool) -> bool:
    context.with_resource(quietly(quiet))
    return quiet


def _allow_pixels(context: typer.Context, limit: int | None) -> int | None:
    if limit is not None:
        from imgcli.reading import pixels_up_to  # imports numpy

        context.with_resource(pixels_up_to(limit))
    return limit


def _use_cluster(context: typer.Context, address: str | None) -> str | None:
    if address is not None:
        from imgcli.compute.cluster import on_cluster

        context.with_resource(on_cluster(address))
    return address


Data = Annotated[Path, typer.Option("--data", help="Dataset folder with train/ and test/.")]
RunData = Annotated[
    Path | None,
    typer.Option("--data", help="Dataset folder.", show_default="the one the run was trained on"),
]
RunName = Annotated[
    str, typer.Option("--run", help="A run: 'latest', a folder's name under runs/, or a path.")
]
RunNames = Annotated[
    list[str],
    typer.Option(
        "--run",
        show_default="latest",
        help="A run: 'latest', a folder's name under runs/, or a path. Given several times, the "
        "predicted probabilities are averaged.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of every random choice.")]
FoldSeed = Annotated[
    int | None,
    typer.Option("--seed", show_default="the run's", help="Seed of the assignment to folds."),
]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
Force = Annotated[bool, typer.Option("--force", help="Replace the whole output if it exists.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
Form = Annotated[
    Literal["csv", "json", "md", "latex"] | None,
    typer.Option(
        "--format",
        show_default="tables for people",
        help="Print only the table: CSV or JSON with unrounded values, or Markdown or LaTeX "
        "(booktabs) for a paper.",
    ),
]


def table_option(names: str) -> Any:
    """The option that names one of a result's tables."""
    return typer.Option(
        "--table",
        metavar="|".join(names.split()),
        show_default=False,
        help="Table that --format prints.",
    )


def check_form(form: str | None, table: str | None, names: str, json: bool) -> None:
    """Refuse ways to print that cannot be meant, before any work is done."""
    if json and form is not None:
        raise WrongUsage(
            f"--json prints the whole document, --format {form} a table; give the one or the other."
        )
    if table is not None and form is None:
        raise WrongUsage(f"--table {table} goes with --format, such as --format csv.")
    if table is not None and table not in names.split():
        raise WrongUsage(f"--table {table}: there is no such table, but {listed(names.split())}.")


Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress bars, no notes.", callback=_be_quiet),
]
Track = Annotated[
    list[str],
    typer.Option(
        "--track",
        metavar="TRACKER",
        envvar="IMGCLI_TRACK",
        show_default=False,
        autocompletion=lambda: [*TRACKERS, NO_TRACKER],
        help="Tracker to follow it in: tensorboard, mlflow, wandb, or csv in the run's folder. "
        "Repeatable, or separated by commas; none turns off those of the run. Changes no result.",
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        metavar="N",
        min=1,
        envvar="IMGCLI_MAX_PIXELS",
        show_default="200 million",
        help="Pixels of the largest photo to decode; of a JPEG at the size it is reduced to.",
        callback=_allow_pixels,
    ),
]
CostTable = Annotated[
    Path | None,
    typer.Option(
        "--cost",
        metavar="FILE",
        show_default=False,
        help="Table of what mistakes cost: a matrix, rows the true class, columns the answer.",
    ),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        envvar="IMGCLI_CLUSTER",
        show_default="this process",
        help="Ray cluster that does the work: auto (this machine's, started if there is none), "
        "ray://HOST:10001, or HOST:6379 on one of its nodes; none turns it off. Changes no result.",
        callback=_use_cluster,
    ),
]
Port = Annotated[
    int, typer.Option("--port", min=0, max=65535, show_default="a free one", help="Of the page.")
]
NoBrowser = Annotated[
    bool, typer.Option("--no-browser", help="Print the address and open no browser.")
]
ClassesAt = Annotated[
    str | None,
    typer.Option(
        "--classes-at",
        metavar="LEVEL|PATTERN",
        show_default="found by their names and photos",
        help="Level of the class folders, 1 being right inside, or a pattern of them: 'color/*'.",
    ),
]
Parts = Annotated[
    list[str],
    typer.Option(
        "--parts",
        metavar="NAME=PART",
        show_default="by common names",
        help="Folders that are the parts train, val and test: learn=train,exam=test; or none.",
    ),
]
GroupBys = Annotated[
    list[str] | None,
    typer.Option("--group-by", metavar="HOW", show_default=False, help=GROUP_BY_HELP),
]
GroupTable = Annotated[
    Path | None,
    typer.Option("--group-table", metavar="FILE", show_default=False, help=GROUP_TABLE_HELP),
]
TableRoot = Annotated[
    Path | None,
    typer.Option(
        "--root",
        metavar="FOLDER",
        show_default="the table's own",
        help="Folder that the paths in a table start from.",
    ),
]
PathColumn = Annotated[
    str | None,
    typer.Option(
        "--path-column",
        metavar="NAME",
        show_default="path, file_name, image, …",
        help="Column of a table with the photos' paths.",
    ),
]
LabelColumn = Annotated[
    str | None,
    typer.Option(
        "--label-column",
        metavar="NAME",
        show_default="label, class, …",
        help="Column of a table with the classes.",
    ),
]
AllowHosts = Annotated[
    list[str],
    typer.Option(
        "--allow-host",
        metavar="HOST:PORT",
        show_default=False,
        help="Allow this host, although it is not on the public internet; may be repeated.",
    ),
]
