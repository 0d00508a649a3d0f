"""Frozen networks as candidates, each judged by folds on some of the training photos.

A judgement is decided by the photos, the candidate and the seed. It is kept, and read back under an
equal key. How long it takes decides only whether a further one is begun.
"""

import math
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

from imgcli.config import ModelConfig, TrainConfig
from imgcli.documents import DocumentError, read_document
from imgcli.errors import ImgcliError, ModelError
from imgcli.files import write_json
from imgcli.models.create import has_published_weights
from imgcli.models.describe import describe
from imgcli.models.libraries import published_weights, refuse_unknown
from imgcli.models.memory import within_memory
from imgcli.models.network import Network
from imgcli.photos.assign import choose_parts
from imgcli.photos.dataset import Dataset, restricted_to
from imgcli.progress import quietly
from imgcli.reading import digest_of, digest_of_lines
from imgcli.records import IntArray, Predictions
from imgcli.runs import Run
from imgcli.tracking.about import settings_of
from imgcli.tracking.session import NOT_TRACKED, TrackedRun
from imgcli.training.benchmark import extraction_rate
from imgcli.training.cache_keys import candidate_key
from imgcli.training.context import TrainingContext, make_context, range_of
from imgcli.training.cross_validation import FoldFit, cross_validate, folds_of, predictions_of
from imgcli.training.device import choose_device
from imgcli.training.folds import evaluation_folds
from imgcli.training.model_io import initial_network
from imgcli.training.precision import choose_precision
from imgcli.training.resolve_defaults import resolve_defaults

MIN_PHOTOS = 400  # that candidates are first judged on, and ten per class; all where there are less
_PER_CLASS = 10
_SLACK = 1.25  # times what is expected: machines are not equally busy all the time
_PREDICTIONS, _SPEED = "predictions-folds.npz", "speed.json"


class Candidate(NamedTuple):
    """A pretrained network, as it is without its weights."""

    arch: str
    macs: int  # multiply-adds for one photo
    params: int
    input: tuple[int, int, int]  # channels, height, width


@dataclass(frozen=True)
class Speed:
    """How fast a candidate was here; it decides nothing but what is begun."""

    images_per_second: float  # photos through the network
    extract: float  # seconds per photo, decoding included
    fit: float  # seconds per photo, of the heads of all folds


@dataclass(frozen=True, eq=False)
class Judged:
    """Out-of-fold predictions of a candidate, and its speed."""

    predictions: Predictions
    speed: Speed


class Budget:
    """Minutes, from now on, in which work may begin that is expected to end in them."""

    def __init__(self, minutes: float) -> None:
        self.minutes = minutes
        self._end = time.monotonic() + 60 * minutes

    def allows(self, seconds: float) -> bool:
        return time.monotonic() + _SLACK * seconds <= self._end


# --- candidates ---------------------------------------------------------------------------------


def check_arch(arch: str) -> None:
    """Refuse a network that there are no published weights of, as it is named.

    Raises:
        ModelError: layer notation, a network of the zoo, or an unknown name.
    """
    each = ModelConfig(arch).archs
    if not all(map(has_published_weights, each)):
        raise ModelError(
            f"--archs '{arch}': networks of the zoo and in layer notation have no pretrained "
            "weights, and choose compares frozen pretrained ones. Train it by itself, imgcli train "
            f"--arch '{arch}', and compare the runs with imgcli compare."
        )
    for one in each:
        refuse_unknown(one)


def cheapest_first(archs: Iterable[str], classes: int) -> list[Candidate]:
    """The candidates by their multiply-adds for one photo; of equals, by name."""
    found = []
    for arch in archs:
        about = describe(arch, classes)
        shape = about.input
        found.append(Candidate(arch, about.macs, about.params["total"], shape))
    return sorted(found, key=lambda one: (one.macs, one.arch))


def nested_shares(dataset: Dataset, seed: int, most: int | None = None) -> list[IntArray]:
    """Rows of the train part, each time twice as many, the fewer among the more.

    Stratified by class, groups whole; all rows come last. Photos outside the train part are in
    none.

    Args:
        most: photos of the last; None for all.
    """
    samples, rows = dataset.samples, dataset.split.train
    least = max(MIN_PHOTOS, _PER_CLASS * len(samples.classes))
    steps = [rows]
    while len(rows) // 2 >= least:
        parts = choose_parts(
            samples.targets[rows],
            samples.groups[rows],
            [samples.digests[row] for row in rows],
            {"train": 0.5, "val": 0.5},
            seed,
            large_groups=bool(dataset.grouped_by),
        )
        half = rows[parts["train"]]
        if not least <= len(half) <= 0.75 * len(rows):  # a few large groups
            break
        rows = half
        steps.append(rows)
    return [step for step in reversed(steps) if most is None or len(step) <= most]


# --- judging ------------------------------------------------------------------------------------


