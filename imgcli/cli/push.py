"""`imgcli push`: upload a run to the Hugging Face hub."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from imgcli.cli.console import render
from imgcli.cli.options import Json, Quiet, RunNames
from imgcli.commands import push as command
from imgcli.text import megabytes, printable

if TYPE_CHECKING:
    from rich.console import RenderableType

Repo = Annotated[
    str,
    typer.Argument(metavar="REPO", help="Repository as OWNER/NAME; it is made if there is none."),
]
Private = Annotated[bool, typer.Option("--private", help="Make the repository private.")]
Format = Annotated[
    command.Format,
    typer.Option(
        "--format",
        help="What to upload: timm, weights that timm and imgcli read; or onnx, one file.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Export and list the files; upload nothing.")
]


def push(
    repo: Repo,
    run: RunNames = ["latest"],  # noqa: B006
    private: Private = False,
    format: Format = "timm",
    dry_run: DryRun = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Upload a run to the Hugging Face hub, with a model card.

    The repository gets the weights, a config, README.md with the figures,
    the photos' licences and how to load the model, in one commit. timm loads
    it, and imgcli trains from it: --weights hf://OWNER/NAME. A run that timm
    cannot build goes as --format onnx. The token is HF_TOKEN, or that of
    `hf auth login`; it needs the permission to write. HF_ENDPOINT names
    another hub.

    Examples:

      imgcli push lab/owls --dry-run

      imgcli push lab/owls --run 20260101-120000-resnet18 --private
    """
    result = command.push(repo, run=run, private=private, format=format, dry_run=dry_run)
    render(result, json=json, people=_shown)


def _shown(result: command.PushResult) -> "Iterator[RenderableType]":
    from imgcli.report.terminal.tables import number, table, text, texts

    shown = table(text("file"), number("bytes"))
    for file in result.files:
        shown.add_row(Text(printable(file.path)), Text(f"{file.bytes:,}"))
    yield shown
    if result.url is None:
        yield Text(f"{megabytes(result.bytes)} for {result.repo}, not uploaded (--dry-run).")
        return
    after = [f"Next: imgcli train --weights hf://{result.repo}"] if result.format == "timm" else []
    yield from texts([f"Uploaded: {result.url}", *after])
