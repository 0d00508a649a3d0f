"""The evidence in the photos of a run's mistakes, as `imgcli explain` leaves it for the report.

explanations.npz    of the out-of-fold predictions whose hash it holds; of others it is not read
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgcli import reading
from imgcli.evaluation.merges.suggest import suggest_merges
from imgcli.files import save_arrays
from imgcli.records import FloatArray, IntArray, Predictions
from imgcli.runs import FOLDS, Run

NAME = "explanations.npz"
FORMAT = 1
MISTAKES = 24  # the most confident ones
MERGES = 12  # suggestions whose examples are explained
SIDE = 28  # cells of a stored map, each way


@dataclass(frozen=True, eq=False)
class Explanations:
    """M photos, and what speaks for their predicted class rather than for their label."""

    paths: tuple[str, ...]  # (M,) relative to the dataset
    predicted: IntArray  # (M,) out-of-fold
    labels: IntArray  # (M,)
    maps: NDArray[np.float16]  # (M, SIDE, SIDE) above 0 for the predicted class
    boxes: FloatArray  # (M, 4) of the map in the photo: left, top, right, bottom, in shares
    held_out: bool  # by networks of the folds, that had not seen the photo; else by the final one
    exact: bool  # whether the maps add up to the difference of the two scores


def mistakes_to_explain(predictions: Predictions) -> IntArray:
    """The rows of the most confident mistakes and of the examples of suggested merges, once each.

    Args:
        predictions: out-of-fold, those for decisions.
    """
    wrong = np.flatnonzero(predictions.preds != predictions.targets)
    confidence = predictions.probs[wrong].max(axis=1)
    worst = wrong[np.argsort(-confidence, kind="stable")][:MISTAKES].tolist()
    row_of = {path: row for row, path in enumerate(predictions.paths)}
    examples = [
        row_of[one["path"]]
        for suggestion in suggest_merges(predictions)[:MERGES]
        for one in suggestion.evidence["examples"]
    ]
    rows = [i for i in examples if predictions.preds[i] != predictions.targets[i]]
    return np.array(list(dict.fromkeys([*worst, *rows])), dtype=np.int64)


def reduced(evidence: NDArray[np.float32]) -> NDArray[np.float16]:
    """A map at SIDE cells each way, which hold what its cells there held together."""
    factor = len(evidence) // SIDE
    cells = evidence.reshape(SIDE, factor, SIDE, factor).sum(axis=(1, 3))
    small: NDArray[np.float16] = cells.astype(np.float16)
    return small


def save(run: Run, found: Explanations) -> Path:
    """Store them with the run."""
    path = run.folder / NAME
    encoded = [one.encode("utf-8", "surrogateescape") for one in found.paths]
    save_arrays(
        path,
        {
            "format": np.array(FORMAT),
            "of": np.array(run.digest(FOLDS)),
            "names": np.frombuffer(b"".join(encoded), np.uint8),
            "lengths": np.array(list(map(len, encoded)), dtype=np.int64),
            "predicted": found.predicted,
            "labels": found.labels,
            "maps": found.maps,
            "boxes": found.boxes,
            "held_out": np.array(found.held_out),
            "exact": np.array(found.exact),
        },
    )
    return path


def load(run: Run) -> Explanations | None:
    """Those of the run's present out-of-fold predictions; None where there are none.

    Raises:
        RunError: the file is damaged.
    """
    path = run.folder / NAME
    if not path.is_file() or not (run.folder / FOLDS).is_file():
        return None
    try:
        file = reading.read_arrays(path)
        if int(file["format"]) != FORMAT or str(file["of"]) != run.digest(FOLDS):
            return None
        ends = np.cumsum(file["lengths"])
        names = file["names"].tobytes()
        paths = tuple(
            names[end - length : end].decode("utf-8", "surrogateescape")
            for end, length in zip(ends.tolist(), file["lengths"].tolist(), strict=True)
        )
        found = Explanations(
            paths,
            file["predicted"],
            file["labels"],
            file["maps"],
            file["boxes"],
            bool(file["held_out"]),
            bool(file["exact"]),
        )
        shapes = {len(paths), len(found.predicted), len(found.labels), len(found.boxes)}
        if shapes != {len(found.maps)} or found.maps.shape[1:] != (SIDE, SIDE):
            raise ValueError("its arrays are not of one size")
    except (*reading.UNREADABLE, UnicodeError) as error:
        raise run.damaged(NAME, error) from None
    return found
