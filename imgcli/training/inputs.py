"""What a network is trained on, by row: pixels, or the features of a frozen backbone.

Both give `train_batch(rows, generator)` for training and `batch(rows)` for evaluation, and say
which views of a photo evaluation averages over, so the training loop is the same for both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from imgcli.compute.team import Team
from imgcli.models.memory import Batches, is_out_of_memory
from imgcli.photos.views import Pixels, enlarged, load_pixels
from imgcli.progress import note
from imgcli.records import ONE_VIEW, AveragedViews, IntArray, Preprocess, Rejected, Samples
from imgcli.training.augment import Recipe, Share, augment, erase, luma, mirrored_in, to_planes
from imgcli.training.device import eval_batch, forward, to_device, upload

_RESIDENT = 0.5  # share of a GPU's free memory that photos may take
_UPLOAD = 4096  # photos put there at once
_CACHED = 2**18  # values of photos that a core's cache holds


class Inputs(Protocol):
    @property
    def views(self) -> AveragedViews: ...

    def readable(self) -> NDArray[np.bool_]: ...

    def batch(self, rows: IntArray) -> Tensor: ...

    def train_batch(
        self,
        rows: IntArray,
        generator: torch.Generator,
        some: IntArray | None = None,
        epoch: int = 1,
    ) -> Tensor: ...

    def make_room(self) -> bool: ...


@dataclass(eq=False)
class DevicePixels:
    """Stored photos `(N, S, S, 3)` uint8 on their way to a device, or there already."""

    pixels: Pixels
    device: torch.device
    resident: Tensor | None = None  # all rows, on a GPU that has room for them

    @classmethod
    def of(cls, pixels: Pixels, device: torch.device) -> Self:
        """Put all photos on a GPU with room for them; else they come batch by batch."""
        if device.type != "cuda":
            return cls(pixels, device)
        shape = (len(pixels.row), *pixels.store.shape)
        free, _ = torch.cuda.mem_get_info(device)
        if math.prod(shape) > _RESIDENT * free:
            return cls(pixels, device)
        try:
            return cls(pixels, device, _on_device(pixels, shape, device))
        except RuntimeError as error:  # another process was quicker to take the room
            if not is_out_of_memory(error):
                raise
            return cls(pixels, device)

    def gather(self, rows: IntArray) -> Tensor:
        """Some photos, `(B, S, S, 3)` uint8 on the device."""
        if self.resident is not None:
            return self.resident[to_device(rows, self.device)]
        return upload(self.pixels.gather(rows), self.device)

    def leave_device(self) -> bool:
        """Send the photos batch by batch from now on; whether they were on the device."""
        was_resident, self.resident = self.resident is not None, None
        return was_resident


def _on_device(pixels: Pixels, shape: tuple[int, ...], device: torch.device) -> Tensor:
    """All photos `(N, S, S, 3)`, zeros for those that cannot be read."""
    resident = torch.zeros(shape, dtype=torch.uint8, device=device)
    for rows in in_batches(np.flatnonzero(pixels.readable), _UPLOAD):
        resident[to_device(rows, device)] = upload(pixels.gather(rows), device)
    return resident


@dataclass(frozen=True, eq=False)
class PixelInputs:
    """Photos as images `(B, C, S, S)`, normalised, augmented for training.

    Everything after the gathering is done for the whole batch on the device.
    """

    own: DevicePixels  # as the network sees them
    source: DevicePixels  # what augmentation cuts from: the same, or larger
    preprocess: Preprocess
    recipe: Recipe

    @classmethod
    def of(
        cls, loaded: Sequence[Pixels], preprocess: Preprocess, recipe: Recipe, device: torch.device
    ) -> Self:
        """Of the pixels of `views_of`; what training reads in every epoch gets its room first."""
        own, source = loaded[0], DevicePixels.of(loaded[-1], device)
        seen = source if own is loaded[-1] else DevicePixels.of(own, device)
        return cls(seen, source, preprocess, recipe)

    @property
    def views(self) -> AveragedViews:
        return self.preprocess.test_views

    def readable(self) -> NDArray[np.bool_]:
        return self.own.pixels.readable

    def make_room(self) -> bool:
        """Take the photos off the device, those that evaluation alone reads first."""
        left = self.own.leave_device() if self.own is not self.source else False
        left = left or self.source.leave_device()
        if left:
            note("Out of memory: photos now come to the GPU batch by batch.")
        return left

    def batch(self, rows: IntArray) -> Tensor:
        return to_images(self.own.gather(rows), self.preprocess)

    def train_batch(
        self,
        rows: IntArray,
        generator: torch.Generator,
        some: IntArray | None = None,
        epoch: int = 1,
    ) -> Tensor:
        """A batch, augmented; of the photos at the positions `some` alone, where they are given."""
        if some is not None and self.recipe.random is not None:
            whole = self.train_batch(rows, generator, epoch=epoch)
            return whole[to_device(some, self.source.device)]
        share = None if some is None else Share(len(rows), some)
        own = rows if some is None else rows[some]
        pixels, mirrored = self.source.gather(own), mirrored_in(epoch, own)
        images = augment(pixels, self.recipe, self.preprocess.size, generator, share, mirrored)
        images = normalise(images, self.preprocess)
        return erase(images, self.recipe.erase, generator, share) if self.recipe.erase else images


@dataclass(frozen=True, eq=False)
class FeatureInputs:
    """Features `(B, D)` of a frozen backbone, standardised by some rows' mean and deviation."""

    features: Tensor  # (N, D) float32; a row of NaN where the photo cannot be read
    mean: Tensor | float = 0.0  # (D,)
    scale: Tensor | float = 1.0  # (D,)
    views: AveragedViews = ONE_VIEW  # the features are means over theirs already

    def standardised(self, rows: IntArray) -> Self:
        """The same features, standardised by `rows`."""
        train = self._of(rows)
        return type(self)(self.features, train.mean(0), train.std(0).clamp_min(1e-5))

    def readable(self) -> NDArray[np.bool_]:
        return np.asarray((~self.features[:, 0].isnan()).cpu().numpy())

    def make_room(self) -> bool:
        return False

    def batch(self, rows: IntArray) -> Tensor:
        return (self._of(rows) - self.mean) / self.scale

    def train_batch(
        self,
        rows: IntArray,
        generator: torch.Generator,
        some: IntArray | None = None,
        epoch: int = 1,
    ) -> Tensor:
        return self.batch(rows if some is None else rows[some])

    def _of(self, rows: IntArray) -> Tensor:
        return self.features[to_device(rows, self.features.device)]  # (B, D)


