"""Layers that torch has not: noise, residual groups, whitened patches; and initial weights."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from imgcli.errors import ModelError


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


# --- initialisation -------------------------------------------------------------------------------

# Glorot and Bengio (Understanding the difficulty of training deep feedforward networks, 2010) with
# gain 1; He et al. (Delving Deep into Rectifiers, 2015) with the gain of relu, by fan-in.
_DRAWN: dict[str, Callable[[Tensor], Tensor]] = {
    "xavier-normal": nn.init.xavier_normal_,
    "xavier-uniform": nn.init.xavier_uniform_,
    "kaiming-normal": partial(nn.init.kaiming_normal_, nonlinearity="relu"),
    "kaiming-uniform": partial(nn.init.kaiming_uniform_, nonlinearity="relu"),
}
INITS = ("default", *_DRAWN, "identity")


def initialise(module: nn.Module, init: str) -> None:
    """Draw the weights of all convolutions and dense layers again, in place, by torch's generator.

    Whitening filters are found in photos and are not touched, nor are batch norms.

    Args:
        init: one of INITS. "default" leaves what the layers drew when they were made.

    Raises:
        ModelError: "identity", of a network that has no convolution to make one of.
    """
    if init in _DRAWN:
        for layer in module.modules():
            if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Linear):
                _DRAWN[init](layer.weight)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
    if init == "identity" and not _pass_on(module):
        raise ModelError(
            "--init identity is for convolutions of stride 1 with an odd kernel of 3 or more, and "
            "the network has none. Use another --init."
        )


@torch.no_grad()
def _pass_on(module: nn.Module) -> int:
    """Let the first filters of convolutions hand on their input; how many convolutions could.

    As many filters as there are input channels; the rest are left unchanged (Jordan, 94 % on
    CIFAR-10 in 3.29 Seconds on a Single GPU, 2024).
    """
    layers = [m for m in module.modules() if isinstance(m, nn.Conv2d) and _can_pass_on(m)]
    for layer in layers:
        for filters in layer.weight.chunk(layer.groups):
            nn.init.dirac_(filters[: filters.shape[1]])
    return len(layers)


def _can_pass_on(layer: nn.Conv2d) -> bool:
    return set(layer.stride) == {1} and all(k >= 3 and k % 2 for k in layer.kernel_size)
