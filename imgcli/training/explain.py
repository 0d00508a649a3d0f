"""Why a run predicts a photo as it does: the evidence in it, and its nearest training photos."""

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imgcli.errors import ImgcliError, WrongUsage
from imgcli.models.averaged_views import views_of
from imgcli.models.evidence import Evidence, EvidenceMaps, joined_map
from imgcli.models.memory import Batches, within_memory
from imgcli.models.network import Network
from imgcli.photos.dataset import load_dataset
from imgcli.photos.decode import Fault, view_box
from imgcli.photos.fingerprint import Fingerprints, fingerprint_of
from imgcli.photos.near_duplicates import fingerprint_files, group_fingerprints
from imgcli.photos.pipeline import Photo, Transform, derive_stream
from imgcli.photos.resize import as_image, size_of
from imgcli.photos.sample_range import own_range
from imgcli.photos.views import Images, view_of
from imgcli.progress import note
from imgcli.records import FloatArray, IntArray, NewPhotos, Predictions, Rejected, Samples
from imgcli.runs import CACHE, Run
from imgcli.text import listed
from imgcli.training.context import fresh_context
from imgcli.training.cross_validation import FoldFit, cross_validate, folds_of
from imgcli.training.device import choose_device, forward, to_device
from imgcli.training.features import frozen_features
from imgcli.training.inputs import to_images
from imgcli.training.model_io import load_model
from imgcli.training.precision import usable_precision

SIDE = 56  # cells of a map, each way, whatever the grids of the networks
PICTURE = 640  # pixels of the longer side of a photo in a figure
_OTHERWISE = 0.01  # share of photos that a head fitted again may predict otherwise, by rounding
_BATCH = 16  # photos at once, whose feature maps are kept


class Contribution(NamedTuple):
    """What one network of a run gives to a score, exactly."""

    arch: str
    method: str
    exact: bool  # whether the cells of its map add up to it
    cells: int  # of its map, each way
    score: float  # its part of the logit of the class, less the bias
    contrast: float  # its part of the difference of the two logits, less that of the biases


class Neighbour(NamedTuple):
    """A training photo, and how alike it is in the head's feature space."""

    path: str  # relative to the dataset
    label: str
    similarity: float  # cosine, at most 1
    duplicate: bool  # the same photo, or nearly


@dataclass(frozen=True, eq=False)
class Explained:
    """One photo: its prediction, the evidence for it, and its neighbours.

    Maps are of `SIDE` cells each way over the network's view, which `box` places in the photo. They
    add up to a logit, or the difference of two, less the biases, where `exact`.
    """

    path: str
    probs: FloatArray  # (K,) calibrated as in predict
    label: str | None  # of a photo of the run's train part
    explained: int  # position of the class whose evidence is shown
    against: int  # and of the class it is compared with
    logit: float
    logit_against: float
    bias: float
    evidence: NDArray[np.float32]  # (SIDE, SIDE)
    contrast: NDArray[np.float32]  # (SIDE, SIDE)
    contributions: tuple[Contribution, ...]
    box: tuple[float, float, float, float]  # of the view in the photo: see `view_box`
    picture: bytes  # the photo as JPEG, of PICTURE pixels at most
    nearest: tuple[Neighbour, ...]  # most alike first

    @property
    def exact(self) -> bool:
        return all(one.exact for one in self.contributions)

    @property
    def method(self) -> str:
        return "; ".join(dict.fromkeys(one.method for one in self.contributions))


