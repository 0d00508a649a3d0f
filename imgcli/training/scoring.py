"""Predictions of photos that a run was not trained on: of the sealed test part, or by folds."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from imgcli import ledger
from imgcli.errors import DataError
from imgcli.files import locked
from imgcli.models.memory import within_memory
from imgcli.records import IntArray, Predictions
from imgcli.runs import Run
from imgcli.training.cache_keys import score_key
from imgcli.training.context import fresh_context, probs_by, trained_context
from imgcli.training.cross_validation import as_predictions, out_of_fold
from imgcli.training.inputs import FeatureInputs

FOLDS_LOCK = ".folds.lock"  # in a run: of who writes its out-of-fold predictions


@dataclass(frozen=True, eq=False)
class Scored:
    """A run's predictions of photos that it was not trained on."""

    predictions: Predictions
    train_confusions: IntArray | None  # (k, K, K) of the folds, on their training photos
    times: int | None  # evaluations of the test part so far; None if this is not one
    leaks: int
    repeats: tuple[Predictions, ...] = ()  # of the folds, after the first; in the same order


@within_memory()
def score_test(run: Run, data: Path | None, device: str = "auto") -> Scored:
    """The run's predictions of the sealed test part; computed once, then read back.

    Raises:
        DataError: the dataset has no test part.
        RunError: the run knows other classes than the dataset.
    """
    # What only training needs may be gone by now, ridge too.
    config = run.config.with_(pseudo_label=None, confidence=None, weight_decay=None)
    config = config.with_(optimizer="lbfgs") if config.optim.is_probe else config
    context = trained_context(run, config, data, device)
    dataset, network, rows = context.dataset, context.network, context.rows("test")
    if len(rows) == 0:
        raise DataError(
            f"'{dataset.samples.root}' has no test part. Make one with `imgcli split`, or "
            "estimate the error on the train part: imgcli evaluate --folds 10"
        )
    name = "predictions-test.npz"
    made_of = score_key(dataset.samples, rows, network, context.config.optim.precision)
    known = run.made_of(name) == made_of
    if known and ledger.entered(run, context.test_digests, "evaluate"):
        return Scored(run.load_predictions(name), None, None, dataset.leaks)
    times = ledger.enter(run, context.test_digests, "evaluate")
    classifier = network.classifier
    module = classifier.head if isinstance(context.inputs, FeatureInputs) else classifier
    no_fold = np.full(len(rows), -1, dtype=np.int64)
    predictions = as_predictions(context, "test", rows, probs_by(context, module, rows), no_fold)
    run.save_predictions(name, predictions, made_of)
    return Scored(predictions, None, times, dataset.leaks)


@within_memory()
def score_folds(
    run: Run,
    data: Path | None,
    part: str,
    k: int,
    seed: int | None = None,
    device: str = "auto",
    repeats: int = 1,
) -> Scored:
    """Out-of-fold predictions by the run's own config, and the folds' training confusions.

    Args:
        repeats: of the whole cross-validation, with `seed` and the numbers after it. The first is
            the run's out-of-fold predictions from now on; the others are kept beside it.
    """
    context, times = fresh_context(run, data, device), None
    if part == "all" and context.dataset.split.test is not None:
        times = ledger.enter(run, context.test_digests, f"evaluate --folds {k} --on all")
    seed = context.config.seed if seed is None else seed
    repeated = [
        out_of_fold(context, part, k, seed + repeat, run.folder / "folds")
        for repeat in range(repeats)
    ]
    predictions, train_confusions = zip(*repeated, strict=True)
    with locked(run.folder / FOLDS_LOCK, wait=60):
        run.save_folds(predictions)
    return Scored(predictions[0], np.concatenate(train_confusions), times, 0, predictions[1:])
