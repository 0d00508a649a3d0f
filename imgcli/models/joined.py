"""Features side by side: of several networks, `a+b`, and of a photo and its mirror image.

JoinedBackbone      of the same photo, by several networks
MirroredBackbone    of a photo and its mirror image, by one network
PoweredBackbone     with a power of each
networks_of         the networks that such a backbone is made of
single_backbones    the same, and on mirror images, so that features are kept for each
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from imgcli.models.network import Backbone
from imgcli.records import Preprocess


class Member(NamedTuple):
    """A network of several: by itself, the photos it takes, and whether of that size only."""

    arch: str
    backbone: Backbone
    fixed_size: bool


class FromShared(nn.Module):
    """Images as they are prepared for all, prepared for one network: its size, mean and deviation.

    Args:
        size: height and width in pixels; None leaves them as they are.
    """

    factor: Tensor  # (C, 1, 1)
    offset: Tensor

    def __init__(self, shared: Preprocess, own: Preprocess, size: int | None) -> None:
        super().__init__()
        self.size, self.interpolation, self.own = size, own.interpolation, own
        mean, std, own_mean, own_std = (
            torch.tensor(values[: own.channels])[:, None, None]
            for values in (shared.mean, shared.std, own.mean, own.std)
        )
        self.register_buffer("factor", std / own_std, persistent=False)
        self.register_buffer("offset", (mean - own_mean) / own_std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        images = images * self.factor + self.offset
        if self.size is None:
            return images
        size = (self.size, self.size)
        # In float32 under autocast too: CPUs have no antialiased resize in bf16.
        return functional.interpolate(
            images.float(), size, mode=self.interpolation, antialias=True
        ).to(images.dtype)

    def extra_repr(self) -> str:
        resized = f", size={self.size}, {self.interpolation}" if self.size else ""
        return f"mean={self.own.mean}, std={self.own.std}{resized}"


class Mirror(nn.Module):
    """Images with left and right exchanged."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flip(-1)


class MirroredBackbone(nn.Module):
    """Images `(N, C, S, S)` → their features and those of their mirror images, `(N, 2 D)`.

    Kept apart, they still tell left from right; their mean would not.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.module(images).float(), self.module(images.flip(-1)).float()], dim=1)


class JoinedBackbone(nn.Module):
    """Images `(N, C, S, S)` → the features of all members, joined, `(N, D1 + D2 + …)`."""

    def __init__(self, archs: Sequence[str], members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.archs = tuple(archs)
        self.members = nn.ModuleList(members)

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([member(images).float() for member in self.members], dim=1)


class PoweredBackbone(nn.Module):
    """Features x of a backbone, or of several → sign(x) · |x|ᵖ.

    A power below 1 draws in the long tails that features of unusual photos have, which else decide
    a linear head (Perronnin, Sánchez & Mensink, Improving the Fisher Kernel, 2010, for p = 0.5).
    """

    def __init__(self, module: nn.Module, power: float) -> None:
        super().__init__()
        self.module, self.power = module, power

    def forward(self, images: Tensor) -> Tensor:
        return signed_power(self.module(images).float(), self.power)

    def extra_repr(self) -> str:
        return f"power={self.power:g}"


def signed_power(features: Tensor, power: float) -> Tensor:
    """Sign(x) · |x|ᵖ of each feature."""
    return features.sign() * features.abs().pow(power)


def join(members: Sequence[Member], image_size: int | None) -> Backbone:
    """One backbone of several networks, which see the same photo.

    It is prepared as for the network with the largest photos, or at `image_size` pixels. Networks
    of one size only get it resized to theirs.
    """
    largest = max(members, key=lambda member: member.backbone.preprocess.size)
    shared = largest.backbone.preprocess
    shared = replace(shared, size=image_size or shared.size)
    modules = []
    for _, (module, _, own), fixed in members:
        size = own.size if fixed and own.size != shared.size else None
        same = size is None and (own.mean, own.std) == (shared.mean, shared.std)
        modules.append(module if same else nn.Sequential(FromShared(shared, own, size), module))
    return Backbone(JoinedBackbone([member.arch for member in members], modules), [], shared)


def mirrored(backbone: nn.Module) -> nn.Module:
    """The backbone, or each of those it is joined of, with the features of mirror images."""
    if isinstance(backbone, JoinedBackbone):
        return JoinedBackbone(backbone.archs, [MirroredBackbone(one) for one in backbone.members])
    return MirroredBackbone(backbone)


def networks_of(backbone: nn.Module) -> list[nn.Module]:
    """The networks that a backbone is made of, whatever becomes of their features."""
    if isinstance(backbone, PoweredBackbone | MirroredBackbone):
        return networks_of(backbone.module)
    if isinstance(backbone, JoinedBackbone):
        return [one for member in backbone.members for one in networks_of(member)]
    return [backbone]


def power_of(backbone: nn.Module) -> float:
    """The power that a backbone takes of its features."""
    return backbone.power if isinstance(backbone, PoweredBackbone) else 1.0


def single_backbones(arch: str, backbone: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The networks whose features, side by side, are the backbone's, each with its arch.

    The backbone's are a power of them, `power_of`.
    """
    if isinstance(backbone, PoweredBackbone):
        yield from single_backbones(arch, backbone.module)
    elif isinstance(backbone, JoinedBackbone):
        for name, member in zip(backbone.archs, backbone.members, strict=True):
            yield from single_backbones(name, member)
    elif isinstance(backbone, MirroredBackbone):
        yield arch, backbone.module
        yield arch, nn.Sequential(Mirror(), backbone.module)
    else:
        yield arch, backbone
