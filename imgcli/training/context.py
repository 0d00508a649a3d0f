"""What the trainings of one config share, what one of them is asked for, and its result.

TrainingContext    data, network before training, inputs, device
FitSpec            which rows are trained on, and which validate
FitResult          a trained module, its history and metrics
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imgcli.compute.leading import refuse_each_alone
from imgcli.config import GroupBy, TrainConfig
from imgcli.errors import RunError
from imgcli.models.create import starts_from_published
from imgcli.models.memory import within_memory
from imgcli.models.network import Classifier, Network
from imgcli.photos.dataset import Dataset, load_dataset, with_unlabelled
from imgcli.photos.sample_range import range_of_files
from imgcli.records import ONE_VIEW, IntArray, Rejected, SampleRange
from imgcli.runs import CACHE, Run
from imgcli.tracking.session import NOT_TRACKED, TrackedRun
from imgcli.training.augment import recipe_of
from imgcli.training.device import choose_device
from imgcli.training.features import extract_features
from imgcli.training.inputs import FeatureInputs, PixelInputs, pixel_inputs
from imgcli.training.metrics import Metrics
from imgcli.training.model_io import initial_network, load_model
from imgcli.training.precision import choose_precision
from imgcli.training.resolve_defaults import resolve_defaults


@dataclass(frozen=True, eq=False)
class TrainingContext:
    """A dataset, a resolved config and everything made from them before training."""

    config: TrainConfig
    dataset: Dataset
    network: Network  # with its initial weights; copies of it are trained
    inputs: PixelInputs | FeatureInputs
    targets: Tensor  # (N,) on the device
    readable: NDArray[np.bool_]  # (N,)
    unlabelled: IntArray  # rows without a label; in no part
    rejected: tuple[Rejected, ...]
    device: torch.device
    engine: str | None = None  # that extracted the features; None where pixels are the inputs

    @property
    def classes(self) -> tuple[str, ...]:
        return self.dataset.samples.classes

    @property
    def labelled(self) -> NDArray[np.bool_]:
        """The readable rows with a label or a pseudo-label, `(N,)`."""
        return self.readable & (self.dataset.samples.targets >= 0)

    def of_one_view(self) -> Self:
        """The same, each photo judged by itself and not by the mean over its views.

        Features of a frozen backbone are such means already.
        """
        preprocess = self.network.preprocess
        if preprocess.test_views == ONE_VIEW or isinstance(self.inputs, FeatureInputs):
            return self
        alone = replace(preprocess, test_flip=False, test_shift=0)
        return replace(
            self,
            network=replace(self.network, preprocess=alone),
            inputs=replace(self.inputs, preprocess=alone),
        )

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

    @property
    def test_digests(self) -> list[str]:
        """The contents of the readable test photos, by which the ledger knows a test part."""
        return [self.dataset.samples.digests[row] for row in self.rows("test")]

    def with_pseudo_labels(self, rows: IntArray, targets: IntArray) -> Self:
        """The same context with pseudo-labels for some unlabelled rows."""
        samples = self.dataset.samples
        labels = samples.targets.copy()
        labels[rows] = targets
        dataset = replace(self.dataset, samples=replace(samples, targets=labels))
        return replace(
            self, dataset=dataset, targets=torch.from_numpy(labels).to(self.targets.device)
        )


@within_memory()
def make_context(
    config: TrainConfig,
    data: Path,
    device_name: str = "auto",
    network: Network | None = None,
    group_by: GroupBy | None = None,
    dataset: Dataset | None = None,
) -> TrainingContext:
    """Open the dataset, build the network, and decode every photo or extract its features.

    Args:
        network: of a finished run, to evaluate it or to use its frozen backbone; else it is built
            from the config.
        group_by: what joins photos into groups, in place of the config's choice.
        dataset: that of `data`, where it is open already.

    Raises:
        ImgcliError: in every way that a dataset, an arch or its weights can be wrong.
    """
    refuse_each_alone()
    config = resolve_defaults(config)
    device = choose_device(device_name)
    if network is None and starts_from_published(config.model) and (data / "train").is_dir():
        from imgcli.models.libraries import published_weights  # imports timm and torchvision

        for arch in config.model.archs:
            published_weights(arch)  # fails before all photos are read
    dataset = dataset or load_dataset(data, config=config.data, group_by=group_by)
    unlabelled = np.empty(0, np.int64)
    if config.data.pseudo_label:
        dataset, unlabelled = with_unlabelled(dataset, Path(config.data.pseudo_label))
    samples = dataset.samples
    network = network or initial_network(config.model, samples.classes, config.seed)
    network = _with_range_of(dataset, network)
    config = _with_layers_of(network, config, device)
    inputs: PixelInputs | FeatureInputs
    by: str | None = None
    if config.model.frozen:
        found = extract_features(network, samples, device, config.optim.precision)
        inputs, unreadable, by = FeatureInputs(found.features), found.rejected, found.engine
    else:
        recipe = recipe_of(config.augment)
        inputs, unreadable = pixel_inputs(samples, network.preprocess, recipe, device)
    return TrainingContext(
        config,
        dataset,
        network,
        inputs,
        torch.from_numpy(samples.targets).to(device),
        inputs.readable(),
        unlabelled,
        (*dataset.rejected, *unreadable),
        device,
        by,
    )


def _with_range_of(dataset: Dataset, network: Network) -> Network:
    """The network, its preprocessing with the photos' range, unless it was trained with another.

    The network keeps it with its weights, so that new photos are as bright to it.
    """
    if network.preprocess.sample_range is not None:
        return network
    found = range_of(dataset)
    return replace(network, preprocess=replace(network.preprocess, sample_range=found))


def range_of(dataset: Dataset) -> SampleRange | None:
    """The range of a dataset's photos of more than 8 bits; the test part has no say in it."""
    samples = dataset.samples
    rows = np.setdiff1d(np.arange(len(samples)), dataset.split.parts.get("test", [])).tolist()
    files = [samples.file(row) for row in rows]
    return range_of_files(files, [samples.digests[row] for row in rows], CACHE)


