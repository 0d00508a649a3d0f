"""Search hyper-parameters by validation or by cross-validation."""

import importlib.util
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.commands.results import Result
from imgcli.commands.tracked_results import about_search, add_search
from imgcli.commands.train import refuse_missing_files
from imgcli.commands.training_config import train_command, training_config
from imgcli.config import TrainConfig, check_device
from imgcli.errors import Refused, WrongUsage
from imgcli.progress import note
from imgcli.text import percent

if TYPE_CHECKING:
    from imgcli.training.tuning.search import Tuned
    from imgcli.training.tuning.search_space import Space


@dataclass(frozen=True, eq=False, repr=False)
class TuneResult(Result):
    """A finished search: its trials, and the config of the best."""

    _keys = ("study", "folder", "trials", "best", "command", "importance")

    study: str
    folder: Path  # with figures, trials.csv and best.sh
    trials: list[dict[str, Any]]  # in the order in which they began
    ranked: list[dict[str, Any]]  # the finished ones, best first
    config: TrainConfig  # of the best
    command: str  # that trains it
    importance: Mapping[str, float]  # share of the accuracy's variance, by choice
    verdict: str  # how many trials came to what, and the bias of the best
    files: tuple[str, ...]  # in the folder

    @property
    def best(self) -> dict[str, Any]:
        """The best trial."""
        facts = ("number", "value", "loss", "n", "choices")
        return {key: self.ranked[0][key] for key in facts}

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "folder", str(self.folder)
        yield "trials", f"{len(self.trials):,}"
        yield "best accuracy", f"{percent(self.best['value'])} (n = {self.best['n']:,})"
        for name, value in self.best["choices"].items():
            yield name, str(value)
        yield "command", self.command


def tune(
    arch: str | None = None,
    *,
    search: Mapping[str, str] | Sequence[str] = (),
    trials: int = 20,
    timeout: float | None = None,
    folds: int | None = None,
    storage: str | None = None,
    name: str | None = None,
    freeze: bool = False,
    data: str | Path = "dataset",
    out: str | Path = "runs",
    seed: int = 0,
    device: str = "auto",
    track: str | Sequence[str] | None = None,
    **choices: Any,
) -> TuneResult:
    """Search for the choices of a training with the highest accuracy on held-out photos.

    The same search continues after an interruption, and with more trials.

    Args:
        arch: a network, or layer notation with ranges: "{16..64}C5-P2".
        search: the choices to search, by their options' names: `{"lr": "1e-4..1e-1"}`. By default
            learning rate, batch size and weight decay, around the defaults of `train`.
        trials: number of trials in all, those done before included.
        timeout: minutes after which no trial begins.
        folds: evaluate each trial by K folds instead of by the validation photos.
        storage: URL of a database in which several machines work on one search.
        name: of the search; by default made of what is searched.
        out: folder that gets the search's folder.
        track: what is told of it while it lasts, as for `train`; trials are parts of the search.
        choices: fixed choices, as for `train`.

    Raises:
        TypeError: an unknown choice; the message names the nearest one.
        ImgcliError: what the command line would say.
    """
    if importlib.util.find_spec("optuna") is None:
        raise Refused("imgcli tune needs Optuna. Get it with: pip install 'imgcli[tune]'")

    from imgcli.files import need_writable
    from imgcli.tracking.session import chosen_trackers, trackers_of

    follow = chosen_trackers(track)
    data, out = Path(data), Path(out)
    # What can be said before torch is imported; a searched arch has no name yet.
    known = training_config(arch=arch or "any", freeze=freeze, **choices)
    _refuse_tracking(known)
    if name is not None:
        _checked(name)
    check_device(device)
    refuse_missing_files(known, data)
    need_writable(out)

    from imgcli.training.tuning import search as searching
    from imgcli.training.tuning.search_space import (
        check_space,
        default_space,
        parse_search,
        range_axes,
    )

    if isinstance(search, Mapping):
        search = [f"{key.replace('_', '-')}={spec}" for key, spec in search.items()]
    space = parse_search(search)
    config = _fixed({"arch": arch, "freeze": freeze, **choices}, space).with_(seed=seed)
    space = space or default_space(config)
    check_space(space, config)
    name = _study(config, space, data, folds) if name is None else name
    for axis, values in {**_described(space), **range_axes(space, config)}.items():
        note(f"Searching {axis}: {values}")
    folder = out / f"tune-{name}"
    about = about_search(config, folder, data, space.keys())
    with trackers_of(follow, folder) as trackers, trackers.run(about) as tracked:
        tuned = searching.tune(
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
            tracked=tracked,
        )
        command = train_command(tuned.config, data, out)
        result = _stored(tuned, name, folder, command, folds)
        add_search(tracked, result)
    return result


def _stored(tuned: "Tuned", name: str, folder: Path, command: str, folds: int | None) -> TuneResult:
    """Draw a search, and store its figures, its trials and its best command in its folder."""
    from imgcli.files import write_atomic
    from imgcli.report.plots import style, tuning
    from imgcli.report.terminal import tuning as tables

    n = f"{tuned.ranked[0]['n']:,}"
    evaluated_on = f"{n} photos in {folds} folds" if folds else f"{n} validation photos"
    figures = {"history.png": tuning.history(tuned.rows, evaluated_on)}
    if tuned.importance:
        figures["importance.png"] = tuning.importance(tuned.importance, len(tuned.ranked))
    for file, figure in figures.items():
        style.save(figure, folder / file)
    verdict = tables.verdict(tuned.rows, evaluated_on)
    write_atomic(folder / "trials.csv", tables.table_of_all(tuned.rows))
    write_atomic(folder / "best.sh", f"#!/bin/sh\n# {verdict}\n{command}\n")
    return TuneResult(
        study=name,
        folder=folder,
        trials=tuned.rows,
        ranked=tuned.ranked,
        config=tuned.config,
        command=command,
        importance=tuned.importance,
        verdict=verdict,
        files=(*figures, "trials.csv", "best.sh"),
    )


def _fixed(choices: dict[str, Any], space: "Space") -> TrainConfig:
    """The choices that are not searched; if arch is, the config names all archs in its place."""
    if "arch" in space:
        if choices["arch"] is not None:
            raise WrongUsage(
                f"--arch {choices['arch']} is fixed and --search names arch; leave one out."
            )
        choices = {**choices, "arch": space["arch"].describe()}
    config = training_config(**choices)
    _refuse_tracking(config)
    return config


def _refuse_tracking(config: TrainConfig) -> None:
    if config.data.track_test:
        raise WrongUsage("--track-test does not go with tune: the test part is sealed to a search.")


def _described(space: "Space") -> dict[str, str]:
    return {name: axis.describe() for name, axis in space.items()}


def _checked(name: str) -> None:
    if not name or Path(name).name != name:
        raise WrongUsage(f"--name '{name}' must be a name for a folder, such as lr-and-size.")


def _study(config: TrainConfig, space: "Space", data: Path, folds: int | None) -> str:
    """The default name of a search: the same for the same search."""
    decided = repr((config, _described(space), str(data), folds))
    slug = re.sub(r"[^\w.]+", "-", config.model.arch)[:40].strip("-.")
    return f"{slug}-{sha256(decided.encode()).hexdigest()[:6]}"
