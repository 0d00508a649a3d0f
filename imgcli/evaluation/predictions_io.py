"""The predictions that runs keep on disk, read for evaluation; nothing is trained or scored again.

Out-of-fold predictions are in `predictions-folds.npz`, those of further repeats of the folds in
`predictions-folds-2.npz` and so on, and the folds that they were joined from in `folds/<key>/`:
`fold-00.npz` with the confusion matrix of the fold's training photos, `history-00.csv`.
"""

import os
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imgcli import reading
from imgcli.errors import RunError
from imgcli.evaluation.evaluate import evaluate, evaluation_json
from imgcli.evaluation.metrics import FIGURES
from imgcli.progress import note
from imgcli.records import Evaluation, IntArray, Predictions, Summary
from imgcli.runs import FOLDS, Run, named
from imgcli.text import count

On = Literal["folds", "test"]

NAMES: Mapping[On, str] = {"folds": FOLDS, "test": "predictions-test.npz"}
DEFAULT_FOLDS = 10
# Choices that are shown by themselves, follow from another, or change nothing.
_APART = ("arch", "notation", "track_test")


@dataclass(frozen=True, eq=False)
class Stored:
    """A run's predictions of held-out photos, and the histories of its folds.

    Where the folds were repeated these are of the first repeat, and the others are `repeats`.
    """

    run: Run
    predictions: Predictions
    train_confusions: IntArray | None  # (k, K, K) the folds' train sides
    histories: tuple[Path, ...]  # of the folds' trainings, those that are kept
    repeats: tuple["Stored", ...] = ()


def load(runs: Sequence[Run], on: On | None) -> tuple[On, dict[str, Stored]]:
    """The runs' predictions of one part, by the runs' folders.

    Args:
        on: which; None for the folds where all runs have them, else the test part where all do.

    Raises:
        RunError: a run has none; the message names the command to type.
    """
    part = on or _default_part(runs)
    if lacking := _lacking(runs, part):
        raise RunError(_remedy(runs, lacking, part))
    return part, {str(run.folder): _stored(run, part) for run in runs}


def pooled(stored: Stored) -> Evaluation:
    """The evaluation of one run, its repeats together, as `evaluate` prints it."""
    sides = [one.train_confusions for one in (stored, *stored.repeats)]
    known = [side for side in sides if side is not None]
    trained = np.concatenate(known) if len(known) == len(sides) else None
    return evaluate(
        stored.predictions, trained, repeats=[one.predictions for one in stored.repeats]
    )


def run_json(stored: Stored, predictions: Predictions, seed: int = 0) -> dict[str, Any]:
    """The entry of one run in `compare --json`, all but its choices.

    Of a run whose folds were repeated that is the first repeat, as the tests are of it.

    Args:
        predictions: those that are compared.
    """
    evaluation = evaluate(predictions, stored.train_confusions, seed)
    if evaluation.folds is None:
        evaluation = with_training_figures(evaluation, stored.run)
    figures = evaluation_json(evaluation)
    facts = _facts(stored.run, "arch", "params", "seconds")
    shown = {key: figures[key] for key in ("n", "folds", *FIGURES, "train")}
    repeats = 1 + len(stored.repeats)
    return {"run": str(stored.run.folder), **facts, **shown, "repeats": repeats}


def with_training_figures(evaluation: Evaluation, run: Run) -> Evaluation:
    """The evaluation of a run itself, beside its figures on training photos."""
    trained = _facts(run, "train")["train"]
    return replace(evaluation, train={name: Summary(trained[name], None) for name in FIGURES})


def _facts(run: Run, *names: str) -> dict[str, Any]:
    """What `model.json` says of these.

    Raises:
        RunError: it lacks one, or a figure of the training part.
    """
    model = run.read_json("model.json")
    wanted = [*names, *(FIGURES if "train" in names else ())]
    if lacking := [name for name in wanted if name not in {**model, **model.get("train", {})}]:
        raise run.damaged("model.json", ValueError(f"it lacks {lacking[0]}"))
    return {name: model[name] for name in names}


