"""A decoded photo of any size becomes a network's view, by the arithmetic of `imgcli.photos`.

    pixels (N, H, W, 3) uint8  →  view (N, 3, S, S) float32, whole numbers of 0 to 255

The photo is shrunk by whole numbers where it is large, then brought to its size by two products
with matrices: one for the rows, one for the columns, each rounded to 8 bits. That is how Pillow and
cykooz.resizer compute; an interpolation of torch or ONNX rounds once and differs in every fourth
pixel. Written here for TorchScript; `imgcli.export.onnx_view` builds the same in ONNX.
"""

import math
from dataclasses import dataclass

import PIL
import torch
from torch import Tensor, nn

from imgcli.photos import resize
from imgcli.photos.decode import needed
from imgcli.records import Preprocess

# cykooz.resizer keeps its weights as integers of 16 bits, with so many bits after the point.
MAX_BITS = 21
LARGEST_WEIGHT = 32767.5


@dataclass(frozen=True)
class Geometry:
    """How a view is cut and resized; runs of one geometry share it."""

    size: int  # S
    fit: str  # "squash", "crop" or "pad"
    short: int  # pixels that the short side is resized to, fit="crop" only
    cubic: bool
    vectorised: bool  # by cykooz.resizer: rows first, weights of 16 bits; else by Pillow
    rows_first: bool  # whether this Pillow takes rows first where the height shrinks much more
    least_side: int  # of the decoded photo; a JPEG may be decoded at a fraction that keeps it


def geometry(preprocess: Preprocess) -> Geometry:
    """The geometry of a preprocessing, as this installation computes it."""
    return Geometry(
        size=preprocess.size,
        fit=preprocess.fit,
        short=round(preprocess.size / preprocess.crop),
        cubic=preprocess.interpolation == "bicubic",
        vectorised=resize.BY == "simd" and preprocess.fit != "crop",
        rows_first=int(PIL.__version__.partition(".")[0]) >= 13,
        least_side=needed(preprocess),
    )