@within_memory()
def explain_photos(
    run: Run,
    photos: NewPhotos,
    *,
    temperature: float = 1.0,
    explained: str | None = None,
    against: str | None = None,
    pairs: Sequence[tuple[str, str]] | None = None,
    heads: Sequence[nn.Linear] | None = None,
    neighbours: int = 5,
    device_name: str = "auto",
) -> tuple[tuple[str, ...], list[Explained], list[Rejected]]:
    """Explain the predictions of photos by a run's network.

    Args:
        temperature: that logits are divided by, which calibrates them.
        explained: the class whose evidence is wanted; the predicted one by default.
        against: the class that it is compared with. By default the label, where the run's dataset
            has the photo under another; else the runner-up.
        pairs: of each photo both, in place of one choice for all.
        heads: of each photo one, in place of the run's: see `fold_heads`.
        neighbours: training photos per photo; 0 looks for none.

    Returns:
        The run's classes, the photos that can be read, in their order, and the others.

    Raises:
        WrongUsage: a class that the run does not know, or the same class twice.
        RunError: the run is damaged.
    """
    classes = tuple(run.read_json("model.json")["classes"])
    given: Sequence[tuple[str | None, str | None]] = (
        pairs if pairs is not None else [(explained, against)] * len(photos.names)
    )
    chosen = [
        (_position(run, classes, one), _position(run, classes, other)) for one, other in given
    ]
    if explained is not None and explained == against:
        raise WrongUsage(f"--class and --against both name '{explained}'. Name two classes.")
    device = choose_device(device_name)
    network, classes, stored = load_model(run)
    precision = usable_precision(stored, device)
    explainer = _Explainer(run, network, device, precision)
    known = _TrainingPhotos.of(run, network, device, precision) if neighbours else None
    found, rejected = [], [*photos.rejected]
    for batch, faults in _read(photos, network):
        rejected += faults
        if not batch:
            continue
        labels = [known.label(one.digest) if known else None for one in batch]
        choices = [chosen[one.index] for one in batch]
        own = [heads[one.index] for one in batch] if heads else None
        for one in explainer(batch, classes, choices, labels, temperature, own):
            read, features, made = one
            nearest = known.nearest(features, read.fingerprint, neighbours) if known else ()
            found.append(replace(made, nearest=nearest))
    return classes, found, rejected


@within_memory()
def fold_heads(
    run: Run, predictions: Predictions, device_name: str = "auto"
) -> list[nn.Linear] | None:
    """The head of each photo's fold, `(M,)`, which was not fitted to the photo; fitted again.

    Args:
        predictions: out-of-fold, of the whole train part.

    Returns:
        None where only the run's final network is left: its backbone was trained, the folds were of
        other photos, or the heads do not predict what they did.
    """
    if not run.config.model.frozen:
        return None
    context = fresh_context(run, None, device_name)
    rows = context.rows("train")
    if predictions.folds is None or not np.array_equal(rows, predictions.indices):
        return None
    folds = folds_of(rows, predictions.fold)
    heads: dict[int, nn.Linear] = {}
    for f, (module, preds) in enumerate(cross_validate(context, folds, FoldFit.module_and_preds)):
        if not isinstance(module, nn.Linear):
            return None
        if (preds != predictions.preds[predictions.fold == f]).mean() > _OTHERWISE:
            return None
        heads[f] = module
    return [heads[f] for f in predictions.fold.tolist()]


def _position(run: Run, classes: Sequence[str], name: str | None) -> int | None:
    if name is None:
        return None
    if name not in classes:
        close = get_close_matches(name, classes)
        which = f"Did you mean {', '.join(close)}?" if close else f"It knows {listed(classes)}."
        raise WrongUsage(f"The run '{run.folder}' has no class '{name}'. {which}")
    return classes.index(name)


# --- photos ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Read:
    """A photo that was decoded, in all the ways that are needed."""

    index: int  # among the photos that were named
    name: str
    view: NDArray[np.uint8]  # (S, S, 3)
    picture: bytes
    size: tuple[int, int]
    fingerprint: Fingerprints
    digest: str


def _read(photos: NewPhotos, network: Network) -> Iterator[tuple[list[_Read], list[Rejected]]]:
    """The photos in batches, each decoded once, and those that cannot be read."""
    contents = (
        Fault("read", "Rejected", one.reason) if isinstance(one, Rejected) else one
        for one in photos.contents()
    )
    transforms = [view_of(network.preprocess), *map(Transform, (_picture, _size, _print, _digest))]
    with closing(derive_stream(transforms, contents, len(photos.names), "Decoding")) as derived:
        while block := list(islice(derived, _BATCH)):
            read, faults = [], []
            for i, made in block:
                if isinstance(made, Fault):
                    faults.append(Rejected(photos.names[i], made.sentence))
                else:
                    read.append(_Read(i, photos.names[i], *(made[k] for k in range(5))))
            yield read, faults


