"""A study of Optuna's on disk or in a database: opened, gone on with after a kill, read.

    <folder>/trials.log    every event of every trial, a line of JSON each, only ever appended to

A log and no SQLite file: what a killed process leaves is whole up to its last line, and its one
writer needs no database locks, which network file systems do not keep.
"""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import StorageInternalError
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from imgcli.batch import begin_lines, repair_lines
from imgcli.errors import StorageError, WrongUsage
from imgcli.files import locked, writing

LOG = "trials.log"
DONE = (TrialState.COMPLETE, TrialState.PRUNED)
_HEARTBEAT, _GRACE = 60, 180  # seconds between signs of life, and until a trial is given up
_MIN_TRIALS = 4  # finished trials for an importance to be worth a number


@contextmanager
def open_study(
    folder: Path, name: str, url: str | None, asked: Mapping[str, Any]
) -> Iterator[Study]:
    """The study called `name`, begun or gone on with, in the folder's log or the database at `url`.

    The folder's log has one writer, so a trial that is running there when it is opened was killed.
    In a database, which many may share, a trial is given up when its process gives no sign of life.

    Args:
        asked: what the study is of; JSON.

    Raises:
        WrongUsage: a study of that name is of something else.
        StorageError: another process writes the folder, or the database cannot be used.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    folder.mkdir(parents=True, exist_ok=True)
    if url is not None:
        try:
            yield _study_in(_database(url), name, asked)
        except StorageInternalError as error:  # a full disk, a lost connection
            reason = str(error.__cause__ or error).splitlines()[0]
            raise StorageError(
                f"--storage {without_password(url)} cannot be written: {reason}. See to it and "
                "run the command again; finished trials are kept."
            ) from None
        return
    with locked(folder / ".lock"):
        log = folder / LOG
        log.with_name(log.name + ".lock").unlink(missing_ok=True)  # a killed writer's
        begin_lines(log)
        repair_lines(log)
        with writing(log):
            study = _study_in(JournalStorage(JournalFileBackend(str(log))), name, asked)
            for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                study.tell(trial.number, state=TrialState.FAIL)
            yield study


def try_failed_again(study: Study) -> None:
    """Queue what was killed or interrupted, with the values that it had, unless that is done."""
    trials = study.get_trials(deepcopy=False)
    again = {trial.user_attrs.get("again") for trial in trials}
    for trial in trials:
        if trial.state == TrialState.FAIL and trial.number not in again:
            study.enqueue_trial(trial.params, user_attrs={"again": trial.number})


def rows_of(study: Study) -> list[dict[str, Any]]:
    """What came of each trial, as JSON, in the order in which they began."""
    return [_row(trial) for trial in study.get_trials(deepcopy=False, states=DONE)]


def ranked(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The finished trials, best first: by accuracy, and by loss where that is the same."""
    finished = [row for row in rows if row["state"] == "finished"]
    return sorted(finished, key=lambda row: (-row["value"], row["loss"], row["number"]))


def importance(study: Study, seed: int) -> dict[str, float]:
    """The share of the accuracy's variance that each choice explains, largest first.

    By functional ANOVA over a random forest (Hutter, Hoos and Leyton-Brown, 2014) of the finished
    trials; empty where they are too few, or all alike.
    """
    values = [t.value for t in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))]
    if len(values) < _MIN_TRIALS or len(set(values)) == 1:
        return {}
    shares = get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=seed))
    return {name: share for name, share in shares.items() if math.isfinite(share)}


def _row(trial: FrozenTrial) -> dict[str, Any]:
    facts, reported = trial.user_attrs, trial.intermediate_values
    unfinished = "impossible" if "reason" in facts else "pruned"
    return {
        "number": trial.number,
        "state": "finished" if trial.state == TrialState.COMPLETE else unfinished,
        "value": trial.value if trial.state == TrialState.COMPLETE else None,
        "loss": facts.get("loss"),
        "n": facts.get("n"),  # photos scored
        "last": reported[max(reported)] if reported else None,  # accuracy when it was pruned
        "steps": len(reported),  # epochs, or folds
        "seconds": trial.duration.total_seconds() if trial.duration else None,
        "choices": facts.get("choices", {}),
        "reason": facts.get("reason"),
    }


def _study_in(where: BaseStorage, name: str, asked: Mapping[str, Any]) -> Study:
    study = optuna.create_study(
        storage=where, study_name=name, direction="maximize", load_if_exists=True
    )
    begun, now = study.user_attrs.get("asked"), json.loads(json.dumps(asked))
    if begun is None:
        study.set_user_attr("asked", now)
        return study
    begun = {**{key: now[key] for key in now if key == "photos"}, **begun}  # new since version 1
    if begun != now:
        other = [key for key in {**begun, **now} if begun.get(key) != now.get(key)]
        raise WrongUsage(
            f"Study '{name}' is of something else: not the same {', '.join(sorted(other))}. Give "
            "what it was begun with, or this search another --name."
        )
    return study


def without_password(url: str) -> str:
    """A database's address as it may be shown.

    Raises:
        WrongUsage: it is none.
    """
    try:
        return make_url(url).render_as_string(hide_password=True)
    except ArgumentError:
        raise WrongUsage(
            f"--storage {url} is no address of a database, such as sqlite:///tune.db or "
            "postgresql://user@host/name."
        ) from None


def _database(url: str) -> BaseStorage:
    shown = without_password(url)
    try:
        return RDBStorage(url, heartbeat_interval=_HEARTBEAT, grace_period=_GRACE)
    except ImportError as error:
        driver = getattr(error.__cause__, "name", None) or "its driver"
        raise StorageError(
            f"--storage {shown} needs the Python package {driver}. Install it beside imgcli."
        ) from None
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]
        raise StorageError(
            f"--storage {shown} cannot be used: {reason}. See to it, or name another database."
        ) from None