class View(nn.Module):
    """Pixels `(N, H, W, 3)` uint8 → the view `(N, 3, S, S)`, in code that TorchScript takes."""

    def __init__(self, geometry: Geometry) -> None:
        super().__init__()
        self.size = geometry.size
        self.short = geometry.short
        self.crop = geometry.fit == "crop"
        self.pad = geometry.fit == "pad"
        self.support = 2.0 if geometry.cubic else 1.0
        self.vectorised = geometry.vectorised
        self.rows_first = geometry.rows_first
        self.large = resize.LARGE
        self.margin = resize.MARGIN
        self.max_bits = float(MAX_BITS)
        self.largest_weight = LARGEST_WEIGHT

    def forward(self, pixels: Tensor) -> Tensor:
        values = pixels.permute(0, 3, 1, 2).float()
        height, width = values.size(2), values.size(3)
        top, bottom = self.edges(height, min(height, width))
        left, right = self.edges(width, min(height, width))
        out_height = self.length(height, max(height, width))
        out_width = self.length(width, max(height, width))
        if height * width > self.large:
            down = self.factor(bottom - top, out_height)
            across = self.factor(right - left, out_width)
            if down > 1 or across > 1:
                y0, y1 = self.seen(top, bottom, height, out_height)
                x0, x1 = self.seen(left, right, width, out_width)
                values = self.shrunk(values[:, :, y0:y1, x0:x1], down, across)
                if self.vectorised:  # of what is left, all
                    bottom, right = float(values.size(2)), float(values.size(3))
                else:
                    top, bottom = (top - y0) / down, (bottom - y0) / down
                    left, right = (left - x0) / across, (right - x0) / across
        height, width = values.size(2), values.size(3)
        rows = self.weights(height, top, bottom, out_height)
        columns = self.weights(width, left, right, out_width).t()
        taller = height > out_height and height - out_height > 2 * (width - out_width)
        if self.vectorised or (self.rows_first and taller):
            values = self.rounded(torch.matmul(rows, values))
            values = self.rounded(torch.matmul(values, columns))
        else:
            values = self.rounded(torch.matmul(values, columns))
            values = self.rounded(torch.matmul(rows, values))
        if self.pad:
            above, before = (self.size - out_height) // 2, (self.size - out_width) // 2
            below, after = self.size - out_height - above, self.size - out_width - before
            values = nn.functional.pad(values, [before, after, above, below])
        return values

    def edges(self, length: int, shortest: int) -> tuple[float, float]:
        """Where the box that is resized begins and ends along a side."""
        if not self.crop:
            return 0.0, float(length)
        resized = self.short * length // shortest
        start = self.half_even((resized - self.size) / 2)
        return start * length / resized, min((start + self.size) * length / resized, float(length))

    def length(self, length: int, longest: int) -> int:
        """What a side is resized to."""
        if not self.pad:
            return self.size
        return max(1, int(self.half_even(length * (self.size / longest))))

    def half_even(self, value: float) -> float:
        """Rounded as Python does."""
        return float(torch.round(torch.tensor(value, dtype=torch.float64)).item())

    def factor(self, length: float, out: int) -> int:
        """By how much a side of a large photo is shrunk first."""
        return max(1, int(length / out / self.margin))

    def seen(self, start: float, end: float, length: int, out: int) -> tuple[int, int]:
        """The pixels of a side that the filter sees of the box."""
        if not self.crop:
            return 0, length
        reach = (self.support - 0.5) * ((end - start) / out)
        return max(0, int(start - reach)), min(length, math.ceil(end + reach))

    def shrunk(self, values: Tensor, down: int, across: int) -> Tensor:
        """The means of blocks of pixels, rounded; at the edges, of those that are there."""
        n, c, height, width = values.size(0), values.size(1), values.size(2), values.size(3)
        below, after = (down - height % down) % down, (across - width % across) % across
        tall, wide = (height + below) // down, (width + after) // across
        sums = nn.functional.pad(values, [0, after, 0, below])
        sums = sums.reshape(n, c, tall, down, wide, across).sum(dim=5).sum(dim=3)
        tall_of = (height - torch.arange(tall) * down).clamp(max=down).float().to(values.device)
        wide_of = (width - torch.arange(wide) * across).clamp(max=across).float().to(values.device)
        count = tall_of[:, None] * wide_of[None, :]
        # Pillow multiplies by 1 / count in whole numbers, cut off, and so misses exact quotients.
        inexact = torch.remainder(torch.full_like(count, float(1 << 24)), count) > 0
        return torch.floor((sums + torch.floor(count / 2) - 0.5 * inexact) / count)

    def weights(self, length: int, start: float, end: float, out: int) -> Tensor:
        """The matrix `(out, length)` that resizes a side, or the box of it."""
        # Pillow keeps a box as numbers of 32 bits.
        edges = torch.tensor([start, end], dtype=torch.float32).double()
        scale = (edges[1] - edges[0]) / out
        stretch = scale.clamp(min=1.0)
        centre = edges[0] + (torch.arange(out, dtype=torch.float64) + 0.5) * scale
        reach = self.support * stretch
        first = torch.floor(centre - reach + 0.5)[:, None]
        last = torch.floor(centre + reach + 0.5)[:, None]
        position = torch.arange(length, dtype=torch.float64)[None, :]
        x = ((position - centre[:, None] + 0.5) / stretch).abs()
        if self.support == 2.0:
            near = (1.5 * x - 2.5) * x * x + 1
            far = (((x - 5) * x + 8) * x - 4) * -0.5
            weight = torch.where(x < 1, near, torch.where(x < 2, far, torch.zeros_like(x)))
        else:
            weight = (1 - x).clamp(min=0.0)
        weight = weight * ((position >= first) & (position < last))
        weight = weight / weight.sum(dim=1, keepdim=True)
        if self.vectorised:
            bits = torch.ceil(torch.log2(self.largest_weight / weight.max())) - 1
            unit = torch.pow(torch.tensor(2.0, dtype=torch.float64), bits.clamp(max=self.max_bits))
            weight = weight.sign() * torch.floor(weight.abs() * unit + 0.5) / unit
        return weight.float()

    def rounded(self, values: Tensor) -> Tensor:
        return torch.floor(values + 0.5).clamp(0.0, 255.0)