def _picture(photo: Photo) -> bytes:
    small = as_image(photo.decoded(PICTURE, own_range(photo.data))).copy()
    small.thumbnail((PICTURE, PICTURE))
    made = io.BytesIO()
    small.save(made, "JPEG", quality=92)
    return made.getvalue()


def _size(photo: Photo) -> tuple[int, int]:
    return size_of(photo.decoded(PICTURE, own_range(photo.data)))


def _print(photo: Photo) -> Fingerprints:
    return fingerprint_of(photo.decoded(PICTURE, own_range(photo.data)))


def _digest(photo: Photo) -> str:
    return hashlib.sha256(photo.data).hexdigest()


# --- the network -------------------------------------------------------------------------------


class _Explainer:
    """A run's network and the maps of its evidence."""

    def __init__(self, run: Run, network: Network, device: torch.device, precision: str) -> None:
        classifier = network.classifier.to(device).to(memory_format=torch.channels_last)
        self._classifier, self._view = classifier, network.preprocess
        self._device, self._precision = device, precision
        size, channels = network.preprocess.size, network.preprocess.channels
        generator = torch.Generator().manual_seed(0)
        sample = torch.randn((2, channels, size, size), generator=generator).to(device)
        arch = str(network.notation or network.arch)
        self._maps = EvidenceMaps(arch, classifier.backbone, sample)
        self._features = Batches(
            lambda images: forward(
                classifier.backbone, self._prepared(images), precision, self._view.test_views
            )
        )

    def _prepared(self, images: Images) -> Tensor:
        return to_images(to_device(images, self._device), self._view)

    def __call__(
        self,
        batch: Sequence[_Read],
        classes: Sequence[str],
        chosen: Sequence[tuple[int | None, int | None]],
        labels: Sequence[str | None],
        temperature: float,
        heads: Sequence[nn.Linear] | None,
    ) -> Iterator[tuple[_Read, Tensor, Explained]]:
        """Each photo with its features and its explanation; by the run's head, or by its own."""
        views = np.stack([one.view for one in batch])
        features = self._features(views).clone()  # no tensor of inference mode, which has no graph
        each = heads or [self._classifier.head] * len(batch)
        weight = torch.stack([head.weight.detach() for head in each])  # (N, K, D)
        bias = torch.stack([head.bias.detach() for head in each])  # (N, K)
        logits = torch.einsum("nkd,nd->nk", weight, features) + bias
        a, b = _two_classes(
            logits, chosen, [None if label is None else classes.index(label) for label in labels]
        )
        photo = torch.arange(len(batch), device=features.device)
        rows = torch.stack([weight[photo, a], weight[photo, a] - weight[photo, b]])  # (2, N, D)
        evidence = self.evidence(self._prepared(views), rows)
        # In float32, as the maps are; the probabilities are of the run's own precision.
        score, contrast = torch.stack([of.totals for of in evidence]).sum(0).to(bias.device)
        both = joined_map(evidence, SIDE).numpy()
        probs = torch.softmax(logits.cpu().double() / temperature, dim=1).numpy()
        for i, one in enumerate(batch):
            yield (
                one,
                features[i],
                Explained(
                    path=one.name,
                    probs=probs[i],
                    label=labels[i],
                    explained=int(a[i]),
                    against=int(b[i]),
                    logit=float(score[i] + bias[i, a[i]]),
                    logit_against=float(score[i] - contrast[i] + bias[i, b[i]]),
                    bias=float(bias[i, a[i]]),
                    evidence=both[0, i],
                    contrast=both[1, i],
                    contributions=tuple(
                        Contribution(
                            of.arch,
                            of.method,
                            of.exact,
                            of.maps.shape[-1],
                            *of.totals[:, i].tolist(),
                        )
                        for of in evidence
                    ),
                    box=view_box(one.size, self._view),
                    picture=one.picture,
                    nearest=(),
                ),
            )

    def evidence(self, images: Tensor, rows: Tensor) -> list[Evidence]:
        """The evidence for the directions `(Q, N, D)`, the mean over the views that count.

        Mirrored back; a shift is a fraction of a cell of the map, and left as it is.
        """
        each = [
            self._maps(view, lambda _: rows)[1] for view in views_of(images, self._view.test_views)
        ]
        back = [i % 2 == 1 and self._view.test_flip for i in range(len(each))]
        return [
            replace(
                of_view[0],
                maps=torch.stack(
                    [
                        one.maps.flip(-1) if mirrored else one.maps
                        for one, mirrored in zip(of_view, back, strict=True)
                    ]
                ).mean(0),
                totals=torch.stack([one.totals for one in of_view]).mean(0),
                exact=all(one.exact for one in of_view),
            )
            for of_view in zip(*each, strict=True)
        ]


