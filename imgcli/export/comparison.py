"""How an exported file compares with imgcli: on probabilities, and on accuracy."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from imgcli.errors import DataError
from imgcli.evaluation.compare import compare
from imgcli.export import gate, held_out
from imgcli.export.classifier import Exported
from imgcli.export.gate import Gate, Predict
from imgcli.export.held_out import HeldOut
from imgcli.export.plain_photos import plain_photo
from imgcli.locations import Location
from imgcli.photos.dataset import Dataset
from imgcli.progress import track
from imgcli.records import FloatArray, IntArray, NewPhotos
from imgcli.runs import Run
from imgcli.text import count
from imgcli.training.device import choose_device
from imgcli.training.precision import usable_precision
from imgcli.training.predict import predict_photos


@dataclass(frozen=True, eq=False)
class Comparison:
    """A written file beside what it was written of."""

    runs: list[Run]
    temperatures: list[float]
    exported: Exported
    dataset: Dataset
    predict: Predict

    def gate(self, *, strict: bool) -> tuple[Gate, list[str]]:
        """The comparison of probabilities, and notes on it.

        Args:
            strict: refuse a file whose probabilities are not imgcli's.

        Raises:
            DataError: no photo can be read.
            ModelError: as of `gate.compare`.
        """
        photos = held_out.for_parity(self.dataset, gate.LEAST)
        kept, ours, theirs = self._both(photos, "fp32")
        if len(kept) == 0:
            raise DataError(
                f"No photo of '{self.dataset.samples.root}' can be read, so the exported file "
                "cannot be compared with imgcli. Name the dataset: --data DIR"
            )
        files = [photos.files[row] for row in kept]
        samples = self.dataset.samples
        names = [f"{samples.root}/{samples.paths[row]}" for row in photos.rows[kept]]
        found = gate.compare(ours, theirs, names, photos.part, strict=strict)
        notes = []
        if photos.part == "train":
            notes.append(
                "The dataset has no held-out photos: the file was compared on training photos."
            )
        if strict and (note := self._of_own_precision(files, theirs)):
            notes.append(note)
        return found, notes

    def accuracy_lost(self, why: str) -> dict[str, Any] | None:
        """The accuracy of imgcli minus the file's, on the same held-out photos, with its interval.

        Args:
            why: for the ledger, where the photos are of the test part.
        """
        photos = held_out.for_accuracy(self.dataset)
        if photos is None:
            return None
        held_out.enter(self.runs, photos, why)
        kept, ours, theirs = self._both(photos, "fp32")
        both = {
            name: held_out.as_predictions(photos, kept, self.exported.classes, probs)
            for name, probs in (("imgcli", ours), ("exported", theirs))
        }
        (pair,) = compare(both, figures=("accuracy",))
        found = pair.differences["accuracy"]
        sign = 1 if pair.runs[0] == "imgcli" else -1
        low, high = sorted(sign * edge for edge in found.ci95)
        accuracies = {name: float((p.preds == p.targets).mean()) for name, p in both.items()}
        return {
            "on": photos.part,
            "n": len(kept),
            **accuracies,
            "lost": sign * found.value,
            "ci95": [low, high],
            "p_value": found.p_value,
        }

    def _both(self, photos: HeldOut, precision: str) -> tuple[IntArray, FloatArray, FloatArray]:
        """Which of the photos can be read, and their probabilities by imgcli and by the file."""

        files = photos.files
        predicted = self._by_imgcli(files, precision)
        assert predicted.rows is not None
        kept, theirs = [], []
        for i, row in enumerate(track(predicted.rows.tolist(), "Checking", unit="photos")):
            pixels = plain_photo(files[row], self.exported.least_side, self.exported.sample_range)
            if pixels is not None:
                kept.append(i)
                theirs.append(self.predict(pixels[None])[0].astype(np.float64))
        none = np.empty((0, len(self.exported.classes)))
        found = np.stack(theirs) if theirs else none
        return predicted.rows[kept], predicted.probs[kept], found

    def _by_imgcli(self, files: list[Location], precision: str | None) -> Any:
        names = tuple(map(str, files))
        named = NewPhotos(names, names, lambda: files)
        return predict_photos(self.runs, named, "cpu", self.temperatures, precision)

    def _of_own_precision(self, files: list[Location], theirs: FloatArray) -> str | None:
        """How far `imgcli predict` is from the file where it computes in bf16 here."""

        device = choose_device("cpu")
        stored = {str(one.read_json("model.json").get("precision")) for one in self.runs}
        if {usable_precision(one, device) for one in stored} <= {"fp32"}:
            return None
        predicted = self._by_imgcli(files, None)
        differ = float(np.abs(predicted.probs - theirs).max())
        other = int((predicted.probs.argmax(1) != theirs.argmax(1)).sum())
        return (
            "imgcli predict computes this run in bf16 on this processor, the file in fp32: their "
            f"probabilities differ by up to {differ:.2g}, and the predicted class for {other:,} of "
            f"{count(len(files), 'photo')}."
        )
