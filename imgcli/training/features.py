"""Features of a frozen backbone, extracted once per photo and cached.

    .imgcli/cache/features/<weights>-<view>-<precision>-<device>-b<batch>[-<engine>]/

each a RowStore of (D,). A row's key is its photo's content. What a row holds depends on nothing
else: every batch has the same size, the last one too, because a library sums in another order for
another size. So a photo's features are the same bits whatever its neighbours are, and however many
were there already; on the same kind of machine, with as many threads.
"""

import copy
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imgcli.compute import engine
from imgcli.compute.team import Team
from imgcli.errors import DataError
from imgcli.models.folding import fuse_for_inference
from imgcli.models.fused_graph import GRAPH, LAYERS, CannotFuse, FusedGraphs, choose_engine
from imgcli.models.joined import power_of, signed_power, single_backbones
from imgcli.models.memory import Batches, within_memory
from imgcli.models.network import Network, feature_count, module_key
from imgcli.photos.dataset import load_dataset
from imgcli.photos.row_cache import RowStore
from imgcli.photos.views import Images, Pixels, load_pixels
from imgcli.progress import counter, note_once
from imgcli.records import FloatArray, IntArray, Predictions, Preprocess, Rejected, Samples
from imgcli.run_documents import FeatureStore
from imgcli.runs import CACHE, Run
from imgcli.training.cache_keys import changed_photos, view_key
from imgcli.training.device import BATCH, as_many_threads, choose_device, forward, to_device
from imgcli.training.inputs import to_images
from imgcli.training.known_features import remember_stores
from imgcli.training.model_io import load_model
from imgcli.training.precision import usable_precision
from imgcli.training.shared_photos import same_photos, team_on

# Photos at once, the last ones repeated to make as many. Fewer on a CPU: one new photo costs less.
BATCHES = {"cpu": 16, "cuda": 256}


class Extracted(NamedTuple):
    """Features of photos, and how they came about."""

    features: Tensor  # (N, D) on the device, NaN for photos that cannot be read
    rejected: list[Rejected]
    engine: str  # of `models.fused_graph`; of several networks, each one that is used, joined by +
    stores: tuple[FeatureStore, ...]  # where they are in the cache, network by network


def frozen_features(
    network: Network,
    samples: Samples,
    device: torch.device,
    precision: str,
    cache: Path = CACHE,
) -> tuple[Tensor, list[Rejected]]:
    """Every photo's features `(N, D)` as of `extract_features`, and the unreadable photos."""
    found = extract_features(network, samples, device, precision, cache)
    return found.features, found.rejected


@within_memory()
def extract_features(
    network: Network,
    samples: Samples,
    device: torch.device,
    precision: str,
    cache: Path = CACHE,
) -> Extracted:
    """Every photo's features from the backbone in eval mode, from the cache or made now.

    The key is the photo's content, the backbone's weights and layers, the preprocessing, the
    precision, the kind of device and the engine, so a changed photo, weight or layer is never
    served an old feature. Those of several networks, and of mirror images, are kept for each, and
    joined here.
    """
    backbone, arch = network.classifier.backbone, str(network.notation or network.arch)
    found = [
        _features(name, module, network.preprocess, samples, device, precision, cache)
        for name, module in single_backbones(arch, backbone)
    ]
    raw = torch.from_numpy(np.concatenate([features for features, *_ in found], axis=1))
    power = power_of(backbone)
    features = (raw if power == 1 else signed_power(raw, power)).to(device)
    engines = "+".join(sorted({engine for _, _, engine, _ in found}))
    return Extracted(features, found[0][1], engines, tuple(store for *_, store in found))


def _features(
    arch: str,
    backbone: nn.Module,
    preprocess: Preprocess,
    samples: Samples,
    device: torch.device,
    precision: str,
    cache: Path,
) -> tuple[NDArray[np.float32], list[Rejected], str, FeatureStore]:
    """Features `(N, D)` of one network, as of `extract_features`, the engine, and their place.

    Those of a network that has no graph are extracted, and kept, as its layers give them.
    """
    task = _Extraction(
        backbone,
        preprocess,
        precision,
        BATCHES.get(device.type, BATCH),
        choose_engine(backbone, device),
    )
    try:
        features, rejected, store = _by_one_engine(task, arch, samples, device, cache)
        return features, rejected, task.engine, store
    except CannotFuse as error:
        note_once(f"{arch} is computed layer by layer, for oneDNN makes no graph of it: {error}.")
    task = replace(task, engine=LAYERS)
    features, rejected, store = _by_one_engine(task, arch, samples, device, cache)
    return features, rejected, task.engine, store


