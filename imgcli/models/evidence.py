"""Where in an image the evidence for a direction of the features is, such as a row of the head.

    evidence of a cell = sum over channels of gradient · activation, on the last feature map

A backbone that ends in mean pooling makes this the class activation map of Zhou et al. (Learning
Deep Features for Discriminative Localization, 2016), and it is exact: the cells add up to the
logit, less the bias. So they do after max pooling, and for a head on pixels. Where more than
pooling lies between the map and the head, as in transformers and before dense layers, it is the
gradient's linear share (compare Selvaraju et al., Grad-CAM, 2017), and `exact` is False.

Evidence is what the network uses, not what is in the photo: neighbouring cells share what they see.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from imgcli.models.joined import power_of, single_backbones

EXACT = "class activation map"
LINEAR = "gradient × activation"
POWERED = "class activation map, each feature's power shared by activation"

_TOLERANCE = 1e-3  # of the sizes that are added up; rounding of float32 sums is some 1e-6
_PREFIXES = (0, 1, 2, 5)  # tokens before those of the image: class, distillation, four registers
_IMAGES = ("", 0)  # in place of a layer, where none has a map: the images themselves


@dataclass(frozen=True, eq=False)
class Evidence:
    """The evidence of one network, of those that a backbone is joined of."""

    arch: str
    maps: Tensor  # (Q, N, h, w) float32 on the CPU, per direction and image; cells add up to it
    totals: Tensor  # (Q, N) what this network's features give in all: the exact contribution
    method: str
    exact: bool  # whether the cells of every map add up to its total


class _Layer(NamedTuple):
    """An output in the course of a forward pass: of which module, and of its which call."""

    name: str
    call: int


class _Layout(NamedTuple):
    """How a tensor holds a map of h × w cells."""

    kind: str  # "NCHW", "NHWC" or "tokens"
    side: int
    prefix: int = 0  # tokens that are no cells

    def cells(self, values: Tensor) -> Tensor:
        """The sum over channels, `(N, h, w)`."""
        if self.kind == "NCHW":
            return values.sum(1)
        if self.kind == "NHWC":
            return values.sum(-1)
        return values[:, self.prefix :].sum(-1).view(-1, self.side, self.side)


class EvidenceMaps:
    """Maps of one backbone, whose layers are looked for once.

    Args:
        backbone: in eval mode, from images `(N, C, S, S)` to features `(N, D)`; it may be joined,
            mirrored, and of a power.
        sample: two images or more, on the device.
    """

    def __init__(self, arch: str, backbone: nn.Module, sample: Tensor) -> None:
        self._power = power_of(backbone)
        self._networks = list(single_backbones(arch, backbone))
        with _frozen(backbone):
            self._layers = [_last_map(module, sample[:2]) for _, module in self._networks]

    def __call__(
        self, images: Tensor, directions: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, list[Evidence]]:
        """The features of images, and the evidence for directions that follow from them.

        Args:
            directions: makes `(Q, N, D)` of the features `(N, D)`: the rows of the head, one per
                image, or differences of rows.

        Returns:
            The features `(N, D)`, and one `Evidence` per network; mirror images are turned back.
        """
        with _frozen(*(module for _, module in self._networks)):
            passes = [
                _up_to_map(module, images, layer)
                for (_, module), layer in zip(self._networks, self._layers, strict=True)
            ]
        raw = torch.cat([features.detach() for _, features in passes], dim=1)
        powered = raw if self._power == 1 else raw.sign() * raw.abs().pow(self._power)
        wanted = directions(powered)  # (Q, N, D)
        per_raw = wanted if self._power == 1 else wanted * _shares(raw, powered)
        found, start = [], 0
        for (arch, module), (cells, features) in zip(self._networks, passes, strict=True):
            own = slice(start, start + features.shape[1])
            start = own.stop
            totals = (wanted[..., own] * powered[:, own]).sum(-1).cpu()
            maps = torch.stack([_evidence(cells, features, one) for one in per_raw[..., own]])
            if _is_mirrored(module):
                maps = maps.flip(-1)
            sizes = maps.abs().sum((-2, -1)) + totals.abs()
            exact = bool(((maps.sum((-2, -1)) - totals).abs() <= _TOLERANCE * sizes).all())
            by_power = POWERED if exact and self._power != 1 else EXACT
            found.append(Evidence(arch, maps, totals, by_power if exact else LINEAR, exact))
        return powered, found


def joined_map(evidence: Sequence[Evidence], side: int) -> Tensor:
    """The evidence of all networks as one map `(Q, N, side, side)`; its cells add up to theirs.

    Each network's map is brought to the size of the photo, and holds there what it held before.
    """
    total = torch.zeros(())
    for one in evidence:
        flat = one.maps.flatten(0, 1)[:, None]
        large = nn.functional.interpolate(flat, (side, side), mode="bilinear")
        large = large.view(*one.maps.shape[:2], side, side)
        cells = one.maps.shape[-1] * one.maps.shape[-2]
        large = large * cells / side**2
        # Bilinear weights favour the inner cells; what that takes or adds is spread over all.
        missing = one.maps.sum((-2, -1)) - large.sum((-2, -1))
        total = total + large + missing[..., None, None] / side**2
    return total


# --- one network ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Cells:
    """The last feature map of a forward pass, with the graph from there to the features."""

    tensor: Tensor
    layout: _Layout


def _last_map(module: nn.Module, sample: Tensor) -> _Layer:
    """The last output that is a map and that the features depend on, cell by cell."""
    found: list[tuple[_Layer, Tensor]] = []

    def keep(layer: _Layer, out: Tensor) -> Tensor:
        found.append((layer, out))
        return out

    images = sample.detach().clone().requires_grad_()
    with torch.enable_grad(), _watched(module, keep):
        features = module(images)
    size = features.shape[1]
    maps = [
        (layer, out, layout)
        for layer, out in found
        if out.requires_grad
        and (layout := _layout_of(out, len(sample), size, module))
        # Else queries, keys and values side by side, or the inside of an MLP.
        and (layout.kind != "tokens" or out.shape[-1] == size)
    ]
    if not maps:
        return _Layer(*_IMAGES)
    # Of no sum of all: layer norm makes that the same for every photo.
    direction = torch.linspace(-1, 1, size, device=features.device).square()
    grads = torch.autograd.grad(
        (features * direction).sum(), [out for _, out, _ in maps], allow_unused=True
    )
    for (layer, _, layout), grad in zip(reversed(maps), reversed(grads), strict=True):
        if grad is not None and layout.cells(grad.abs()).any():  # a class token alone leaves none
            return layer
    return _Layer(*_IMAGES)


def _up_to_map(module: nn.Module, images: Tensor, wanted: _Layer) -> tuple[_Cells, Tensor]:
    """A forward pass that keeps the graph from the wanted map on, and none before."""
    kept: list[Tensor] = []

    def cut(layer: _Layer, out: Tensor) -> Tensor:
        if layer != wanted:
            return out
        kept.append(out.detach().float().requires_grad_())
        return kept[0].to(out.dtype, copy=True)  # what follows may change it in place

    with torch.enable_grad(), _watched(module, cut), _fixed_scales(module):
        features = module(cut(_Layer(*_IMAGES), images)).float()
    layout = _layout_of(kept[0], len(images), features.shape[1], module)
    return _Cells(kept[0], layout or _Layout("NCHW", images.shape[-1])), features


def _evidence(cells: _Cells, features: Tensor, direction: Tensor) -> Tensor:
    """Gradient · activation of one direction `(N, D)` per image: `(N, h, w)` on the CPU."""
    (grad,) = torch.autograd.grad((features * direction).sum(), cells.tensor, retain_graph=True)
    return cells.layout.cells(grad * cells.tensor.detach()).float().cpu()


def _layout_of(out: Tensor, n: int, features: int, module: nn.Module) -> _Layout | None:
    """How an output holds a map; None if it holds none. Images are square, so maps are."""
    shape = out.shape
    if shape[0] != n:  # windows of images
        return None
    if out.ndim == 4 and shape[2] == shape[3] > 1:
        return _Layout("NCHW", shape[3])
    if out.ndim == 4 and shape[1] == shape[2] > 1:
        return _Layout("NHWC", shape[1])
    if out.ndim == 3:
        known = getattr(_named(module), "num_prefix_tokens", None)
        for prefix in _PREFIXES if known is None else (known,):
            side = math.isqrt(max(0, shape[1] - prefix))
            if side > 1 and side * side == shape[1] - prefix:
                return _Layout("tokens", side, prefix)
    return None


def _named(module: nn.Module) -> nn.Module:
    """The network itself, where something prepares its images."""
    return module[-1] if isinstance(module, nn.Sequential) and len(module) == 2 else module


def _is_mirrored(module: nn.Module) -> bool:
    from imgcli.models.joined import Mirror

    return isinstance(module, nn.Sequential) and len(module) > 0 and isinstance(module[0], Mirror)


def _shares(raw: Tensor, powered: Tensor) -> Tensor:
    """What a unit of each feature is worth when its power is shared among its cells, `(N, D)`."""
    return torch.where(raw == 0, 0.0, powered / torch.where(raw == 0, 1.0, raw))


# --- forward passes ------------------------------------------------------------------------------


@contextmanager
def _watched(module: nn.Module, see: Callable[[_Layer, Tensor], Tensor]) -> Iterator[None]:
    """Show `see` every output that is one tensor, with its place; what it returns goes on."""
    calls: Counter[str] = Counter()

    def hook_of(name: str) -> Callable[..., Tensor | None]:
        def hook(_: nn.Module, __: Any, out: Any) -> Tensor | None:
            if not isinstance(out, Tensor):
                return None
            calls[name] += 1
            return see(_Layer(name, calls[name]), out)

        return hook

    with ExitStack() as hooks:
        for name, layer in module.named_modules():
            if name:
                hooks.enter_context(layer.register_forward_hook(hook_of(name)))
        yield


@contextmanager
def _fixed_scales(module: nn.Module) -> Iterator[None]:
    """Layer norms whose gradient takes the deviation they divide by for a constant.

    Otherwise the evidence of all cells cancels out: a map twice as strong gives the same features
    (Ali et al., XAI for Transformers: Better Explanations through Conservative Propagation, 2022).
    """

    def hook(norm: nn.Module, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor | None:
        assert isinstance(norm, nn.LayerNorm)
        values = inputs[0]
        if not values.requires_grad or len(norm.normalized_shape) != 1:
            return None
        channels = 1 if type(norm).__name__.endswith("2d") else -1
        centred = values - values.mean(channels, keepdim=True)
        scale = (centred.square().mean(channels, keepdim=True) + norm.eps).rsqrt().detach()
        shape = [-1 if i == channels % values.ndim else 1 for i in range(values.ndim)]
        made = centred * scale
        if norm.weight is not None:
            made = made * norm.weight.reshape(shape)
        if norm.bias is not None:
            made = made + norm.bias.reshape(shape)
        return made if torch.allclose(made, out, rtol=1e-2, atol=1e-3) else None

    with ExitStack() as hooks:
        for layer in module.modules():
            if isinstance(layer, nn.LayerNorm):
                hooks.enter_context(layer.register_forward_hook(hook))
        yield


@contextmanager
def _frozen(*modules: nn.Module) -> Iterator[None]:
    """Without gradients of parameters, so that no graph is kept before a map."""
    wanted = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in wanted:
            parameter.requires_grad_(True)
