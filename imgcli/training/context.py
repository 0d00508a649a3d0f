"""What all fits of one run share: the photos, the network as it begins, the device."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold
from torch import Tensor

from imgcli.config import SEEDS, TrainConfig
from imgcli.errors import DataError
from imgcli.models.create import create_network, published_weights
from imgcli.models.memory import within_memory
from imgcli.models.network import Network
from imgcli.models.variation import Variation
from imgcli.photos.assign import choose_parts
from imgcli.photos.dataset import Dataset, load_dataset
from imgcli.photos.unlabelled import with_unlabelled
from imgcli.photos.views import enlarged, load_pixels
from imgcli.records import IntArray, Rejected
from imgcli.runs import Run
from imgcli.text import count
from imgcli.training.augment import recipe_of
from imgcli.training.device import choose_device
from imgcli.training.features import frozen_features
from imgcli.training.inputs import DevicePixels, FeatureInputs, PixelInputs
from imgcli.training.model_io import begin_with
from imgcli.training.precision import choose_precision
from imgcli.training.resolve_defaults import resolve_defaults, wants_published


@dataclass(frozen=True, eq=False)
class Task:
    """A dataset, a settled config and everything made from them before learning starts."""

    config: TrainConfig
    dataset: Dataset
    network: Network  # with its weights at the start; never trained itself
    inputs: PixelInputs | FeatureInputs
    targets: Tensor  # (N,) on the device
    readable: NDArray[np.bool_]  # (N,)
    unlabelled: IntArray  # rows whose class nobody has told; in no part
    rejected: tuple[Rejected, ...]
    device: torch.device

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.samples.classes

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """The readable rows whose class is known, or guessed, `(N,)`."""
        return self.readable & (self.dataset.samples.targets >= 0)

    def rows(self, part: str) -> IntArray:
        """The readable rows of a part: "train", "val", "test", "all" of them, or "unlabelled"."""
        parts = self.dataset.split.parts
        if part == "all":
            rows = np.concatenate(list(parts.values()))
        elif part == "unlabelled":
            rows = self.unlabelled
        else:
            rows = parts.get(part, np.empty(0, np.int64))
        return np.sort(rows[self.readable[rows]])

    def with_guesses(self, rows: IntArray, targets: IntArray) -> Self:
        """The same task, where some unlabelled rows are taken to be of these classes."""
        samples = self.dataset.samples
        guessed = samples.targets.copy()
        guessed[rows] = targets
        dataset = replace(self.dataset, samples=replace(samples, targets=guessed))
        return replace(
            self, dataset=dataset, targets=torch.from_numpy(guessed).to(self.targets.device)
        )


@within_memory()
def make_task(
    config: TrainConfig, data: Path, device_name: str = "auto", network: Network | None = None
) -> Task:
    """Open the dataset, build the network, and decode or look at every photo once.

    Args:
        network: of a finished run, to judge it or to use its frozen backbone again; else it is
            built from the config.

    Raises:
        ImgcliError: in every way that a dataset, an arch or its weights can be wrong.
    """
    config = resolve_defaults(config)
    device = choose_device(device_name)
    if network is None and wants_published(config) and (data / "train").is_dir():
        published_weights(config.model.arch)  # before all photos are read for nothing
    dataset, unlabelled = load_dataset(data), np.empty(0, np.int64)
    if config.data.pseudo_label:
        dataset, unlabelled = with_unlabelled(dataset, Path(config.data.pseudo_label))
    samples = dataset.samples
    network = network or _network_at_start(config, samples.classes)
    config = _with_network(config, network)
    precision = choose_precision(
        config.optim.precision, device, network, frozen=config.model.frozen
    )
    config = config.with_(precision=precision)
    inputs: PixelInputs | FeatureInputs
    if config.model.frozen:
        features, unreadable = frozen_features(network, samples, device, config.optim.precision)
        inputs, readable = FeatureInputs(features), ~features[:, 0].isnan().cpu().numpy()
    else:
        inputs, unreadable = _pixel_inputs(config, network, dataset, device)
        readable = inputs.own.pixels.readable
    targets = torch.from_numpy(samples.targets).to(device)
    rejected = (*dataset.rejected, *unreadable)
    return Task(config, dataset, network, inputs, targets, readable, unlabelled, rejected, device)


def _network_at_start(config: TrainConfig, classes: tuple[str, ...]) -> Network:
    """The config's network as it begins to learn: drawn at random, published, or a run's."""
    weights = Path(config.model.weights) if config.model.weights else None
    run = Run(weights) if weights and weights.is_dir() else None
    with within_memory(
        f"There is not enough memory for the weights of '{config.model.arch}'. Use smaller layers, "
        "or G before the first dense one."
    ):
        network = _drawn(config, len(classes), None if run else weights)
    if run:
        begin_with(network, run, classes)
    return replace(network, arch=config.model.arch)


def _drawn(config: TrainConfig, classes: int, weights: Path | None) -> Network:
    """The config's network from published weights, a file's, or at random."""
    asked = Variation(
        config.model.dropout, config.model.batchnorm, config.model.activation, config.model.init
    )
    if config.model.notation is not None:  # which has what was asked for in it
        asked = Variation(init=config.model.init)
    return create_network(
        config.model.notation or config.model.arch,
        classes,
        image_size=config.model.image_size,
        channels=config.model.channels,
        fit=config.model.fit,
        model_args=config.model.model_args,
        pretrained=wants_published(config),
        weights=weights,
        variation=asked,
        test_flip=bool(config.model.test_flip),
        seed=config.seed,
    )


def _with_network(config: TrainConfig, network: Network) -> TrainConfig:
    """The config with the layers that its arch stands for now: the zoo may change."""
    if network.notation is None:
        return config
    size, channels = network.preprocess.size, network.preprocess.channels
    return config.with_(notation=network.notation, image_size=size, channels=channels)


def _pixel_inputs(
    config: TrainConfig, network: Network, dataset: Dataset, device: torch.device
) -> tuple[PixelInputs, list[Rejected]]:
    """The photos, each decoded once; larger as well, where crops are cut from them."""
    recipe, view = recipe_of(config), network.preprocess
    views = [view, enlarged(view)] if recipe.crops else [view]
    loaded = load_pixels(dataset.samples, views)
    own, *larger = (DevicePixels.of(pixels, device) for pixels in loaded)
    return PixelInputs(own, larger[0] if larger else own, view, recipe), loaded[0].rejected


def hold_out(task: Task, rows: IntArray, share: float) -> tuple[IntArray, IntArray]:
    """Part of `rows` for validation, dealt as `imgcli split` deals: stratified, groups whole.

    Returns:
        The rows to learn from and the rows to validate on, empty if `share` is 0.
    """
    samples = task.dataset.samples
    parts = choose_parts(
        samples.targets[rows],
        samples.groups[rows],
        [samples.digests[row] for row in rows],
        {"train": 1 - share, **({"val": share} if share else {})},
        task.config.seed,
    )
    return rows[parts["train"]], rows[parts.get("val", rows[:0])]


def groups_per_class(task: Task, rows: IntArray) -> IntArray:
    """In how many groups of near-duplicates the rows of each class are, `(K,)`."""
    samples = task.dataset.samples
    pairs = np.unique(np.stack([samples.targets[rows], samples.groups[rows]]), axis=1)
    return np.bincount(pairs[0], minlength=len(task.classes))


def judging_folds(task: Task, rows: IntArray, k: int, seed: int) -> IntArray:
    """Stratified folds `(M,)` to judge a recipe by: each holds out of every class, and leaves some.

    Raises:
        WrongUsage: no seed for folds.
        DataError: a class has too few groups of photos, or they cannot be kept apart.
    """
    SEEDS.check("--seed", seed)
    samples = task.dataset.samples
    counts = zip(samples.counts(rows).tolist(), groups_per_class(task, rows).tolist(), strict=True)
    for name, (photos, groups) in zip(task.classes, counts, strict=True):
        if groups < k:
            raise DataError(_too_few(name, photos, groups, k))
    fold = stratified_folds(task, rows, k, seed)
    for label, name in enumerate(task.classes):
        if len(np.unique(fold[samples.targets[rows] == label])) < 2:
            raise DataError(
                f"All photos of class '{name}' are in one of {k} folds, whose network would learn "
                "nothing of it: they are near-duplicates of other classes' photos. Correct their "
                "labels, merge the classes, or use another --seed."
            )
    return fold


def _too_few(name: str, photos: int, groups: int, k: int) -> str:
    """Why a class cannot be in each of k folds, and what to do."""
    fewer = f"or use --folds {groups}" if groups > 1 else "or remove it"
    has, need = count(photos, "photo"), f"{k} folds need at least {k}"
    if groups < photos:
        has += f" in {count(groups, 'group')} of near-duplicates, each kept in one fold"
        need += " groups"
    return f"Class '{name}' has {has}; {need}. Add photos, merge the class, {fewer}."


def stratified_folds(task: Task, rows: IntArray, k: int, seed: int) -> IntArray:
    """The fold `(M,)` of each row: stratified by class, near-duplicates in one fold.

    A class in fewer than `k` groups is missing from some folds; of folds without any photo there
    are none, so that there may be fewer than `k`.
    """
    samples = task.dataset.samples
    folder = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
    fold = np.zeros(len(rows), dtype=np.int64)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class", category=UserWarning)
        parts = list(folder.split(rows, samples.targets[rows], samples.groups[rows]))
    for number, (_, held) in enumerate(parts):
        fold[held] = number
    return np.unique(fold, return_inverse=True)[1]