def _by_one_engine(
    task: "_Extraction", arch: str, samples: Samples, device: torch.device, cache: Path
) -> tuple[NDArray[np.float32], list[Rejected], FeatureStore]:
    """Features `(N, D)` by the engine of a task, the photos that cannot be read, and the store.

    Raises:
        CannotFuse: photos are missing from the cache, and the network has no graph.
    """
    preprocess, batch = task.preprocess, task.batch
    size = feature_count(task.backbone, preprocess.size, preprocess.channels)
    weights, view = module_key(arch, task.backbone)[:16], view_key(preprocess)
    store = RowStore(
        cache / "features" / f"{weights}-{view}-{task.made_by(device)}",
        (size,),
        "float32",
        about=f"{arch} at {preprocess.size} pixels, {task.precision}",
    )
    rejected: list[Rejected] = []
    if (store.rows(samples.digests) < 0).any():
        (pixels,) = load_pixels(samples, [preprocess], cache)
        rejected = pixels.rejected
        missing = np.flatnonzero((store.rows(samples.digests) < 0) & pixels.readable)
        try:
            with counter("Extracting features", total=len(missing), unit="photos") as bar:

                def keep(rows: IntArray, features: Tensor) -> None:
                    store.append([samples.digests[i] for i in rows], features.numpy())
                    bar.update(len(rows))

                team = team_on(device) if len(missing) > batch else None
                if team is None:
                    _extract(task, device, pixels, missing, keep)
                else:
                    extract = task.on(device, pixels)
                    if task.engine == GRAPH:  # what has none is seen before others begin
                        extract(missing[:batch])
                    readable = np.ones(len(missing), dtype=bool)
                    team.call(
                        extract_together,
                        task.to_send(),
                        samples.at(missing),
                        readable,
                        cache,
                        extract=lambda places: extract(missing[places]),
                        keep=lambda places, features: keep(missing[places], features),
                    )
        finally:
            store.flush()
    where = store.rows(samples.digests)
    matrix = np.full((len(samples), size), np.nan, dtype=np.float32)
    matrix[where >= 0] = store.take(where[where >= 0])
    return matrix, rejected, FeatureStore(store.folder.name, size)


def for_extraction(
    backbone: nn.Module, preprocess: Preprocess, device: torch.device, precision: str, engine: str
) -> Callable[[Tensor], Tensor]:
    """Images `(B, C, S, S)` → features `(B, D)`: a copy of a backbone, by an engine."""
    module = fuse_for_inference(backbone, preprocess, device)
    return FusedGraphs(module, precision) if engine == GRAPH else module


@dataclass(frozen=True, eq=False)
class _Extraction:
    """How photos become features."""

    backbone: nn.Module
    preprocess: Preprocess
    precision: str
    batch: int  # photos at once
    engine: str = LAYERS

    def made_by(self, device: torch.device) -> str:
        """What decides the last digits of features, for the name of their place."""
        engine = "" if self.engine == LAYERS else f"-{self.engine}"
        return f"{self.precision}-{device.type}-b{self.batch}{engine}"

    def batches(self, rows: IntArray) -> list[IntArray]:
        return [rows[start : start + self.batch] for start in range(0, len(rows), self.batch)]

    def of_images(self, device: torch.device) -> Callable[[Images], Tensor]:
        """What gives the features `(B, D)` of a batch of photos `(B, S, S, 3)`, on the CPU."""
        module = for_extraction(self.backbone, self.preprocess, device, self.precision, self.engine)
        return Batches(
            lambda images: forward(
                module,
                to_images(to_device(images, device), self.preprocess),
                self.precision,
                self.preprocess.test_views,
            ).cpu()
        )

    def on(self, device: torch.device, pixels: Pixels) -> Callable[[IntArray], Tensor]:
        """What gives the features `(B, D)` of up to a batch of rows, on the CPU."""
        extract = self.of_images(device)
        return lambda rows: extract(self.images(pixels, rows))[: len(rows)]

    def images(self, pixels: Pixels, rows: IntArray) -> Images:
        """A whole batch of photos, of up to as many rows."""
        return pixels.gather(np.resize(rows, self.batch))

    def to_send(self) -> "_Extraction":
        """The same for another machine."""
        return replace(self, backbone=copy.deepcopy(self.backbone).cpu())