def _with_layers_of(network: Network, config: TrainConfig, device: torch.device) -> TrainConfig:
    """The config with the precision, and with the layers that a name of the zoo stands for now."""
    precision = choose_precision(
        config.optim.precision, device, network, frozen=config.model.frozen
    )
    config = config.with_(precision=precision)
    if network.notation is None:
        return config
    size, channels = network.preprocess.size, network.preprocess.channels
    return config.with_(notation=network.notation, image_size=size, channels=channels)


def trained_context(
    run: Run,
    config: TrainConfig,
    data: Path | None,
    device: str,
    group_by: GroupBy | None = None,
) -> TrainingContext:
    """The context of a finished run, with its trained network in place.

    Raises:
        RunError: the run knows other classes than the dataset.
    """
    network, classes, _ = load_model(run)
    context = make_context(config, run.data if data is None else data, device, network, group_by)
    if context.classes != classes:
        raise RunError(
            f"'{context.dataset.samples.root}' has {len(context.classes)} classes, and the run "
            f"'{run.folder}' knows {len(classes)} others. Name its own dataset with --data."
        )
    context.network.classifier.to(context.device).eval()
    return context


def fresh_context(
    run: Run,
    data: Path | None,
    device: str,
    group_by: GroupBy | None = None,
    other: Dataset | None = None,
) -> TrainingContext:
    """The context of a finished run before training: the same config, the same initial weights.

    A frozen backbone is the run's own, so that its published weights are not needed again; the head
    is random again: the run's was trained on photos that folds hold out.

    Args:
        other: a dataset that is not the run's own, at `data`; its classes may be others.
    """
    config, root = run.config, run.data if data is None else data
    if not config.model.frozen:
        return make_context(config, root, device, group_by=group_by, dataset=other)
    if other is None:
        context = trained_context(run, config, data, device, group_by)
    else:
        network, _, _ = load_model(run)
        context = make_context(config, root, device, network, dataset=other)
        context.network.classifier.to(context.device).eval()
    old = context.network.classifier
    head = nn.Linear(old.head.in_features, len(context.classes)).to(context.device)
    torch.manual_seed(config.seed)
    head.reset_parameters()
    classifier = Classifier(old.backbone, head)
    return replace(context, network=replace(context.network, classifier=classifier))


# --- one training of a context ------------------------------------------------------------------


class Progress(Protocol):
    """How far a training has come, wherever that runs: what `checkpoint.State` says of it."""

    epoch: int  # finished
    steps: int
    history: list[dict[str, Any]]


@dataclass(frozen=True, eq=False)
class FitSpec:
    """The rows of one training, and what goes with it."""

    rows: IntArray  # to train on
    # Validation rows. None: taken out of `rows` by the config's val_share or folds. Empty: nothing
    # is validated, and a head's regularisation is the config's.
    val: IntArray | None = None
    chosen: Mapping[str, float] = field(default_factory=dict)  # for a head without validation
    watched: Mapping[str, IntArray] = field(default_factory=dict)  # evaluated, deciding nothing
    label: str = "Training"
    checkpoint: Path | None = None
    after_epoch: Callable[[Progress], None] = lambda progress: None  # of a training by steps
    tracked: TrackedRun = NOT_TRACKED


@dataclass(frozen=True, eq=False)
class FitResult:
    """A trained module, and how it was trained."""

    module: nn.Module  # from the context's inputs to logits: the whole classifier, or only the head
    trained_on: IntArray  # the labelled rows: the spec's, less those that a bootstrap left out
    history: list[dict[str, Any]]
    epochs: int  # or iterations of a linear probe
    best_epoch: int  # whose weights are kept
    samples_seen: int  # training samples of all epochs in this process
    val: Metrics | None
    chosen: Mapping[str, float]  # by validation; and how many photos got a pseudo-label
