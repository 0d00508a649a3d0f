"""Layers that torch has not: noise, residual groups, whitened patches."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class GaussianNoise(nn.Module):
    """Add noise of standard deviation `std` to the values, in training only."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, values: Tensor) -> Tensor:
        return values + self.std * torch.randn_like(values) if self.training else values

    def extra_repr(self) -> str:
        return f"std={self.std}"


class Residual(nn.Module):
    """`body(x) + skip(x)` (He et al., Deep Residual Learning for Image Recognition, 2016)."""

    def __init__(self, body: nn.Module, skip: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.skip = skip

    def forward(self, values: Tensor) -> Tensor:
        out: Tensor = self.body(values) + self.skip(values)
        return out


class Whitening(nn.Module):
    """Patches `(C, k, k)` of images as `2 C k²` uncorrelated values of variance 1, in both signs.

    The filters are the eigenvectors of the patches' covariance over the square roots of their
    eigenvalues (Page, How to Train Your ResNet 8; Jordan, 94 % on CIFAR-10 in 3.29 Seconds, 2024).
    They are found once, by `fit`, and never trained; until then nothing but zeros comes out.
    """

    filters: Tensor  # (2 C k², C, k, k)

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        size = channels * kernel * kernel
        self.register_buffer("filters", torch.zeros(2 * size, channels, kernel, kernel))

    def forward(self, images: Tensor) -> Tensor:
        return functional.conv2d(images, self.filters)

    def fit(self, images: Tensor, floor: float = 5e-4) -> None:
        """Find the filters in images `(N, C, H, W)`.

        Args:
            floor: added to the variances, so that directions without any are not blown up.
        """
        kernel = self.filters.shape[-1]
        patches = functional.unfold(images.float(), kernel).transpose(1, 2).flatten(0, 1)
        variances, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
        whitening = (directions / (variances + floor).sqrt()).T.reshape(-1, *self.filters.shape[1:])
        self.filters.copy_(torch.cat([whitening, -whitening]))

    def extra_repr(self) -> str:
        return "{}, kernel_size={}".format(*self.filters.shape[1:3])
