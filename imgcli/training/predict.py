"""New photos, through a run's own preprocessing and network."""

import copy
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from imgcli.compute import engine
from imgcli.errors import RunError
from imgcli.files import write_atomic
from imgcli.locations import Location, paths_in
from imgcli.models.memory import Batches, within_memory
from imgcli.models.network import Classifier
from imgcli.photos.decode import Fault
from imgcli.photos.pipeline import BLOCK
from imgcli.photos.views import Block, Images, decode_photos
from imgcli.progress import counter, quietly
from imgcli.records import (
    NONE_OF_THESE,
    UNSURE,
    FloatArray,
    IntArray,
    NewPhotos,
    Preprocess,
    Rejected,
)
from imgcli.runs import Run
from imgcli.text import csv_text
from imgcli.training.device import as_many_threads, choose_device, forward, to_device
from imgcli.training.inputs import to_images
from imgcli.training.model_io import load_model
from imgcli.training.precision import usable_precision

# Features (B, D) that the head sees and probabilities (B, K) → a score of each photo, (B,).
Score = Callable[[FloatArray, FloatArray], FloatArray]


NO_ANSWER = {-1: UNSURE, -2: NONE_OF_THESE}


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions of unlabelled photos."""

    classes: tuple[str, ...]  # (K,)
    paths: list[str]  # (M,)
    probs: FloatArray  # (M, K)
    rejected: list[Rejected]
    rows: IntArray | None = None  # (M,) which of the photos that were named these are
    scores: FloatArray | None = None  # (M,) by the first run's features, where these were asked for

    def ranked(self, top: int) -> list[list[tuple[str, float]]]:
        """The `top` most probable classes of each photo with their probabilities."""
        order = np.argsort(-self.probs, axis=1, kind="stable")[:, :top]
        return [
            [(self.classes[k], float(p[k])) for k in best]
            for best, p in zip(order, self.probs, strict=True)
        ]

    def csv(
        self,
        top: int,
        answers: IntArray | None = None,
        further: Mapping[str, Sequence[object]] = MappingProxyType({}),
    ) -> str:
        """A CSV table with a row per photo: path, class, confidence, and the runners-up.

        Args:
            answers: (M,) the class given to each photo, -1 for "unsure" and -2 for "none of
                these"; by default the most probable one.
            further: columns at the end, (M,) each.
        """
        places = range(2, min(top, len(self.classes)) + 1)
        others = [name for place in places for name in (f"class_{place}", f"confidence_{place}")]
        rows: list[list[object]] = [["path", "class", "confidence", *others, *further]]
        best = self.probs.argmax(axis=1)
        given = best if answers is None else answers
        confidence = self.probs[np.arange(len(best)), np.where(given < 0, best, given)]
        ends = list(zip(*further.values(), strict=True)) or [()] * len(best)
        for i, ranked in enumerate(self.ranked(top)):
            cells = [cell for other, q in ranked[1:] for cell in (other, f"{q:.6f}")]
            answer = self.classes[given[i]] if given[i] >= 0 else NO_ANSWER[int(given[i])]
            rows.append([self.paths[i], answer, f"{confidence[i]:.6f}", *cells, *ends[i]])
        return csv_text(rows)

    def write_csv(
        self,
        path: Path,
        top: int,
        answers: IntArray | None = None,
        further: Mapping[str, Sequence[object]] = MappingProxyType({}),
    ) -> None:
        """Write the table of `csv`."""
        write_atomic(path, self.csv(top, answers, further))


@dataclass(frozen=True, eq=False)
class LoadedNetwork:
    """A run's network on a device, ready to predict."""

    run: Run
    classifier: Classifier  # in eval mode
    preprocess: Preprocess
    classes: tuple[str, ...]  # (K,)
    precision: str  # "fp32" or "bf16", as the device has it
    temperature: float  # that logits are divided by, which calibrates them
    device: torch.device


@within_memory()
def load_network(
    run: Run, device_name: str = "auto", temperature: float = 1.0, precision: str | None = None
) -> LoadedNetwork:
    """Load a run's network.

    Args:
        temperature: that its logits are divided by, which calibrates them.
        precision: to compute in; the run's own where that is None.

    Raises:
        RunError: the run is damaged.
    """
    device = choose_device(device_name)
    network, classes, stored = load_model(run)
    return LoadedNetwork(
        run,
        network.classifier.to(device).to(memory_format=torch.channels_last),
        network.preprocess,
        classes,
        precision or usable_precision(stored, device),
        temperature,
        device,
    )


def predict_photos(
    runs: Sequence[Run],
    photos: NewPhotos,
    device_name: str = "auto",
    temperatures: Sequence[float] | None = None,
    precision: str | None = None,
    score: Score | None = None,
) -> Predicted:
    """Predict photos; by several runs, the mean of their probabilities.

    Args:
        temperatures: that each run's logits are divided by, which calibrates them.
        precision: to compute in; each run's own where that is None.
        score: of each photo, by the features and probabilities of the first run.

    Raises:
        RunError: a run is damaged, or the runs know different classes.
    """
    each = zip(runs, temperatures or [1.0] * len(runs), strict=True)
    networks = (load_network(run, device_name, t, precision) for run, t in each)
    return predict_by(networks, photos, score)


