"""Runs as one module that other programs run: views in, probabilities out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from imgcli.export.view import Geometry, View, geometry
from imgcli.models.averaged_views import mean_over_views
from imgcli.models.joined import FromShared
from imgcli.models.network import Network
from imgcli.records import Preprocess, SampleRange
from imgcli.training.augment import LUMA


@dataclass(frozen=True, eq=False)
class Exported:
    """What is exported: networks whose probabilities are averaged, and how photos reach them."""

    networks: tuple[Network, ...]
    temperatures: tuple[float, ...]  # that their logits are divided by
    classes: tuple[str, ...]  # (K,)

    @property
    def geometries(self) -> list[Geometry]:
        """The different views of the networks."""
        return list(dict.fromkeys(geometry(one.preprocess) for one in self.networks))

    @property
    def least_side(self) -> int:
        """Pixels of a decoded JPEG's short side that are enough for all views."""
        return max(one.least_side for one in self.geometries)

    @property
    def sample_range(self) -> SampleRange | None:
        """The range of samples of photos of more than 8 bits, which the networks share."""
        return self.networks[0].preprocess.sample_range

    def example(self) -> list[Tensor]:
        """Two black views of each geometry, to trace with."""
        return [torch.zeros(2, 3, one.size, one.size) for one in self.geometries]

    def probabilities(self, precision: str = "fp32") -> "Probabilities":
        """The networks as one module, in eval mode; it takes a view of each geometry."""
        views = self.geometries
        members = [
            Member(network, temperature, views.index(geometry(network.preprocess)), precision)
            for network, temperature in zip(self.networks, self.temperatures, strict=True)
        ]
        return Probabilities(members).eval()


class Member(nn.Module):
    """A view `(N, 3, S, S)` of 0 to 255 → the probabilities of one network `(N, K)`."""

    mean: Tensor
    std: Tensor
    luma: Tensor

    def __init__(self, network: Network, temperature: float, view: int, precision: str) -> None:
        super().__init__()
        preprocess = network.preprocess
        self.view, self.temperature = view, temperature
        self.in_half, self.views = precision == "fp16", preprocess.test_views
        self.grey = preprocess.channels == 1
        for name, values in _normalisation(preprocess).items():
            self.register_buffer(name, values, persistent=False)
        self.backbone = with_fixed_sizes(network.classifier.backbone, preprocess.size)
        self.head = network.classifier.head
        if self.in_half:
            self.backbone = self.backbone.half()

    def forward(self, view: Tensor) -> Tensor:
        images = (view * self.luma).sum(1, keepdim=True) if self.grey else view
        images = (images - self.mean) / self.std
        logits = mean_over_views(self._logits, images, self.views)
        return torch.softmax(logits / self.temperature, dim=1)

    def _logits(self, images: Tensor) -> Tensor:
        features = self.backbone(images.half() if self.in_half else images).float()
        logits: Tensor = self.head(features)
        return logits


class Probabilities(nn.Module):
    """Views, one of each geometry → the mean of the members' probabilities `(N, K)`."""

    def __init__(self, members: Sequence[Member]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.view_of = [member.view for member in members]

    def forward(self, views: list[Tensor]) -> Tensor:
        each = [
            member(views[view]) for member, view in zip(self.members, self.view_of, strict=True)
        ]
        return each[0] if len(each) == 1 else torch.stack(each).mean(0)


class FromPixels(nn.Module):
    """Pixels `(N, H, W, 3)` uint8 → probabilities `(N, K)`."""

    def __init__(self, views: Sequence[View], probabilities: nn.Module) -> None:
        super().__init__()
        self.views = nn.ModuleList(views)
        self.probabilities = probabilities

    def forward(self, images: Tensor) -> Tensor:
        seen: list[Tensor] = []
        for view in self.views:
            seen.append(view(images))
        probs: Tensor = self.probabilities(seen)
        return probs


def _normalisation(preprocess: Preprocess) -> dict[str, Tensor]:
    channels = preprocess.channels
    values = {"mean": preprocess.mean[:channels], "std": preprocess.std[:channels]}
    scaled = {name: 255 * torch.tensor(value)[:, None, None] for name, value in values.items()}
    return {**scaled, "luma": torch.tensor(LUMA)[:, None, None]}


class FixedResize(nn.Module):
    """`FromShared` from one size as two products: no format has to know an antialiased resize."""

    factor: Tensor
    offset: Tensor
    rows: Tensor  # (own size, shared size)

    def __init__(self, shared: FromShared, size: int) -> None:
        super().__init__()
        assert shared.size is not None
        self.register_buffer("factor", shared.factor, persistent=False)
        self.register_buffer("offset", shared.offset, persistent=False)
        columns = functional.interpolate(
            torch.eye(size)[None, None],
            (size, shared.size),
            mode=shared.interpolation,
            antialias=True,
        )
        self.register_buffer("rows", columns[0, 0].t().contiguous(), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        images = images * self.factor + self.offset
        return torch.matmul(torch.matmul(self.rows, images), self.rows.t())


def with_fixed_sizes(backbone: nn.Module, size: int) -> nn.Module:
    """A backbone whose resizes between networks are products with matrices, in place.

    Args:
        size: of its images, height and width.
    """
    for module in list(backbone.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, FromShared) and child.size is not None:
                setattr(module, name, FixedResize(child, size))
    return backbone
