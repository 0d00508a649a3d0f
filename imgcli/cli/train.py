"""`imgcli train`: a network learns the classes of a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.options import Data, Device, Json, Quiet, Seed
from imgcli.cli.training_options import config_of, with_training_options
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from imgcli.config import TrainConfig
    from imgcli.runs import Run

Runs = Annotated[Path, typer.Option("--out", help="Folder that gets the run's folder.")]
Bag = Annotated[
    int | None,
    typer.Option(
        "--bag",
        metavar="K",
        show_default=False,
        help="Train K networks, each on a bootstrap sample of the photos, to be averaged.",
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        rich_help_panel="Going on",
        help="Go on with the newest unfinished run, by its own choices; of a --bag, with the rest.",
    ),
]
Resumed = Annotated[
    str | None,
    typer.Option(
        "--run", show_default=False, rich_help_panel="Going on", help="The run to --resume."
    ),
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
    json: Json = False,
    quiet: Quiet = False,
    **chosen: Any,
) -> None:
    """Train a network on the train part of a dataset.

    With --freeze the backbone looks at each photo once and a new head is
    fitted to its features; without it all weights learn. The run's folder
    under OUT holds the weights, every choice and the history; OUT/latest
    points to it. The test part is not looked at.

    Examples:

      imgcli train --arch resnet101 --freeze

      imgcli train --arch alexnet --epochs 60 --lr 0.01 --optimizer sgd
    """
    from imgcli.progress import be_quiet
    from imgcli.runs import unfinished_run

    be_quiet(quiet)
    unfinished = None
    if resume:
        _refuse_choices(context)
        unfinished = unfinished_run(run, out)
        config, data = unfinished.config, unfinished.data
    elif run is not None:
        raise WrongUsage(f"--run {run} goes with --resume; a new training gets its own folder.")
    else:
        config = config_of(chosen).with_(seed=seed, bag_of=bag)
    if config.data.bag_of is not None:
        _train_bag(config, data, out, device, unfinished, json=json)
    else:
        train_and_show(config, data, out, device, unfinished, json=json)


def train_and_show(
    config: "TrainConfig",
    data: Path,
    runs: Path,
    device: str,
    unfinished: "Run | None",
    *,
    json: bool,
) -> "Run":
    """Train, draw the history, and print what came of it."""
    from imgcli.cli.console import show, show_json
    from imgcli.progress import note
    from imgcli.training.pipeline import train_run

    result = train_run(config, data, runs, device, unfinished)

    # After the training, so that what is wrong with it is said before drawing is loaded.
    from imgcli.report.plots import evaluation as evaluation_plots
    from imgcli.report.plots.history import unit
    from imgcli.report.terminal.runs import leaking, trained, unreadable

    shown = result.run.folder / "history.csv"
    if sum(row["part"] == "train" for row in result.history) > 1:  # else there is no curve
        shown = result.run.folder / "figures" / "history.png"
        evaluation_plots.save(
            evaluation_plots.history(result.history, kept=result.document["kept_epoch"]), shown
        )
    if json:
        show_json(result.document)
    else:
        show(
            *trained(result.document, shown, _next(runs, result.document), unit(result.run.config))
        )
    for line in (*unreadable(result.rejected), *leaking(result.leaks)):
        note(line)
    return result.run


def _train_bag(
    config: "TrainConfig",
    data: Path,
    runs: Path,
    device: str,
    unfinished: "Run | None",
    *,
    json: bool,
) -> None:
    """Train networks on bootstrap samples, or the rest of them, and say how to use them all."""
    from imgcli.cli.console import show, show_json
    from imgcli.progress import note
    from imgcli.report.terminal.runs import leaking, unreadable
    from imgcli.runs import Run, named
    from imgcli.training.pipeline import train_bag

    count = config.data.bag_of
    if count is None or count < 2:
        raise WrongUsage(f"--bag {count} has nothing to average; use at least 2.")
    documents, last = train_bag(config, data, runs, device, unfinished)
    for line in (*unreadable(last.rejected), *leaking(last.leaks)):
        note(line)
    if json:
        show_json({"bag": documents})
        return
    together = " ".join(f"--run {named(Run(Path(document['run'])))}" for document in documents)
    show(f"{count} networks, each on a bootstrap sample, are in {runs}. Together they answer to:")
    for command in ("evaluate --folds 10", "predict PHOTOS"):
        print(f"imgcli {command} {together}")  # in one line, however long: there to be copied


def _refuse_choices(context: typer.Context) -> None:
    """A resumed run goes by its own choices; any other given beside --resume is a mistake."""
    allowed = {"resume", "run", "out", "device", "json", "quiet"}
    for option in context.command.params:
        source = context.get_parameter_source(str(option.name))
        if option.name not in allowed and source is not None and source.name == "COMMANDLINE":
            raise WrongUsage(
                f"{option.opts[0]} does not go with --resume, which keeps the run's choices."
            )


def _next(runs: Path, document: "Mapping[str, Any]") -> list[str]:
    """The commands that follow, as they must be typed here."""
    run = "" if runs == Path("runs") else f" --run {runs}/latest"
    if document["val_learnt_by"]:  # and so folds would be of photos that it has seen
        return [f"imgcli evaluate{run}"]
    return [f"imgcli evaluate --folds 10{run}", f"imgcli suggest-merges{run}"]
