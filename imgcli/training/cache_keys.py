"""Cache keys: a stored number is read back only under an equal key.

Whatever decides a number belongs in its key: photos and their labels, weights and the layers they
are used in, preprocessing and precision, and the code that decodes.
"""

import hashlib
import os
import platform
import unicodedata
from importlib.metadata import version

import numpy as np

from imgcli import __version__
from imgcli.config import TrainConfig
from imgcli.photos import decode, resize
from imgcli.photos.dataset import Dataset
from imgcli.reading import digest_of_lines
from imgcli.records import IntArray, Predictions, Preprocess, Samples
from imgcli.run_documents import Photos
from imgcli.runs import FORMAT, Run

_LIBRARIES = ("torch", "torchvision", "timm", "scikit-learn", "numpy", "pillow")
_EXTRACTION = 2  # of the code that extracts features; another number where they differ by it


def photos_key(samples: Samples, rows: IntArray) -> str:
    """Of some rows: their photos' bytes, paths, classes by name, and near-duplicate groups."""
    return digest_of_lines(
        f"{row} {samples.digests[row]} {samples.groups[row]} {_label(samples, row)!r} "
        f"{samples.paths[row]!r}"
        for row in rows.tolist()
    )


def view_key(preprocess: Preprocess) -> str:
    """Of the images a network sees: the preprocessing, and which code made them."""
    shift = [preprocess.test_shift] if preprocess.test_shift else []
    seen = (preprocess.mean, preprocess.std, preprocess.test_flip, preprocess.channels, *shift)
    normalised = hashlib.sha256(repr(seen).encode()).hexdigest()[:8]
    return f"{preprocess.geometry()}-{normalised}-{resize.BY}-v{decode.VERSION}"


def score_key(
    samples: Samples, rows: IntArray, network: str, preprocess: Preprocess, precision: str
) -> str:
    """Of the predictions of some rows by the network of a `network_key`."""
    return digest_of_lines(
        [
            f"format {FORMAT}",
            repr(samples.classes),
            photos_key(samples, rows),
            network,
            view_key(preprocess),
            precision,
        ]
    )


def evaluation_key(run: Run, dataset: Dataset, device: str, *asked: object) -> str:
    """Of what an evaluation of a run depends on, found without its network.

    So a repeated evaluation needs no torch. It is of one machine, where the choice of a device and
    a precision comes out the same again.

    Args:
        asked: the part, and for folds their number, seed and repeats.

    Returns:
        "" for a run with pseudo-labels from elsewhere, which may have changed, and for folds of a
        network that is trained whole from weights from elsewhere: only its own are the run's.
    """
    model, by_folds = run.config.model, len(asked) > 1
    if run.config.data.pseudo_label or (model.weights and by_folds and not model.frozen):
        return ""
    samples = dataset.samples
    return digest_of_lines(
        [
            *_here(device),
            *(run.digest(name) for name in ("config.json", "model.json", "model.safetensors")),
            *(repr(samples.classes), photos_key(samples, np.arange(len(samples)))),
            *(f"{part} {rows.tolist()}" for part, rows in dataset.split.parts.items()),
            *(resize.BY, str(decode.VERSION), repr(asked)),
        ]
    )


def candidate_key(
    config: TrainConfig, weights: str, dataset: Dataset, device: str, *asked: object
) -> str:
    """Of what folds of a frozen candidate depend on, found without its network; of one machine.

    Args:
        config: with its defaults resolved.
        weights: SHA-256 of the file of the backbone's weights.
        dataset: all of whose photos are in the train part.
    """
    samples = dataset.samples
    return digest_of_lines(
        [
            *_here(device),
            *(repr(config), weights),
            *(repr(samples.classes), photos_key(samples, np.arange(len(samples)))),
            *(resize.BY, str(decode.VERSION), repr(asked)),
        ]
    )


def _here(device: str) -> list[str]:
    """This machine and its libraries, by which a device and a precision are chosen."""
    machine = [__version__, platform.node(), device, os.environ.get("CUDA_VISIBLE_DEVICES", "")]
    machine += [f"features {_EXTRACTION}"]
    return [*machine, *(version(library) for library in _LIBRARIES)]


def photos_of(dataset: Dataset) -> Photos:
    """What a run keeps of its dataset: moved elsewhere, as NFD names too, it is the same again."""
    samples = dataset.samples
    lines = [
        f"{part} {samples.digests[row]} {_label(samples, row)!r} "
        f"{unicodedata.normalize('NFC', samples.paths[row])!r}"
        for part, rows in dataset.split.parts.items()
        for row in rows.tolist()
    ]
    return Photos(len(lines), digest_of_lines(lines))


def changed_photos(samples: Samples, predictions: Predictions) -> list[str]:
    """The paths of photos that are not in a dataset, or not what they were when predicted."""
    now = dict(zip(samples.paths, samples.digests, strict=True))
    then = predictions.digests or [now.get(path, "") for path in predictions.paths]
    predicted = zip(predictions.paths, then, strict=True)
    return [path for path, digest in predicted if path not in now or now[path] != digest]


def _label(samples: Samples, row: int) -> str | None:
    target = int(samples.targets[row])
    return None if target < 0 else samples.classes[target]
