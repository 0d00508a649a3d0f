"""`imgcli train`: train a network on a dataset."""

from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from imgcli.cli.console import show, show_json
from imgcli.cli.options import Cluster, Data, Device, Json, MaxPixels, Quiet, Seed, Track
from imgcli.cli.training_options import parsed, with_training_options
from imgcli.commands import train as command
from imgcli.errors import WrongUsage

Runs = Annotated[Path, typer.Option("--out", help="Folder that gets the run's folder.")]
Bag = Annotated[
    int | None,
    typer.Option(
        "--bag",
        metavar="K",
        show_default=False,
        help="Bagging: train K networks, each on a bootstrap sample, for averaged predictions.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        rich_help_panel="Resuming",
        help="Resume the newest unfinished run with its own options; of a --bag, the rest of it. "
        "With --data, where its photos are now.",
    ),
]
Resumed = Annotated[
    str | None,
    typer.Option("--run", show_default=False, rich_help_panel="Resuming", help="Run to --resume."),
]


@with_training_options
def train(
    context: typer.Context,
    data: Data = Path("dataset"),
    out: Runs = Path("runs"),
    seed: Seed = 0,
    device: Device = "auto",
    bag: Bag = None,
    resume: Resume = False,
    run: Resumed = None,
    track: Track = [],  # noqa: B006
    max_pixels: MaxPixels = None,
    cluster: Cluster = None,
    json: Json = False,
    quiet: Quiet = False,
    **chosen: Any,
) -> None:
    """Train a network on the train part of a dataset.

    With --freeze, the features of each photo are extracted once by the
    pretrained backbone and a new head is fitted to them; without it, all
    weights are trained. The run's folder under OUT holds the weights, the
    config and the history; OUT/latest points to it. The test part is not
    used.

    Examples:

      imgcli train --arch resnet101 --freeze

      imgcli train --arch alexnet --epochs 60 --lr 0.01 --optimizer sgd
    """
    if resume:
        _refuse_typed(context)
    result = command.train(
        **parsed(chosen),
        data=None if resume and not _is_typed(context, "data") else data,
        out=out,
        seed=seed,
        device=device,
        bag=bag,
        resume=resume,
        run=run,
        track=track,
    )
    if json:
        show_json(result.to_json())
    else:
        show_result(result, out)


def show_result(result: command.TrainResult, out: Path) -> None:
    """Print the figures of a training and the commands to type next."""
    from imgcli.report.terminal.runs import trained
    from imgcli.runs import Run, named

    if not result.bag:
        assert result.history
        show(*trained(result.to_json(), result.history, _next(result, out), result.unit))
        return
    together = " ".join(f"--run {quote(named(Run(one.run)))}" for one in result.bag)
    show(
        f"{len(result.bag)} networks, each trained on a bootstrap sample, are in {out}. "
        "To average their predictions:"
    )
    folds = f" --folds {result.folds}" if result.folds else ""
    for words in (f"evaluate{folds}", "predict PHOTOS"):
        print(f"imgcli {words} {together}")  # in one line, however long: there to be copied


def _next(result: command.TrainResult, out: Path) -> list[str]:
    """The commands that follow, as they must be typed here."""
    run = "" if out == Path("runs") else f" --run {quote(str(out / 'latest'))}"
    # Folds would hold out photos that its first weights were trained on, or none.
    if result.val_learnt_by or not result.folds:
        return [f"imgcli evaluate{run}"]
    return [f"imgcli evaluate --folds {result.folds}{run}", f"imgcli suggest-merges{run}"]


def _refuse_typed(context: typer.Context) -> None:
    """Refuse an option beside --resume, even one with the value of its default."""
    allowed = {"resume", "run", "data", "out", "device", "max_pixels", "cluster", "track", "json"}
    allowed |= {"quiet"}
    for one in context.command.params:
        if one.name not in allowed and _is_typed(context, str(one.name)):
            raise WrongUsage(command.not_with_resume(one.opts[0]))


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
