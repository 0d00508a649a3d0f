"""`imgcli tune`: a search for the choices that learn best."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from imgcli.cli.options import Data, Device, Json, Quiet, Seed
from imgcli.cli.training_options import config_of, typed_train, with_training_options
from imgcli.config import choices
from imgcli.errors import Refused, WrongUsage

if TYPE_CHECKING:
    from imgcli.config import TrainConfig
    from imgcli.training.tuning.search import Tuned
    from imgcli.training.tuning.search_space import Space

_PANEL = "Search"
Runs = Annotated[Path, typer.Option("--out", help="Folder that gets the search's folder.")]
Search = Annotated[
    list[str] | None,
    typer.Option(
        "--search",
        metavar="NAME=SPEC",
        rich_help_panel=_PANEL,
        show_default="learning rate, batch size and weight decay, around train's own",
        help="A choice to search, named as its option: lr=1e-4..1e-1, batch-size=32..256, "
        "optimizer=sgd,adamw, batchnorm=yes,no. A range of ends 10 times apart is tried by its "
        "logarithm; :log or :linear after it decides. Can be given again.",
    ),
]
Trials = Annotated[
    int,
    typer.Option(
        "--trials", min=1, rich_help_panel=_PANEL, help="In all, with those done before a stop."
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
        help="Begin no trial after so long.",
    ),
]
Folds = Annotated[
    int | None,
    typer.Option(
        "--folds",
        metavar="K",
        show_default=False,
        rich_help_panel=_PANEL,
        help="Judge by K folds of the train part, instead of by its validation photos.",
    ),
]
Storage = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        show_default="a file in the search's folder",
        rich_help_panel=_PANEL,
        help="A database in which many machines work on one search at once, such as "
        "postgresql://user@host/name; for several processes on one machine, sqlite:///tune.db.",
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        "--name",
        metavar="STUDY",
        show_default="made of what is searched",
        rich_help_panel=_PANEL,
        help="What the search is called; a search of that name goes on.",
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
    json: Json = False,
    quiet: Quiet = False,
    **chosen: Any,
) -> None:
    """Search for the choices that learn best.

    Every choice of `train` can be fixed by its option or searched by
    --search, and any number in a layer notation can be a range. Trials that
    lag behind are pruned. The test part is not looked at. The same command
    goes on after a stop, and with more --trials. OUT/tune-STUDY gets every
    trial, drawings, and the best as a command to type.

    Examples:

      imgcli tune --arch "{16..64}C5-P2-{32..128}"

      imgcli tune --arch resnet18 --search lr=1e-4..1e-1 --search optimizer=sgd,adamw
    """
    from importlib.util import find_spec

    from imgcli.progress import be_quiet, note

    be_quiet(quiet)
    if find_spec("optuna") is None:
        raise Refused("imgcli tune needs Optuna. Get it with: pip install 'imgcli[tune]'")

    from imgcli.training.tuning.search import tune as search_best
    from imgcli.training.tuning.search_space import (
        check_space,
        parse_search,
        range_axes,
        usual_space,
    )

    space = parse_search(search or [])
    config = _fixed(chosen, space).with_(seed=seed)
    space = space or usual_space(config)
    check_space(space, config)
    name = _name(name, config, space, data, folds)
    for axis, values in {**_described(space), **range_axes(space, config)}.items():
        note(f"Searching {axis}: {values}")
    folder = out / f"tune-{name}"
    tuned = search_best(
        config,
        space,
        data,
        folder,
        name=name,
        trials=trials,
        minutes=timeout,
        folds=folds,
        url=storage,
        device=device,
    )
    _show(tuned, name, folder, typed_train(tuned.config, data, out), folds, json=json)


def _show(
    tuned: "Tuned", name: str, folder: Path, command: str, folds: int | None, *, json: bool
) -> None:
    """Draw, store and print what the search came to."""
    from rich.text import Text

    from imgcli.cli.console import show, show_json
    from imgcli.files import write_atomic
    from imgcli.report.plots import style, tuning
    from imgcli.text import printable

    best, n = tuned.ranked[0], f"{tuned.ranked[0]['n']:,}"
    judged_on = f"{n} photos in {folds} folds" if folds else f"{n} validation photos"
    figures = {"history": tuning.history(tuned.rows, judged_on)}
    if tuned.importance:
        figures["importance"] = tuning.importance(tuned.importance, len(tuned.ranked))
    for drawn, figure in figures.items():
        style.save(figure, folder / f"{drawn}.png")
    honest = tuning.verdict(tuned.rows, judged_on)
    write_atomic(folder / "trials.csv", tuning.table_of_all(tuned.rows))
    write_atomic(folder / "best.sh", f"#!/bin/sh\n# {honest}\n{command}\n")
    if json:
        document = {
            "study": name,
            "folder": str(folder),
            "trials": tuned.rows,
            "best": {key: best[key] for key in ("number", "value", "loss", "n", "choices")},
            "command": command,
            "importance": dict(tuned.importance),
        }
        show_json(document)
        return
    options = {name: choice.option[2:] for name, choice in choices().items()}
    files = [*(f"{drawn}.png" for drawn in figures), "trials.csv", "best.sh"]
    show(tuning.best(tuned.ranked, options))
    show(Text(f"\n{honest}\nFiles:  {', '.join(files)} in {printable(str(folder))}"))
    print(f"Next:   {printable(command)}")  # in one line, however long: it is there to be copied


def _fixed(chosen: dict[str, Any], space: "Space") -> "TrainConfig":
    """What the search leaves as it is; of archs that are searched, any will do."""
    if "arch" in space:
        if chosen["arch"] is not None:
            raise WrongUsage(
                f"--arch {chosen['arch']} is fixed and --search names arch; leave one out."
            )
        chosen = {**chosen, "arch": space["arch"].describe()}
    config = config_of(chosen)
    if config.data.track_test:
        raise WrongUsage("--track-test does not go with tune: the test part is sealed to a search.")
    return config


def _described(space: "Space") -> dict[str, str]:
    return {name: axis.describe() for name, axis in space.items()}


def _name(
    given: str | None, config: "TrainConfig", space: "Space", data: Path, folds: int | None
) -> str:
    """The study's name: as given, or the same for the same search."""
    if given is not None:
        if not given or Path(given).name != given:
            raise WrongUsage(f"--name '{given}' must be a name for a folder, such as lr-and-size.")
        return given
    from hashlib import sha256
    from re import sub

    asked = repr((config, _described(space), str(data), folds))
    slug = sub(r"[^\w.]+", "-", config.model.arch)[:40].strip("-.")
    return f"{slug}-{sha256(asked.encode()).hexdigest()[:6]}"
