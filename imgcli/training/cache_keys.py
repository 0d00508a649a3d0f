"""Cache keys: a stored number is read back only under an equal key.

Whatever decides a number belongs in its key: photos and their labels, weights and the layers they
are used in, preprocessing and precision, and the code that decodes.
"""

import hashlib
from collections.abc import Iterable

from torch import nn

from imgcli.models.network import Network, fingerprint
from imgcli.photos import decode, resize
from imgcli.records import IntArray, Predictions, Preprocess, Samples
from imgcli.runs import FORMAT


def photos_key(samples: Samples, rows: IntArray) -> str:
    """Of some rows: their photos' bytes, paths, classes by name, and near-duplicate groups."""
    return _digest(
        f"{row} {samples.digests[row]} {samples.groups[row]} {_label(samples, row)!r} "
        f"{samples.paths[row]!r}"
        for row in rows.tolist()
    )


def network_key(network: Network, module: nn.Module) -> str:
    """Of a network or its backbone: the weights, and the layers that they are used in.

    Weights alone do not tell max pooling from mean pooling, nor one activation from another.
    """
    return _digest([fingerprint(module), str(network.notation or network.arch), repr(module)])


def view_key(preprocess: Preprocess) -> str:
    """Of the images a network sees: the preprocessing, and which code made them."""
    seen = (preprocess.mean, preprocess.std, preprocess.test_flip, preprocess.channels)
    normalised = hashlib.sha256(repr(seen).encode()).hexdigest()[:8]
    return f"{preprocess.geometry()}-{normalised}-{resize.BY}-v{decode.VERSION}"


def score_key(samples: Samples, rows: IntArray, network: Network, precision: str) -> str:
    """Of a network's predictions of some rows."""
    return _digest(
        [
            f"format {FORMAT}",
            repr(samples.classes),
            photos_key(samples, rows),
            network_key(network, network.classifier),
            view_key(network.preprocess),
            precision,
        ]
    )


def changed_photos(samples: Samples, predictions: Predictions) -> list[str]:
    """The paths of photos that are not in a dataset, or not what they were when predicted."""
    now = dict(zip(samples.paths, samples.digests, strict=True))
    then = predictions.digests or [now.get(path, "") for path in predictions.paths]
    predicted = zip(predictions.paths, then, strict=True)
    return [path for path, digest in predicted if path not in now or now[path] != digest]


def _label(samples: Samples, row: int) -> str | None:
    target = int(samples.targets[row])
    return None if target < 0 else samples.classes[target]


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()
