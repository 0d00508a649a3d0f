"""Predictions of photos that a run was not trained on: its test part, by folds, or others.

score_test     the sealed test part of its own dataset
score_folds    out-of-fold, of its own dataset
score_other    photos from elsewhere, by class name
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from imgcli import ledger
from imgcli.config import GroupBy
from imgcli.errors import DataError
from imgcli.files import locked
from imgcli.folder_names import AS_FOUND, Levels
from imgcli.locations import locations_of
from imgcli.models.memory import within_memory
from imgcli.models.network import network_key
from imgcli.photos.dataset import SEALED
from imgcli.photos.hashing import digests_by_path
from imgcli.photos.layout import find_photos
from imgcli.photos.near_duplicates import groups_by_path
from imgcli.progress import note
from imgcli.records import LeftOut, NewPhotos, OtherPhotos, Predictions, Scored
from imgcli.runs import CACHE, Run
from imgcli.text import count, listed
from imgcli.tracking.session import NOT_TRACKED, TrackedRun
from imgcli.training.cache_keys import evaluation_key, score_key
from imgcli.training.context import fresh_context, trained_context
from imgcli.training.cross_validation import as_predictions, out_of_fold
from imgcli.training.inputs import FeatureInputs
from imgcli.training.other_data import other_dataset, own_photos, place_of_other
from imgcli.training.outputs import probs_by
from imgcli.training.predict import predict_photos

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
    other: Levels | None = None,
    tracked: TrackedRun = NOT_TRACKED,
) -> Scored:
    """Out-of-fold predictions by the run's own config, and the folds' training confusions.

    Args:
        other: how `data` is read, where it is not the run's own dataset; its classes may be others,
            and what is found is kept in a place of its own.
        repeats: of the whole cross-validation, with `seed` and the numbers after it. The first is
            the run's out-of-fold predictions from now on; the others are kept beside it.
        group_by: what joins photos into groups, in place of the run's choice. Folds that ignore
            groups are an aside: they are not the run's predictions, and no evaluation.
        tracked: the run, to whose trackers the folds are added as its parts.
    """
    dataset = None
    if other is not None:
        assert data is not None
        dataset = other_dataset(run, data, other, group_by)
    context, times = fresh_context(run, data, device, group_by, dataset), None
    aside = group_by is not None and group_by.only_duplicates
    if part == "all" and context.dataset.split.test is not None and not aside:
        times = ledger.enter(run, context.test_digests, f"evaluate --folds {k} --on all")
    seed = context.config.seed if seed is None else seed
    repeated = [
        out_of_fold(context, part, k, seed + repeat, run.folder / "folds", tracked)
        for repeat in range(repeats)
    ]
    predictions, train_confusions = zip(*repeated, strict=True)
    if dataset is not None and (part == "train" or dataset.split.parts.keys() == {"train"}):
        predictions = tuple(replace(one, on="other") for one in predictions)
    made_of = evaluation_key(run, context.dataset, device, part, k, seed, repeats)
    kept = run if other is None or data is None else place_of_other(run, data)
    if not aside:
        with locked(kept.folder / FOLDS_LOCK, wait=60):
            kept.save_folds(predictions, made_of)
    return Scored(predictions[0], np.concatenate(train_confusions), times, 0, predictions[1:])


# --- photos from elsewhere ----------------------------------------------------------------------


@within_memory()
def score_other(run: Run, data: Path, device: str = "auto", levels: Levels = AS_FOUND) -> Scored:
    """The run's predictions of the photos of class folders, or of a dataset's test part, by name.

    Left out are photos of a class that the run does not know, those that it was trained on, and
    those of its own test part, which are scored under the eyes of the ledger alone.

    Args:
        levels: which folders of `data` are the classes.

    Raises:
        DataError: no photo is left to score.
        WrongUsage: `data` can be read in more than one way.
        RunError: the run is damaged.
    """
    layout = find_photos(data, levels)
    places = layout.photos
    tested = {path: place for path, place in places.items() if place.part == "test"}
    places = tested or places
    classes = tuple(run.read_json("model.json")["classes"])
    digests, unread = digests_by_path(layout.where, sorted(places), CACHE)
    own = own_photos(run)
    unknown = Counter(places[p].label for p in digests if places[p].label not in classes)
    named = {p: digest for p, digest in digests.items() if places[p].label in classes}
    seen = Counter(places[p].label for p, digest in named.items() if digest in own.trained)
    sealed = Counter(places[p].label for p, digest in named.items() if digest in own.test)
    left = {p: digest for p, digest in named.items() if digest not in own.trained | own.test}
    left_out = [
        *(LeftOut(name, n, "not a class of the run") for name, n in sorted(unknown.items())),
        *(LeftOut(name, n, "trained on by the run") for name, n in sorted(seen.items())),
        *(LeftOut(name, n, SEALED) for name, n in sorted(sealed.items())),
    ]
    if not left:
        found = listed(sorted({place.label for place in places.values()}), 4)
        why = (
            f"its classes are {found}, and the run '{run.folder}' knows {listed(classes, 4)}"
            if not named
            else f"the run '{run.folder}' was trained on all of them, or they are in its own test "
            "part; imgcli evaluate --folds 10 estimates the error on training photos, and imgcli "
            "evaluate scores the test part"
        )
        raise DataError(f"No photo of '{data}' can be scored: {why}.")
    groups, faults = groups_by_path(layout.where, left, "near")
    files = tuple(str(data / path) for path in groups)
    locations = locations_of(layout.where, groups)
    predicted = predict_photos([run], NewPhotos(files, files, lambda: locations), device)
    by_path = {str(data / path): path for path in groups}
    paths = [by_path[path] for path in predicted.paths]
    predictions = Predictions(
        classes=classes,
        indices=np.arange(len(paths)),
        targets=np.array([classes.index(places[p].label) for p in paths], np.int64),
        probs=predicted.probs,
        fold=np.full(len(paths), -1, np.int64),
        groups=np.array([groups[p] for p in paths], np.int64),
        paths=tuple(paths),
        on="other",
        digests=tuple(left[p] for p in paths),
    )
    absent = tuple(name for i, name in enumerate(classes) if not (predictions.targets == i).any())
    other = OtherPhotos(data, "test" if tested else None, tuple(left_out), absent)
    _say(other, len(paths), [*unread, *faults, *predicted.rejected])
    place_of_other(run, data).save_predictions("predictions.npz", predictions)
    return Scored(predictions, None, None, 0, other=other)


def _say(other: OtherPhotos, scored: int, rejected: Iterable[object]) -> None:
    part = "the test part" if other.part else "all photos"
    note(f"'{other.data}' is not the run's own dataset: {part} of it, {count(scored, 'photo')}.")
    for why in dict.fromkeys(one.reason for one in other.left_out):
        names = [f"{one.name} ({one.n:,})" for one in other.left_out if one.reason == why]
        note(f"Left out of the figures, {why}: {listed(names, 8)}.")
    if other.absent:
        note(f"No photo here of class {listed(other.absent, 8)}: the figures say nothing of it.")
    if n := len([*rejected]):
        note(f"{count(n, 'photo')} cannot be read and {'is' if n == 1 else 'are'} left out.")