def _two_classes(
    logits: Tensor,
    chosen: Sequence[tuple[int | None, int | None]],
    labels: Sequence[int | None],
) -> tuple[Tensor, Tensor]:
    """The classes `(N,)` that are explained, and those that they are compared with."""
    order = logits.argsort(dim=1, descending=True, stable=True).tolist()
    both = [_pair(*of) for of in zip(order, chosen, labels, strict=True)]
    a, b = to_device(torch.tensor(both), logits.device).T
    return a, b


def _pair(
    ranked: Sequence[int], chosen: tuple[int | None, int | None], label: int | None
) -> tuple[int, int]:
    """The predicted class, or the next where that is compared with, and the label or runner-up."""
    explained, against = chosen
    if explained is None:
        explained = ranked[0] if ranked[0] != against else ranked[1]
    if against is None:
        runner_up = ranked[0] if ranked[0] != explained else ranked[1]
        against = runner_up if label in (None, explained) else label
    return explained, against


# --- training photos ---------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _TrainingPhotos:
    """The train part of a run's dataset, by the features of its network."""

    samples: Samples
    row_of: Mapping[str, int]  # by digest
    rows: IntArray  # (M,) that can be read
    directions: Tensor  # (M, D) features of length 1

    @classmethod
    def of(
        cls, run: Run, network: Network, device: torch.device, precision: str
    ) -> "_TrainingPhotos | None":
        """Read the dataset, and its features from the cache or made now; None where it is gone."""
        try:
            dataset = load_dataset(run.data, config=run.config.data)
        except ImgcliError as error:
            note(f"No training photos to compare with: {error}")
            return None
        samples, part = dataset.samples, dataset.split.train
        train = samples.at(part)
        features, _ = frozen_features(network, train, device, precision)
        readable = np.flatnonzero((~features[:, 0].isnan()).cpu().numpy())
        directions = torch.nn.functional.normalize(features[torch.from_numpy(readable)], dim=1)
        own = {digest: i for i, digest in enumerate(train.digests)}
        return cls(train, own, readable, directions)

    def label(self, digest: str) -> str | None:
        """The label of a photo of these bytes; None for one that is not in the train part."""
        row = self.row_of.get(digest)
        return None if row is None else self.samples.classes[self.samples.targets[row]]

    def nearest(self, features: Tensor, own: Fingerprints, most: int) -> tuple[Neighbour, ...]:
        """The photos that are most alike, by the cosine of their features."""
        direction = torch.nn.functional.normalize(features, dim=0).to(self.directions)
        similarity = self.directions @ direction
        order = similarity.argsort(descending=True, stable=True)[:most]
        rows = self.rows[order.cpu().numpy()]
        files = [self.samples.file(i) for i in rows.tolist()]
        found = fingerprint_files(files, [self.samples.digests[i] for i in rows.tolist()], CACHE)
        same = np.zeros(len(rows), bool)
        known = np.flatnonzero(found.row >= 0)
        theirs = found.fingerprints[found.row[known]]
        groups = group_fingerprints(np.concatenate([own[None], theirs]))
        same[known] = groups[1:] == groups[0]
        return tuple(
            Neighbour(
                self.samples.paths[row],
                self.samples.classes[self.samples.targets[row]],
                min(1.0, float(similarity[place])),
                bool(duplicate),
            )
            for row, place, duplicate in zip(
                rows.tolist(), order.tolist(), same.tolist(), strict=True
            )
        )