class Judge:
    """Judges candidates by folds of the same photos, and keeps what it finds.

    Args:
        config: what all candidates have in common; its arch is each candidate's.
        kept: folder of what was found.
        tracked: the choice, which judgements are parts of.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: TrainConfig,
        folds: int,
        device: str,
        kept: Path,
        tracked: TrackedRun = NOT_TRACKED,
    ) -> None:
        self._dataset = dataset
        self._config = config
        self._folds = folds
        self._device = device
        self._kept = kept
        self._tracked = tracked
        self._range = range_of(dataset)
        self._weights: dict[str, str] = {}  # SHA-256 by arch

    def kept(self, candidate: Candidate, rows: IntArray) -> Judged | None:
        """What was found before; None where there is nothing of just these photos and weights.

        Raises:
            ModelError: the candidate's weights cannot be had.
        """
        folder, key = self._place(candidate, rows)
        with suppress(ImgcliError, OSError, DocumentError):
            if Run(folder).made_of(_PREDICTIONS) == key:
                predictions = Run(folder).load_predictions(_PREDICTIONS)
                return Judged(predictions, read_document(folder / _SPEED, Speed))
        return None

    @within_memory()
    def judge(self, candidate: Candidate, rows: IntArray) -> Judged:
        """Out-of-fold predictions of some rows of the train part, made now and kept.

        Raises:
            ModelError: the candidate's weights cannot be had, or do not fit into memory.
            DataError: there are too few photos for the folds.
        """
        folder, key = self._place(candidate, rows)
        network = self._network(candidate)
        start = time.perf_counter()
        context = self._context(candidate, network, rows)
        extracted = time.perf_counter()
        part = context.rows("train")
        if not len(part):
            raise ModelError(
                f"The features of '{candidate.arch}' are no finite numbers: its weights are "
                "damaged. Remove them from the cache, to fetch them again."
            )
        # Notes about rare classes are about all photos, not about some of them.
        with quietly(True) if len(rows) < len(self._dataset.split.train) else nullcontext():
            fold = evaluation_folds(context, part, self._folds, self._config.seed)
        folds = folds_of(part, fold, f"{candidate.arch}, fold")
        results = [*cross_validate(context, folds, FoldFit.result)]
        fitted = time.perf_counter()
        predictions = predictions_of(context, "train", results)
        precision = context.config.optim.precision
        speed = Speed(
            extraction_rate(context.network, context.device, precision)[0],
            max(extracted - start, 1e-3) / len(rows),
            max(fitted - extracted, 1e-3) / len(rows),
        )
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / _SPEED, asdict(speed))
        Run(folder).save_predictions(_PREDICTIONS, predictions, key)
        self._track(candidate, predictions, speed)
        return Judged(predictions, speed)

    def _track(self, candidate: Candidate, predictions: Predictions, speed: Speed) -> None:
        name = f"{candidate.arch}, {len(predictions)} photos"
        with self._tracked.child(
            name, "candidate", {**settings_of(self._of(candidate)), "photos": len(predictions)}
        ) as part:
            accuracy = float((predictions.preds == predictions.targets).mean())
            cost = {"params": candidate.params, "macs": candidate.macs}
            part.summary({"accuracy": accuracy, **asdict(speed), **cost})

    @within_memory()
    def seconds_of_first(self, candidate: Candidate, photos: int) -> float:
        """How long the features of so many photos take here, at least.

        Raises:
            ModelError: the candidate's weights cannot be had, or do not fit into memory.
        """
        device, network = choose_device(self._device), self._network(candidate)
        precision = choose_precision(self._config.optim.precision, device, network, frozen=True)
        return photos / extraction_rate(network, device, precision)[0]

    def _network(self, candidate: Candidate) -> Network:
        config = self._of(candidate)
        network = initial_network(config.model, self._dataset.samples.classes, config.seed)
        preprocess = replace(network.preprocess, sample_range=self._range)
        return replace(network, preprocess=preprocess)

    def _context(self, candidate: Candidate, network: Network, rows: IntArray) -> TrainingContext:
        samples = self._dataset.samples
        return make_context(
            self._of(candidate),
            samples.root,
            self._device,
            network,
            dataset=restricted_to(self._dataset, rows),
        )

    def _of(self, candidate: Candidate) -> TrainConfig:
        return self._config.with_(arch=candidate.arch)

    def _place(self, candidate: Candidate, rows: IntArray) -> tuple[Path, str]:
        """Where a judgement is kept, and the key of all that decides it."""
        config = resolve_defaults(self._of(candidate))
        part = restricted_to(self._dataset, rows)
        if (weights := self._weights.get(candidate.arch)) is None:
            files = map(published_weights, ModelConfig(candidate.arch).archs)
            weights = digest_of_lines(map(digest_of, files))
            self._weights[candidate.arch] = weights
        key = candidate_key(config, weights, part, self._device, self._folds, self._range)
        slug = re.sub(r"[^\w.]+", "-", candidate.arch)[:60]
        return self._kept / f"{slug}-{len(rows)}-{key[:8]}", key


# --- how long it takes --------------------------------------------------------------------------


def expected_seconds(
    candidate: Candidate, photos: int, new: int, known: Mapping[Candidate, Speed]
) -> float:
    """How long a judgement will take, by its own speed or by that of the costliest one known.

    Args:
        photos: that the heads are fitted to.
        new: those whose features are not extracted yet.
        known: the speed of each candidate that was judged, at least of one.
    """
    if candidate in known:
        speed = known[candidate]
        return new * speed.extract + photos * speed.fit
    nearest = max(known, key=lambda one: one.macs)
    speed, times = known[nearest], max(1.0, candidate.macs / max(nearest.macs, 1))
    return new * max(speed.extract, 1 / speed.images_per_second) * times + photos * speed.fit


def minutes_for(seconds: float) -> int:
    """Whole minutes of a budget that allows for so many seconds."""
    return max(1, math.ceil(_SLACK * seconds / 60))