def pixel_inputs(
    samples: Samples, preprocess: Preprocess, recipe: Recipe, device: torch.device
) -> tuple[PixelInputs, list[Rejected]]:
    """Photos decoded once, larger as well where crops are cut; and those that cannot be read."""
    loaded = load_pixels(samples, views_of(preprocess, recipe))
    return PixelInputs.of(loaded, preprocess, recipe, device), loaded[0].rejected


def views_of(preprocess: Preprocess, recipe: Recipe) -> list[Preprocess]:
    """The views that a training needs: what the network sees, and what crops are cut from."""
    return [preprocess, enlarged(preprocess)] if recipe.crops else [preprocess]


def to_images(pixels: Tensor, preprocess: Preprocess) -> Tensor:
    """Pixels `(B, S, S, 3)` uint8 as a network wants them: `(B, C, S, S)`, as by `normalise`."""
    if preprocess.channels == 1:
        return normalise(to_planes(pixels), preprocess)
    n, height, width, _ = pixels.shape
    mean, std = _mean_and_std(preprocess, width, pixels.device)
    rows = pixels.reshape(n, height, width * 3)
    images = torch.empty(rows.shape, device=pixels.device)
    # On a CPU some photos at a time, which stay in the cache until they are done.
    at_once = max(1, _CACHED // rows[0].numel()) if pixels.device.type == "cpu" else n
    for start in range(0, n, at_once):
        some = slice(start, start + at_once)
        images[some].copy_(rows[some]).sub_(mean).div_(std)
    return images.view(n, height, width, 3).permute(0, 3, 1, 2)


def normalise(images: Tensor, preprocess: Preprocess) -> Tensor:
    """Bring images `(B, 3, S, S)`, values of 0 to 255, to a network's channels, mean and deviation.

    In place where the network sees colours and the images are channels last; what comes out is.
    """
    if preprocess.channels == 1:
        return luma(images).sub_(255 * preprocess.mean[0]).div_(255 * preprocess.std[0])
    n, _, height, width = images.shape
    mean, std = _mean_and_std(preprocess, width, images.device)
    rows = images.permute(0, 2, 3, 1).reshape(n * height, width * 3)
    rows.sub_(mean).div_(std)
    return rows.view(n, height, width, 3).permute(0, 3, 1, 2)


def _mean_and_std(
    preprocess: Preprocess, width: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Both for a row of pixels `(W · 3,)`: channel by channel it takes three times as long."""
    mean = to_device(torch.tensor(preprocess.mean), device).repeat(width)
    std = to_device(torch.tensor(preprocess.std), device).repeat(width)
    return 255 * mean, 255 * std


def in_batches(rows: IntArray, size: int) -> list[IntArray]:
    """Cut rows into batches of at most `size`, all of nearly one size."""
    return np.array_split(rows, -(-len(rows) // size)) if len(rows) else []


def logits_of(
    module: nn.Module, inputs: Inputs, rows: IntArray, precision: str, team: Team | None = None
) -> Tensor:
    """Logits `(M, K)` of some rows, in eval mode.

    Args:
        team: processes that have all called this with the same module and rows. Each takes whole
            batches, so that the logits are the same bits as of one process.
    """
    module.eval()
    compute = Batches(lambda some: forward(module, inputs.batch(some), precision, inputs.views))
    size = eval_batch(next(module.parameters()).device)
    if team is None:
        return torch.cat([compute(some) for some in in_batches(rows, size)])
    positions = in_batches(np.arange(len(rows)), size)[team.rank :: team.size]
    return team.joined(len(rows), [(some, compute(rows[some])) for some in positions])
