"""`imgcli choose`: which network should I use?"""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType

from imgcli.cli.console import render
from imgcli.cli.options import Cluster, Data, Device, GroupBys, GroupTable, Json, Quiet, Seed, Track
from imgcli.commands import choose as command

Archs = Annotated[
    str | None,
    typer.Option(
        "--archs",
        metavar="A,B,…|bundled|small",
        show_default="all whose weights are at hand: installed, or fetched before",
        help="Networks of timm and torchvision. bundled: those that come with imgcli, "
        "tf_efficientnet_lite0 and _lite2. small: those and mobilenetv2_100, "
        "mobilenetv3_large_100, efficientnet_b0, repvit_m0_9, tiny_vit_5m_224 and resnet18. "
        "Weights that are not at hand are fetched.",
    ),
]
Minutes = Annotated[
    float,
    typer.Option(
        "--minutes",
        metavar="MINUTES",
        help="Begin nothing that is not expected to end in this time; inf: no limit. What is not "
        "judged is listed.",
    ),
]
Photos = Annotated[
    int | None,
    typer.Option(
        "--photos",
        metavar="N",
        show_default="all of the train part",
        help="Judge on at most so many training photos.",
    ),
]
Folds = Annotated[int, typer.Option("--folds", metavar="K", help="Number of folds.")]
Out = Annotated[
    Path, typer.Option("--out", help="Folder that gets the folder choose/, with what is kept.")
]


def choose(
    archs: Archs = None,
    minutes: Minutes = 10,
    photos: Photos = None,
    folds: Folds = 10,
    data: Data = Path("dataset"),
    out: Out = Path("runs"),
    seed: Seed = 0,
    group_by: GroupBys = None,
    group_table: GroupTable = None,
    device: Device = "auto",
    track: Track = [],  # noqa: B006
    cluster: Cluster = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Find out which pretrained network suits the photos best.

    Judges each candidate by a new head on its frozen features, in K folds of
    the train part, as train --freeze and evaluate --folds would: on a few
    hundred photos first, then on twice as many until it has been all of them.
    Candidates that are clearly behind are dropped on the way. The cheapest come
    first. The test part is not used.

    The time decides which candidates are begun, and on how many photos they
    are compared; not which of them is the best. What is judged is kept: the
    same command goes on from there.

    Examples:

      imgcli choose

      imgcli choose --archs small,resnet50,convnext_tiny --minutes 30
    """
    result = command.choose(
        archs,
        minutes=minutes,
        photos=photos,
        folds=folds,
        data=data,
        out=out,
        seed=seed,
        group_by=group_by,
        group_table=group_table,
        device=device,
        track=track,
    )
    render(result, json=json, people=_tables)


def _tables(result: command.ChooseResult) -> list[RenderableType]:
    from imgcli.report.terminal.choosing import chosen

    return chosen(result.to_json())
