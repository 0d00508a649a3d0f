"""`imgcli tune`: search hyper-parameters."""

from pathlib import Path
from typing import Annotated, Any

import typer

from imgcli.cli.console import show, show_json
from imgcli.cli.options import Cluster, Data, Device, Json, Quiet, Seed, Track
from imgcli.cli.training_options import parsed, with_training_options
from imgcli.commands import tune as command
from imgcli.config import choices
from imgcli.text import printable

_PANEL = "Search"
Runs = Annotated[Path, typer.Option("--out", help="Folder that gets the search's folder.")]
Search = Annotated[
    list[str] | None,
    typer.Option(
        "--search",
        metavar="NAME=SPEC",
        rich_help_panel=_PANEL,
        show_default="lr, batch-size and weight-decay, around the defaults of train",
        help="Option to search: lr=1e-4..1e-1, batch-size=32..256, optimizer=sgd,adamw, "
        "batchnorm=yes,no. Ranges over a factor of 10 or more are sampled on a log scale; :log or "
        ":linear after the range sets the scale. Repeatable.",
    ),
]
Trials = Annotated[
    int,
    typer.Option(
        "--trials",
        min=1,
        rich_help_panel=_PANEL,
        help="Number of trials in all, those before an interruption included.",
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        metavar="MINUTES",
        min=0,
        show_default=False,
        rich_help_panel=_PANEL,
        help="Start no trial after this time.",
    ),
]
Folds = Annotated[
    int | None,
    typer.Option(
        "--folds",
        metavar="K",
        show_default=False,
        rich_help_panel=_PANEL,
        help="Evaluate trials by K folds of the train part instead of the validation photos.",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        show_default="a file in the search's folder",
        rich_help_panel=_PANEL,
        help="Optuna storage to share a search: postgresql://user@host/name between machines, "
        "sqlite:///tune.db between processes.",
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="STUDY",
        show_default="made of what is searched",
        rich_help_panel=_PANEL,
        help="Name of the search; an existing search of that name is continued.",
    ),
]


@with_training_options
def tune(
    data: Data = Path("dataset"),
    out: Runs = Path("runs"),
    search: Search = None,
    trials: Trials = 20,
    timeout: Timeout = None,
    folds: Folds = None,
    storage: Storage = None,
    name: Name = None,
    seed: Seed = 0,
    device: Device = "auto",
    track: Track = [],  # noqa: B006
    cluster: Cluster = None,
    json: Json = False,
    quiet: Quiet = False,
    **chosen: Any,
) -> None:
    """Search hyper-parameters for the highest accuracy on held-out photos.

    Every option of `train` can be fixed as there or searched by --search,
    and any number in layer notation can be a range. Unpromising trials are
    pruned. The test part is not used. The same command continues after an
    interruption, and with more --trials. OUT/tune-STUDY gets all trials,
    figures, and the command that trains the best.

    Examples:

      imgcli tune --arch "{16..64}C5-P2-{32..128}"

      imgcli tune --arch resnet18 --search lr=1e-4..1e-1 --search optimizer=sgd,adamw
    """
    result = command.tune(
        **parsed(chosen),
        search=search or [],
        trials=trials,
        timeout=timeout,
        folds=folds,
        storage=storage,
        name=name,
        data=data,
        out=out,
        seed=seed,
        device=device,
        track=track,
    )
    if json:
        show_json(result.to_json())
    else:
        show_result(result)


def show_result(result: command.TuneResult) -> None:
    """Print the best trials of a search and the command that trains the best."""
    from rich.text import Text

    from imgcli.report.terminal.tuning import best

    options = {name: choice.option[2:] for name, choice in choices().items()}
    files = f"{', '.join(result.files)} in {printable(str(result.folder))}"
    show(best(result.ranked, options))
    show(Text(f"\n{result.verdict}\nFiles:  {files}"))
    print(f"Next:   {printable(result.command)}")  # in one line, however long: there to be copied
