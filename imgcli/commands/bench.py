"""Measure this machine, and estimate how long cross-validation takes on it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgcli.commands.folders import default_folder
from imgcli.commands.results import Result
from imgcli.config import TrainConfig, check_device
from imgcli.errors import DataError, WrongUsage
from imgcli.text import duration, time_range

if TYPE_CHECKING:
    from imgcli.training.benchmark import Speeds


@dataclass(frozen=True, eq=False, repr=False)
class BenchResult(Result):
    """Photos per second of each stage, and the seconds that all folds take."""

    speeds: "Speeds"
    folds: int
    seconds: Mapping[str, float]  # by stage, with their "total"
    expected: tuple[float, float]  # seconds, from and to, of `evaluate` with these folds

    def to_json(self) -> dict[str, Any]:
        return {
            **self.speeds.to_json(),
            "folds": self.folds,
            "seconds": dict(self.seconds),
            "expected": list(self.expected),
        }

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "arch", f"{self.speeds.arch} on {self.speeds.device}, {self.speeds.precision}"
        yield "photos", f"{self.speeds.photos:,}"
        for stage, seconds in self.seconds.items():
            yield stage, duration(seconds)
        yield "expected", time_range(*self.expected)


def bench(
    photos: str | Path | None = None,
    *,
    arch: str = "resnet101",
    freeze: bool = True,
    folds: int = 10,
    image_size: int | None = None,
    epochs: int | None = None,
    device: str = "auto",
) -> BenchResult:
    """Measure decoding, feature extraction and training here; nothing is stored.

    Args:
        photos: a folder of photos; by default raw/, or else dataset/.
        freeze: measure a new head on a frozen backbone, or the training of all weights.
        folds: of the cross-validation to estimate.
        image_size: pixels of a side; by default the arch's own.
        epochs: without freeze; by default as for `train`.

    Raises:
        ImgcliError: what the command line would say.
    """
    if folds < 2:
        raise WrongUsage(f"--folds {folds} is too few; use at least 2.")
    if freeze and epochs is not None:
        raise WrongUsage("--epochs goes with --no-freeze: a frozen backbone sees photos once.")
    folder = Path(photos) if photos else default_folder("imgcli bench PHOTOS")

    from imgcli.photos.layout import new_photos

    check_device(device)
    if not new_photos(folder).names:
        raise DataError(f"'{folder}' holds no photo. Name a folder of photos: imgcli bench PHOTOS")

    from imgcli.training.benchmark import measure_speeds

    config = TrainConfig.of(arch=arch, freeze=freeze, image_size=image_size, epochs=epochs)
    speeds = measure_speeds(config, folder, device)
    seconds = speeds.seconds(folds)
    total = {"total": sum(seconds.values())}
    return BenchResult(speeds, folds, {**seconds, **total}, speeds.expected(folds))