def differing(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """For each run the choices, other than the arch, that are not the same in all of them."""
    choices = [{"data": str(run.data), **run.config.to_json()} for run in runs]
    differ = [
        name
        for name in choices[0]
        if name not in _APART and any(chosen[name] != choices[0][name] for chosen in choices)
    ]
    return [{name: chosen[name] for name in differ} for chosen in choices]


def asked(run: Run, choices: Collection[str]) -> list[str]:
    """Those of the choices that were made for the run; all where it is not known any more."""
    made = run.asked
    return [name for name in choices if made is None or name in made]


def _default_part(runs: Sequence[Run]) -> On:
    whole: list[On] = [part for part in NAMES if not _lacking(runs, part)]
    return whole[0] if whole else "folds"


def _lacking(runs: Sequence[Run], on: On) -> list[Run]:
    return [run for run in runs if not (run.folder / NAMES[on]).is_file()]


def _remedy(runs: Sequence[Run], lacking: Sequence[Run], on: On) -> str:
    """The sentence that names the commands to type, with the folds that other runs have."""
    what = "out-of-fold predictions" if on == "folds" else "predictions of the test part"
    folds, seed = DEFAULT_FOLDS, lacking[0].config.seed
    having = [run for run in runs if run not in lacking]
    if on == "folds" and having:
        folds = having[0].load_predictions(NAMES[on]).folds or DEFAULT_FOLDS
        seed = having[0].config.seed
    commands = [
        # Which photos fall into which fold follows from the run's seed.
        _command(run, on, folds)
        + (f" --seed {seed}" if on == "folds" and run.config.seed != seed else "")
        for run in lacking
    ]
    return (
        f"The run '{lacking[0].folder}' has no {what} to compare. Make them first: "
        f"{' && '.join(commands)}"
    )


def _command(run: Run, on: On, folds: int) -> str:
    """What makes a run's predictions of a part."""
    command = f"imgcli evaluate --run {shlex.quote(named(run))}"
    return f"{command} --folds {folds}" if on == "folds" else command


def out_of_fold(run: Run, data: Path | None = None) -> Predictions:
    """A run's out-of-fold predictions for decisions: of the train part alone.

    Args:
        data: the dataset that they should be of; where it is there without them, a note says so.

    Raises:
        RunError: it has never been evaluated by folds; the message names the command to type.
    """
    if not (run.folder / NAMES["folds"]).is_file():
        raise RunError(
            f"The run '{run.folder}' has no out-of-fold predictions, and the test part must not "
            f"decide anything. Make them first: {_command(run, 'folds', DEFAULT_FOLDS)}"
        )
    predictions = noted_for_decisions(run, run.load_predictions(NAMES["folds"]))
    if data is not None and data.is_dir() and (absent := not_in(data, predictions)):
        note(
            f"'{data}' lacks {absent:,} of {count(len(predictions), 'photo')} that the run "
            f"'{run.folder}' was evaluated on: it is another dataset, or has changed since. "
            f"Evaluate it again: {_command(run, 'folds', predictions.folds or DEFAULT_FOLDS)}"
        )
    return predictions


def for_decisions(predictions: Predictions) -> Predictions:
    """The predictions that may decide something: not those of the test part.

    Folds of all photos (`evaluate --on all`) have the sealed ones among them, which may choose no
    merge, no threshold, no temperature, no label and no network.
    """
    if predictions.on != "all":
        return predictions
    # Earlier versions kept no parts.
    parts = predictions.parts or [path.split("/")[0] for path in predictions.paths]
    train = np.flatnonzero([part == "train" for part in parts])
    return replace(predictions.at(train), on="train")


def noted_for_decisions(run: Run, predictions: Predictions) -> Predictions:
    """The same, with a note of what is left out."""
    deciding = for_decisions(predictions)
    if left := left_out_sentence(run, predictions):
        note(left)
    return deciding


def left_out_sentence(run: Run, predictions: Predictions) -> str | None:
    """A note of the predictions that `for_decisions` leaves out; None where there are none."""
    deciding = len(for_decisions(predictions))
    if deciding == len(predictions):
        return None
    return (
        f"The folds of '{run.folder}' are of all photos (--on all): "
        f"{count(len(predictions) - deciding, 'photo')} outside the train part are not used for "
        f"decisions, and {deciding:,} remain."
    )


def not_in(data: Path, predictions: Predictions) -> int:
    """The number of evaluated photos that are not in a dataset's folder."""
    return sum(not os.path.isfile(f"{data}/{path}") for path in predictions.paths)


# --- folds --------------------------------------------------------------------------------------


def _stored(run: Run, on: On) -> Stored:
    predictions = run.load_predictions(NAMES[on])
    repeats = run.load_again(predictions) if on == "folds" else []
    return replace(
        _with_folds(run, predictions), repeats=tuple(_with_folds(run, one) for one in repeats)
    )


def _with_folds(run: Run, predictions: Predictions) -> Stored:
    damage: RunError | None = None
    for folder in sorted(run.folder.glob("folds/*/")) if predictions.folds else []:
        try:
            confusions = _train_sides(run, folder, predictions)
        except RunError as error:  # of other folds, if these are found whole
            damage = error
            continue
        if confusions is not None:
            histories = tuple(sorted(folder.glob("history-*.csv")))
            return Stored(run, predictions, confusions, histories)
    if damage:
        raise damage
    return Stored(run, predictions, None, ())


def _train_sides(run: Run, folder: Path, predictions: Predictions) -> IntArray | None:
    """The folds' confusions on training photos; None if these are not the folds' predictions.

    A run keeps the folds of every `evaluate --folds`, and the predictions of the last.

    Raises:
        RunError: a fold's file is damaged.
    """
    confusions = []
    for f in range(predictions.folds or 0):
        path = folder / f"fold-{f:02d}.npz"
        try:
            file = reading.read_arrays(path)
            rows, probs, confusion = file["rows"], file["probs"], file["train_confusion"]
            _check_history(folder / f"history-{f:02d}.csv", file.get("history_sha256"))
        except FileNotFoundError:
            return None
        except reading.UNREADABLE as error:
            raise RunError(
                f"'{path}' cannot be read ({error or type(error).__name__}). Remove it and run "
                f"again: {_command(run, 'folds', predictions.folds or DEFAULT_FOLDS)}"
            ) from None
        held, order = predictions.fold == f, np.argsort(rows)
        if not np.array_equal(rows[order], predictions.indices[held]):
            return None
        if not np.array_equal(probs[order], predictions.probs[held]):
            return None
        confusions.append(confusion)
    return np.stack(confusions)


def _check_history(path: Path, expected: NDArray[Any] | None) -> None:
    """Compare a fold's history with what the fold's arrays say of its bytes, if both are there.

    Raises:
        ValueError: it has changed since it was written.
    """
    if expected is None or not os.path.lexists(path):
        return
    if reading.digest_of(path) != str(expected):
        raise ValueError(f"{path.name} beside it has changed since it was written")