def _extract(
    task: _Extraction,
    device: torch.device,
    pixels: Pixels,
    missing: IntArray,
    keep: Callable[[IntArray, Tensor], None],
) -> None:
    """Extract features in whole batches, by this process or the nodes of a cluster.

    Args:
        keep: gets the rows and features of each batch, in order.
    """
    batches = task.batches(missing)
    images = (task.images(pixels, rows) for rows in batches)
    sent = task
    if engine.engine() == "ray":
        sent = task.to_send()
        if task.engine == GRAPH and batches:  # what has none is seen before others begin
            task.on(device, pixels)(batches[0])
    threads = torch.get_num_threads()
    make = partial(_extractor, sent, device.type, threads)
    with closing(
        engine.by_holders(make, images, threads=threads, gpu=device.type == "cuda")
    ) as found:
        for rows, features in zip(batches, found, strict=True):
            keep(rows, torch.from_numpy(features[: len(rows)].copy()))  # Ray's are read-only


def _extractor(
    task: _Extraction, device: str, threads: int
) -> Callable[[Images], NDArray[np.float32]]:
    """What gives the features of whole batches of photos, in this process."""
    as_many_threads(threads)
    extract = task.of_images(choose_device(device))
    return lambda images: extract(images).numpy()


def extract_together(
    team: Team,
    task: _Extraction,
    samples: Samples,
    readable: NDArray[np.bool_],
    cache: Path,
    extract: Callable[[IntArray], Tensor] | None = None,
    keep: Callable[[IntArray, Tensor], None] | None = None,
) -> None:
    """Extract features in whole batches, which the processes of a team take in turn.

    Args:
        extract: of process 0, which has its photos already.
        keep: of process 0, which gets the rows and features of each batch, in order.
    """
    (pixels,) = same_photos(team, samples, [task.preprocess], cache, readable)
    extract = extract or task.on(choose_device(team.device), pixels)
    batches = task.batches(np.arange(len(samples)))
    for start in range(0, len(batches), team.size):
        some = batches[start : start + team.size]
        found = team.to_first(extract(some[team.rank]) if team.rank < len(some) else None)
        if keep:
            for rows, features in zip(some, found, strict=False):
                keep(rows, features)


@within_memory()
def features_of(
    run: Run, predictions: Predictions, data: Path | None = None, device: str = "auto"
) -> FloatArray | None:
    """Features `(M, D)` of the photos of a run's predictions, from the cache or made again.

    Returns:
        None for a run whose backbone was trained: its folds had other features.

    Raises:
        DataError: the dataset is another one by now, or a photo cannot be read any more.
        RunError: the run is damaged.
    """
    if not run.config.model.frozen:
        return None
    network, _, stored = load_model(run)
    samples = load_dataset(run.data if data is None else data, config=run.config.data).samples
    if changed := changed_photos(samples, predictions):
        raise DataError(
            f"'{changed[0]}' is not in '{samples.root}' any more, or was changed: the run "
            f"'{run.folder}' was evaluated on another dataset. Evaluate it again: imgcli evaluate "
            "--folds 10"
        )
    row_of = {path: row for row, path in enumerate(samples.paths)}
    rows = np.array([row_of[path] for path in predictions.paths])
    where = choose_device(device)
    precision = usable_precision(stored, where)
    extracted = extract_features(network, samples, where, precision)
    found, rejected = extracted.features.cpu().numpy()[rows], extracted.rejected
    if np.isnan(found).any():
        raise DataError(
            f"'{rejected[0].path}' cannot be read any more ({rejected[0].reason}). Restore it, or "
            "evaluate the run again: imgcli evaluate --folds 10"
        )
    remember_stores(run, extracted.stores, power_of(network.classifier.backbone))
    return np.asarray(found, dtype=np.float64)
