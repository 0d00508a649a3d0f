"""Predictions of photos that a run was not trained on: of the sealed test part, or by folds."""

from pathlib import Path

import numpy as np

from imgcli import ledger
from imgcli.config import GroupBy
from imgcli.errors import DataError
from imgcli.files import locked
from imgcli.models.memory import within_memory
from imgcli.models.network import network_key
from imgcli.records import Scored
from imgcli.runs import Run
from imgcli.training.cache_keys import evaluation_key, score_key
from imgcli.training.context import fresh_context, probs_by, trained_context
from imgcli.training.cross_validation import as_predictions, out_of_fold
from imgcli.training.inputs import FeatureInputs

FOLDS_LOCK = ".folds.lock"  # in a run: of who writes its out-of-fold predictions


@within_memory()
def score_test(
    run: Run, data: Path | None, device: str = "auto", group_by: GroupBy | None = None
) -> Scored:
    """The run's predictions of the sealed test part; computed once, then read back.

    Args:
        group_by: what joins photos into groups, in place of the run's choice.

    Raises:
        DataError: the dataset has no test part.
        RunError: the run knows other classes than the dataset.
    """
    # What only training needs may be gone by now, ridge too.
    config = run.config.with_(pseudo_label=None, confidence=None, weight_decay=None)
    config = config.with_(optimizer="lbfgs") if config.optim.is_probe else config
    context = trained_context(run, config, data, device, group_by)
    dataset, network, rows = context.dataset, context.network, context.rows("test")
    if len(rows) == 0:
        raise DataError(
            f"'{dataset.samples.root}' has no test part. Make one with `imgcli split`, or "
            "estimate the error on the train part: imgcli evaluate --folds 10"
        )
    name = "predictions-test.npz"
    weights = network_key(network, network.classifier)
    precision = context.config.optim.precision
    key = score_key(dataset.samples, rows, weights, network.preprocess, precision)
    made_of = f"{key} {evaluation_key(run, dataset, device, 'test')}"
    stored = run.made_of(name)
    known = stored.partition(" ")[0] == key
    if known and ledger.entered(run, context.test_digests, "evaluate"):
        predictions = run.load_predictions(name)
        if stored != made_of:
            run.save_predictions(name, predictions, made_of)
        return Scored(predictions, None, None, dataset.leaks)
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
    group_by: GroupBy | None = None,
) -> Scored:
    """Out-of-fold predictions by the run's own config, and the folds' training confusions.

    Args:
        repeats: of the whole cross-validation, with `seed` and the numbers after it. The first is
            the run's out-of-fold predictions from now on; the others are kept beside it.
        group_by: what joins photos into groups, in place of the run's choice. Folds that ignore
            groups are an aside: they are not the run's predictions, and no evaluation.
    """
    context, times = fresh_context(run, data, device, group_by), None
    aside = group_by is not None and group_by.only_duplicates
    if part == "all" and context.dataset.split.test is not None and not aside:
        times = ledger.enter(run, context.test_digests, f"evaluate --folds {k} --on all")
    seed = context.config.seed if seed is None else seed
    repeated = [
        out_of_fold(context, part, k, seed + repeat, run.folder / "folds")
        for repeat in range(repeats)
    ]
    predictions, train_confusions = zip(*repeated, strict=True)
    made_of = evaluation_key(run, context.dataset, device, part, k, seed, repeats)
    if not aside:
        with locked(run.folder / FOLDS_LOCK, wait=60):
            run.save_folds(predictions, made_of)
    return Scored(predictions[0], np.concatenate(train_confusions), times, 0, predictions[1:])
