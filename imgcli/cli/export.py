"""`imgcli export`: a run as a file or folder that other programs use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.text import Text

from imgcli.cli.console import render
from imgcli.cli.options import Force, Json, MaxPixels, Quiet, RunData, RunNames
from imgcli.commands import export_run as command
from imgcli.text import count, megabytes, percent, printable

Format = Annotated[
    str,
    typer.Option("--format", metavar="FORMAT", help=f"One of {', '.join(command.FORMATS)}."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="DIR",
        show_default="export/FORMAT in the run's folder",
        help="Folder to write; an earlier export is replaced.",
    ),
]
Precision = Annotated[
    str,
    typer.Option(
        "--precision",
        help="fp32, fp16, or int8, which is calibrated on training photos. The accuracy that the "
        "last two lose is measured on held-out photos.",
    ),
]
Opset = Annotated[
    int | None,
    typer.Option("--opset", metavar="N", show_default="18", help="ONNX opset, 18 to 23."),
]
MinPrecision = Annotated[
    float | None,
    typer.Option(
        "--min-precision",
        metavar="SHARE",
        show_default="none",
        help="Store the confidence threshold that gives answers this precision, as for `imgcli "
        "predict`. Needs `imgcli evaluate --folds` first.",
    ),
]


def export(
    format: Format = "onnx",
    run: RunNames = ["latest"],  # noqa: B006
    out: Out = None,
    precision: Precision = "fp32",
    opset: Opset = None,
    min_precision: MinPrecision = None,
    data: RunData = None,
    force: Force = False,
    max_pixels: MaxPixels = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Write a run as a file or folder for other programs, compared with imgcli.

    One file takes decoded photos of any size and gives probabilities: resize,
    normalisation, network, calibration and the mean over several runs are in
    it. It is run by onnxruntime (or torch) on 200 held-out photos decoded by
    Pillow, and kept only if every probability is within 0.001 of imgcli's.

    --format timm writes a folder as the Hugging Face hub has it: weights under
    timm's names, config.json and a model card. timm reads it, and so does
    `imgcli train --weights FOLDER`.

    Examples:

      imgcli export

      imgcli export --precision int8 --out model/

      imgcli export --format torchscript --run 20260101-120000-resnet101
    """
    result = command.export_run(
        format,
        run=run,
        out=out,
        precision=precision,  # type: ignore[arg-type]  # checked there
        opset=opset,
        min_precision=min_precision,
        data=data,
        force=force,
    )
    render(result, json=json, people=_lines)


def _lines(result: command.ExportResult) -> Iterator[RenderableType]:
    # Paths in one line each, however long: they are there to be copied.
    for file in result.files:
        yield Text(printable(f"Written:  {file}"), no_wrap=True)
    yield Text(
        f"Size:     {megabytes(result.bytes)}, {count(len(result.classes), 'class', 'classes')}"
    )
    if result.input is not None:
        yield Text("Input:    images, uint8 (batch, height, width, 3), RGB, of any size")
        yield Text(f"Output:   probabilities, float32 (batch, {len(result.classes)})")
    yield from map(Text, _checked(result))
    for note in result.notes:
        yield Text(printable(note))


def _checked(result: command.ExportResult) -> Iterator[str]:
    """How the file compares with imgcli."""
    gate = result.gate
    if gate is None:
        return
    part = {"test": "test photo", "val": "validation photo", "train": "training photo"}
    photos = count(gate.n, part[gate.on])
    within = f"within {gate.max_difference:.1g}"
    yield (
        f"Compared: with imgcli on {photos}, decoded by Pillow: the same class for "
        f"{gate.same_class:,} of {gate.n:,}, probabilities {within}"
    )
    if accuracy := result.accuracy:
        photos = count(accuracy["n"], part[accuracy["on"]])
        lost = f"{100 * accuracy['lost']:.1f}"
        low, high = (f"{100 * edge:.1f}" for edge in accuracy["ci95"])
        yield (
            f"Accuracy: {percent(accuracy['exported'])}, imgcli's {percent(accuracy['imgcli'])} "
            f"(n = {photos}): {lost} points lost, 95 % interval {low} to {high}"
        )