@within_memory()
def predict_by(
    networks: Iterable[LoadedNetwork], photos: NewPhotos, score: Score | None = None
) -> Predicted:
    """As `predict_photos`, by networks that are loaded when they are needed.

    Raises:
        RunError: the runs know different classes.
    """
    predictions: list[Predicted] = []
    runs = []
    for network in networks:
        predictions.append(_predict(network, photos, None if predictions else score))
        runs.append(network.run)
        refuse_other_classes(runs, [predicted.classes for predicted in predictions])
        del network  # before the next one is loaded
    first = predictions[0]
    probs = np.mean([predicted.probs for predicted in predictions], axis=0)
    return replace(first, probs=probs, rejected=[*photos.rejected, *first.rejected])


def refuse_other_classes(runs: Sequence[Run], classes: Sequence[tuple[str, ...]]) -> None:
    """Refuse runs whose probabilities have no mean.

    Raises:
        RunError: they know different classes.
    """
    for run, known in zip(runs, classes, strict=True):
        if known != classes[0]:
            raise RunError(
                f"The runs '{runs[0].folder}' and '{run.folder}' know different classes; their "
                "probabilities have no mean."
            )


def _predict(network: LoadedNetwork, photos: NewPhotos, score: Score | None) -> Predicted:
    """One run's predictions of photos, in the order named; those that cannot be read are listed."""
    read: list[int] = []
    rejected: list[Rejected] = []
    probs = [np.empty((0, len(network.classes)))]
    scores = [np.empty(0)]

    with closing(_logits(network, photos, score is not None)) as blocks:
        for block in blocks:
            rejected += [Rejected(photos.names[i], fault.sentence) for i, fault in block.faults]
            if block.logits is None:
                continue
            scaled = torch.tensor(block.logits, dtype=torch.float64) / network.temperature
            probs.append(torch.softmax(scaled, dim=1).numpy())
            if score is not None and block.features is not None:
                scores.append(score(block.features.astype(np.float64), probs[-1]))
            read.extend(block.indices.tolist())
    order = np.argsort(read)
    rows = np.asarray(read, dtype=np.int64)[order]
    return Predicted(
        network.classes,
        [photos.names[i] for i in rows],
        np.concatenate(probs)[order],
        rejected,
        rows,
        None if score is None else np.concatenate(scores)[order],
    )


class _Block(NamedTuple):
    """Some photos, as a network sees them."""

    indices: IntArray  # (B,) of those that can be decoded
    logits: NDArray[np.float32] | None  # (B, K); None where none can be
    faults: list[tuple[int, Fault]]
    features: NDArray[np.float32] | None = None  # (B, D) that the head sees, where asked for


Contents = Sequence[tuple[int, Location | bytes | Fault]]  # photos with their positions


def _logits(
    network: LoadedNetwork, photos: NewPhotos, with_features: bool
) -> Generator[_Block, None, None]:
    """What the network gives for the photos, block by block, in this process or on a cluster."""
    contents = (
        Fault("read", "Rejected", one.reason) if isinstance(one, Rejected) else one
        for one in photos.contents()
    )
    if engine.engine() != "ray":
        compute = _computing(network, with_features)
        for block in decode_photos(contents, len(photos.names), network.preprocess):
            yield compute(block)
        return
    numbered = enumerate(contents)
    blocks = iter(lambda: list(islice(numbered, BLOCK)), [])
    sent = replace(network, classifier=copy.deepcopy(network.classifier).cpu())
    threads = torch.get_num_threads()
    found = engine.by_holders(
        partial(_decoding_and_computing, sent, threads, with_features),
        blocks,
        threads=threads,
        gpu=network.device.type == "cuda",
        files=lambda block: paths_in(one for _, one in block if not isinstance(one, bytes | Fault)),
        unsure=lambda block: any(fault.stage == "read" for _, fault in block.faults),
    )
    with closing(found), counter("Predicting", len(photos.names), "photos") as bar:
        for made in found:
            yield made
            bar.update(len(made.indices) + len(made.faults))


class _LogitsAndFeatures(torch.nn.Module):
    """Images → logits and, behind them, the features that they are made of: `(N, K + D)`."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.classifier.backbone(images)
        return torch.cat([self.classifier.head(features), features], dim=1)


def _computing(network: LoadedNetwork, with_features: bool) -> Callable[[Block], _Block]:
    """What gives the logits of decoded photos, and their features if those are asked for."""
    view, k = network.preprocess, len(network.classes)
    module = _LogitsAndFeatures(network.classifier) if with_features else network.classifier

    def logits_of(images: Images) -> torch.Tensor:
        prepared = to_images(to_device(images, network.device), view)
        return forward(module, prepared, network.precision, view.test_views)

    compute = Batches(logits_of)

    def work(block: Block) -> _Block:
        if not len(block.indices):
            return _Block(block.indices, None, block.faults)
        found = compute(block.images).cpu().numpy()
        features = found[:, k:] if with_features else None
        return _Block(block.indices, found[:, :k], block.faults, features)

    return work


def _decoding_and_computing(
    network: LoadedNetwork, threads: int, with_features: bool
) -> Callable[[Contents], _Block]:
    """What decodes up to a block of photos and gives their logits, in this process."""
    as_many_threads(threads)
    classifier = network.classifier.to(choose_device(network.device.type))
    here = replace(network, classifier=classifier.to(memory_format=torch.channels_last))
    compute = _computing(here, with_features)

    def work(contents: Contents) -> _Block:
        with quietly(True):  # the process that runs the command counts them
            (block,) = decode_photos(
                [photo for _, photo in contents], len(contents), here.preprocess
            )
        made, first = compute(block), contents[0][0]
        faults = [(first + i, fault) for i, fault in made.faults]
        return _Block(first + made.indices, made.logits, faults, made.features)

    return work
