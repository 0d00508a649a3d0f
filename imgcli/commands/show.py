"""`imgcli.show`: everything about one run."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from shlex import join
from typing import Any

from imgcli import ledger
from imgcli.commands.list_runs import chosen_runs
from imgcli.commands.results import Result
from imgcli.commands.run_facts import RunFacts, accuracies_of, run_facts
from imgcli.commands.training_config import asked_words
from imgcli.errors import ImgcliError
from imgcli.evaluation.calibration import temperature_of
from imgcli.latest_run import latest_run
from imgcli.runs import RUNS, Run
from imgcli.text import megabytes, percent

MODEL_KEYS = (
    *("notation", "params", "input", "precision", "epochs", "kept_epoch", "seconds"),
    *("images_per_second", "train", "val", "test", "chosen"),
)


@dataclass(frozen=True, eq=False, repr=False)
class ShowResult(Result):
    """One run: its choices, data, figures and files, and what was done with it."""

    run: Path
    facts: RunFacts
    document: dict[str, Any]  # of the JSON contract

    def to_json(self) -> dict[str, Any]:
        return dict(self.document)

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "run", str(self.run)
        yield "arch", self.facts.arch
        for one in self.document["accuracies"] or ():
            yield f"accuracy, {one['on']}", f"{percent(one['value'])} (n = {one['n']:,})"
        yield "size", megabytes(self.facts.size)


def show(run: str | Path = "latest", *, runs: str | Path = RUNS) -> ShowResult:
    """Everything about one run, finished or not.

    Args:
        run: "latest", a folder's name under `runs`, or a path.
        runs: the folder of the runs.

    Raises:
        RunError: there is no such run, or its config.json is damaged.
    """
    found = _find(run, Path(runs))
    facts = run_facts(found)
    problems = [] if facts.problem is None else [facts.problem]
    document: dict[str, Any] = {
        **{key: value for key, value in facts.to_json().items() if key != "problem"},
        "config": _config(found),
        "data_there": found.data.is_dir(),
    }
    model: dict[str, Any] = {}
    if found.finished:
        try:
            model = found.read_json("model.json")
        except ImgcliError as error:
            problems.append(str(error))
    document |= {"classes": model.get("classes"), **{key: model.get(key) for key in MODEL_KEYS}}
    for key, made in _PARTS.items():
        try:
            document[key] = made(found)
        except (ImgcliError, KeyError, TypeError, ValueError) as error:
            document[key] = None
            problems.append(str(error))
    document["files"] = _files(found)
    document["problems"] = list(dict.fromkeys(problems))
    return ShowResult(found.folder, facts, document)


def _find(name: str | Path, runs: Path) -> Run:
    if str(name) == "latest" and latest_run(runs) is None:
        from imgcli.run_lookup import find_run

        return find_run("latest", runs)
    (found,) = chosen_runs([name], runs)
    return found


def _config(run: Run) -> dict[str, Any]:
    """The choices that were made, and those that were settled; of older runs it is not known."""
    config, asked = run.config.to_json(), run.asked
    if asked is None:
        return {"asked": None, "settled": config, "options": None}
    return {
        "asked": {name: value for name, value in config.items() if name in asked},
        "settled": {name: value for name, value in config.items() if name not in asked},
        "options": join(asked_words(run)),
    }


def _accuracies(run: Run) -> list[dict[str, Any]]:
    return [one.to_json() for one in accuracies_of(run)]


def _temperature(run: Run) -> float | None:
    """That of the run's calibration; None for a run that is not calibrated."""
    return temperature_of(run) if (run.folder / "calibration.json").is_file() else None


# What commands leave in a run, and what they did by that.
_LEFT = {
    "predictions-folds.npz": "evaluated by folds",
    "predictions-test.npz": "evaluated on the test part",
    "calibration.json": "calibrated",
    "merges.json": "merges suggested",
    "labels.json": "labels checked",
    "learning-curve.json": "learning curve estimated",
    "report.html": "report written",
}


def _done(run: Run) -> list[dict[str, Any]]:
    """What was done with a run: its files, and its lines in the ledger of the test part."""
    found: list[dict[str, Any]] = [
        {
            "what": f"test part scored by `{one.why}`, n = {one.n:,}",
            "file": ledger.LEDGER,
            "time": one.time,
        }
        for one in ledger.entries_of(run)
    ]
    for name, what in _LEFT.items():
        if (run.folder / name).is_file():
            then = datetime.fromtimestamp((run.folder / name).stat().st_mtime).astimezone()
            time = then.isoformat(timespec="seconds")
            found.append({"what": what, "file": name, "time": time})
    for other in sorted(run.folder.glob("other-data/*/")):
        kept = f"other-data/{other.name}"
        found.append({"what": "evaluated on other photos", "file": kept, "time": None})
    return found


def _files(run: Run) -> list[dict[str, Any]]:
    """Files of the folder with their sizes; those of a folder in it together."""
    sizes: dict[str, int] = {}
    for folder, _, names in os.walk(run.folder):
        top = Path(folder).relative_to(run.folder).parts[:1]
        for name in names:
            try:
                size = os.lstat(os.path.join(folder, name)).st_size
            except OSError:  # removed meanwhile
                continue
            key = f"{top[0]}/" if top else name
            sizes[key] = sizes.get(key, 0) + size
    return [{"name": name, "bytes": size} for name, size in sorted(sizes.items())]


_PARTS: dict[str, Callable[[Run], Any]] = {
    "accuracies": _accuracies,
    "temperature": _temperature,
    "done": _done,
}
