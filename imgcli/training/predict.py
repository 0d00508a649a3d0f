"""New photos, through a run's own preprocessing and network."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from imgcli.errors import DataError, RunError
from imgcli.files import write_atomic
from imgcli.models.memory import Batches, within_memory
from imgcli.photos.layout import photos_under
from imgcli.photos.views import Images, decode_files
from imgcli.records import FloatArray, Rejected
from imgcli.runs import Run
from imgcli.text import csv_text
from imgcli.training.device import choose_device, forward, to_device
from imgcli.training.inputs import to_images
from imgcli.training.model_io import load_model
from imgcli.training.precision import usable_precision

UNSURE = "unsure"  # in the place of a class


@dataclass(frozen=True, eq=False)
class Predicted:
    """Predictions of unlabelled photos."""

    classes: tuple[str, ...]  # (K,)
    paths: list[str]  # (M,)
    probs: FloatArray  # (M, K)
    rejected: list[Rejected]

    def ranked(self, top: int) -> list[list[tuple[str, float]]]:
        """The `top` most probable classes of each photo with their probabilities."""
        order = np.argsort(-self.probs, axis=1, kind="stable")[:, :top]
        return [
            [(self.classes[k], float(p[k])) for k in best]
            for best, p in zip(order, self.probs, strict=True)
        ]

    def sure(self, threshold: float) -> NDArray[np.bool_]:
        """Which photos are answered, `(M,)`: with at least that confidence."""
        return np.asarray(self.probs.max(axis=1) >= threshold)

    def only(self, rows: NDArray[np.bool_]) -> Self:
        """Some of the photos; none that could not be read."""
        paths = [path for path, chosen in zip(self.paths, rows, strict=True) if chosen]
        return type(self)(self.classes, paths, self.probs[rows], [])

    def write_csv(self, path: Path, top: int, threshold: float | None = None) -> None:
        """One row per photo: path, class, confidence, and the runners-up.

        Args:
            threshold: below it the class is "unsure", and a last column holds the most probable
                one.
        """
        places = range(2, min(top, len(self.classes)) + 1)
        others = [name for place in places for name in (f"class_{place}", f"confidence_{place}")]
        likely = [] if threshold is None else ["likely"]
        rows: list[list[object]] = [["path", "class", "confidence", *others, *likely]]
        sure = self.sure(threshold or 0.0)
        for photo, best, answered in zip(self.paths, self.ranked(top), sure, strict=True):
            (name, p), *rest = best
            cells = [cell for other, q in rest for cell in (other, f"{q:.6f}")]
            answer = name if answered else UNSURE
            rows.append([photo, answer, f"{p:.6f}", *cells, *(name for _ in likely)])
        write_atomic(path, csv_text(rows))


@within_memory()
def predict_files(
    runs: Sequence[Run],
    paths: Sequence[Path],
    device_name: str = "auto",
    temperatures: Sequence[float] | None = None,
) -> Predicted:
    """Predict files, and all photos in folders; by several runs, the mean of their probabilities.

    Args:
        temperatures: that each run's logits are divided by, which calibrates them.

    Raises:
        DataError: a path that does not exist, or no photo under any of them.
        RunError: a run is damaged, or the runs know different classes.
    """
    named: list[str] = []
    rejected: list[Rejected] = []
    for path in paths:
        found, refused = photos_under(path)
        named += found
        rejected += refused
    if not named:
        raise DataError(f"No photo in '{paths[0]}'. Name photos, or folders that hold some.")
    device = choose_device(device_name)
    predictions = [
        _predict(run, named, device, temperature)
        for run, temperature in zip(runs, temperatures or [1.0] * len(runs), strict=True)
    ]
    first = predictions[0]
    for run, other in zip(runs, predictions, strict=True):
        if other.classes != first.classes:
            raise RunError(
                f"The runs '{runs[0].folder}' and '{run.folder}' know different classes; their "
                "probabilities have no mean."
            )
    probs = np.mean([predicted.probs for predicted in predictions], axis=0)
    return Predicted(first.classes, first.paths, probs, rejected + first.rejected)


def _predict(run: Run, named: Sequence[str], device: torch.device, temperature: float) -> Predicted:
    """One run's predictions of photos, in the order named; those that cannot be read are listed."""
    network, classes, stored = load_model(run)
    view, precision = network.preprocess, usable_precision(stored, device)
    classifier = network.classifier.to(device).to(memory_format=torch.channels_last)
    read: list[int] = []
    rejected: list[Rejected] = []
    probs = [np.empty((0, len(classes)))]

    def logits_of(images: Images) -> torch.Tensor:
        prepared = to_images(to_device(images, device), view)
        return forward(classifier, prepared, precision, view.test_flip)

    compute = Batches(logits_of)
    for block in decode_files([Path(name) for name in named], view):
        rejected += [Rejected(named[i], fault.sentence) for i, fault in block.faults]
        if len(block.indices) == 0:
            continue
        logits = compute(block.images)
        probs.append(torch.softmax(logits.double() / temperature, dim=1).cpu().numpy())
        read.extend(block.indices.tolist())
    order = np.argsort(read)
    return Predicted(
        classes, [named[read[i]] for i in order], np.concatenate(probs)[order], rejected
    )
