"""Evaluations of a run that are stored: read back without torch while nothing has changed."""

from contextlib import suppress
from pathlib import Path

import numpy as np

from imgcli import ledger
from imgcli.config import GroupBy
from imgcli.errors import ImgcliError
from imgcli.evaluation.predictions_io import NAMES, load
from imgcli.photos.dataset import Dataset, load_dataset
from imgcli.records import Scored
from imgcli.runs import Run
from imgcli.training.cache_keys import evaluation_key


def stored_test(
    run: Run, data: Path | None, device: str, group_by: GroupBy | None = None
) -> Scored | None:
    """What `score_test` would read back; None where it has to score, or to say what is wrong."""
    with suppress(ImgcliError):
        made_of = run.made_of(NAMES["test"]).partition(" ")[2]
        if made_of:
            dataset = _dataset(run, data, group_by)
            if made_of == evaluation_key(run, dataset, device, "test"):
                predictions = run.load_predictions(NAMES["test"])
                if ledger.entered(run, predictions.digests, "evaluate"):
                    return Scored(predictions, None, None, dataset.leaks)
    return None


def stored_folds(
    run: Run,
    data: Path | None,
    k: int,
    seed: int | None,
    device: str,
    repeats: int,
    group_by: GroupBy | None = None,
) -> Scored | None:
    """What `score_folds` of the train part would put together of stored folds; None without."""
    with suppress(ImgcliError):
        if made_of := run.made_of(NAMES["folds"]):
            dataset = _dataset(run, data, group_by)
            seed = run.config.seed if seed is None else seed
            if made_of == evaluation_key(run, dataset, device, "train", k, seed, repeats):
                (first,) = load([run], "folds")[1].values()
                confusions = [one.train_confusions for one in (first, *first.repeats)]
                known = [one for one in confusions if one is not None]
                if len(known) == repeats:
                    repeated = tuple(one.predictions for one in first.repeats)
                    return Scored(first.predictions, np.concatenate(known), None, 0, repeated)
    return None


def _dataset(run: Run, data: Path | None, group_by: GroupBy | None) -> Dataset:
    root = run.data if data is None else data
    return load_dataset(root, config=run.config.data, group_by=group_by)
