"""What a network is made of: its layers, their outputs, parameters and multiply-adds.

Nothing is computed: the network is built without memory for its weights, where that can be done,
and shown an image without pixels, so that networks of billions of parameters take seconds.
"""

import copy
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from imgcli.config import ModelConfig
from imgcli.errors import ModelError
from imgcli.models.create import create_network
from imgcli.models.layers import GaussianNoise, Whitening
from imgcli.models.memory import within_memory
from imgcli.models.network import Channels, Classifier, Network, count_params
from imgcli.models.variation import AS_IT_IS, Variation


@dataclass(frozen=True)
class Layer:
    """One layer of a network, or a part of it that has parameters of its own."""

    name: str
    kind: str  # what it is, with its settings, in a few words
    output: tuple[int, ...]  # of one image, without the batch
    params: int  # trainable ones, and running means and variances
    macs: int  # multiply-adds for one image


@dataclass(frozen=True)
class Description:
    """A network layer by layer; `layers` add up to the totals."""

    arch: str
    notation: str | None
    input: tuple[int, int, int]  # channels, height, width
    classes: int
    layers: tuple[Layer, ...]
    params: Mapping[str, int]  # trainable, non_trainable, total
    macs: int  # of convolutions and matrix products; biases, norms, activations, pooling are free


class Work(NamedTuple):
    """What a network computes for one image, by its shapes alone."""

    macs: int  # multiply-adds of convolutions and matrix products
    outputs: int  # values that the layers with multiply-adds give
    weights: int  # parameters
    depthwise: bool  # whether a convolution has a filter per channel


@within_memory("There is not enough memory for a network of that size. Use smaller layers.")
def describe(
    arch: str,
    classes: int,
    image_size: int | None = None,
    channels: Channels | None = None,
    variation: Variation = AS_IT_IS,
) -> Description:
    """Describe the network that `create_network` would build of the same choices.

    Raises:
        ModelError: it would build none.
    """
    model = ModelConfig(
        arch, image_size=image_size, channels=channels, pretrained=False, **vars(variation)
    )
    build = partial(create_network, model, classes)
    try:
        with torch.device("meta"):
            network = build()
    except ModelError:
        # Torchvision's regnets compute with tensors while they are built, which then need memory.
        # Any other error is raised again.
        network = build()
    preprocess = network.preprocess
    shape = (preprocess.channels, preprocess.size, preprocess.size)
    layers = _layers(network.classifier.to("meta"), torch.zeros(1, *shape, device="meta"))
    return Description(
        arch,
        network.notation,
        shape,
        classes,
        layers,
        count_params(network.classifier),
        sum(layer.macs for layer in layers),
    )


def work_of(network: Network) -> Work:
    """The work of a network on the CPU, seen by showing a copy of it a black image."""
    module = copy.deepcopy(network.classifier)
    size, channels = network.preprocess.size, network.preprocess.channels
    outputs, macs = _observe(module, torch.zeros(1, channels, size, size))
    return Work(
        macs.total(),
        sum(torch.Size(shape).numel() for name, shape in outputs.items() if macs[name]),
        sum(weights.numel() for weights in module.parameters()),
        any(_is_depthwise(layer) for layer in module.modules()),
    )


def _is_depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels


def _layers(classifier: Classifier, images: Tensor) -> tuple[Layer, ...]:
    """All that compute something, in the order in which the network holds them."""
    outputs, own_macs = _observe(classifier, images)
    params, macs = (_of_called(own, outputs) for own in (_own_params(classifier), own_macs))
    return tuple(
        Layer(name.removeprefix("backbone."), kind(module), outputs[name], params[name], macs[name])
        for name, module in classifier.named_modules()
        if name in outputs and (params[name] or macs[name] or _is_step(module))
    )


def _observe(module: nn.Module, images: Tensor) -> tuple[dict[str, tuple[int, ...]], Counter[str]]:
    """Show the network images; by module, the shape of what it gives and its own multiply-adds."""
    from torch.utils.flop_counter import FlopCounterMode  # imports triton, where it is installed

    outputs: dict[str, tuple[int, ...]] = {}
    macs: Counter[str] = Counter()
    inside: list[str] = []  # the modules that are being called, outermost first
    flops = FlopCounterMode(display=False)

    def resolve_defaults() -> None:
        """What was computed since the last time is the innermost module's own."""
        if inside:
            macs[inside[-1]] += flops.get_total_flops() // 2 - macs.total()

    def enter(name: str, *_: object) -> None:
        resolve_defaults()
        inside.append(name)

    def leave(name: str, _: nn.Module, __: object, out: object) -> None:
        resolve_defaults()
        inside.pop()
        first = out[0] if isinstance(out, tuple | list) else out
        if isinstance(first, Tensor):
            outputs[name] = tuple(first.shape[1:])

    for name, part in module.named_modules():
        part.register_forward_pre_hook(partial(enter, name))
        part.register_forward_hook(partial(leave, name))
    with torch.no_grad(), flops:
        module.eval().requires_grad_(False)(images)
    return outputs, macs


def _of_called(counts: Mapping[str, int], called: Collection[str]) -> Counter[str]:
    """Counts of modules that are not called, or give no tensor, go to the one they are part of."""
    by_called: Counter[str] = Counter()
    for name, amount in counts.items():
        while name not in called:
            name = name.rpartition(".")[0]
        by_called[name] += amount
    return by_called


def _is_step(module: nn.Module) -> bool:
    """Whether it is a layer to list, rather than a group of them or one that does nothing."""
    idle = isinstance(module, nn.Identity) or (isinstance(module, nn.Dropout) and module.p == 0)
    return not idle and next(module.children(), None) is None


def _own_params(module: nn.Module) -> Counter[str]:
    """Parameters and statistics by the module that holds them; each once, if it is shared."""
    held: Counter[str] = Counter()
    for name, value in (*module.named_parameters(), *module.named_buffers()):
        if value.is_floating_point():
            held[name.rpartition(".")[0]] += value.numel()
    return held


def kind(module: nn.Module) -> str:
    """What a layer is, with its settings, in a few words."""
    match module:
        case nn.Conv2d():
            return _window("conv", module.kernel_size, module.stride, 1, module.padding) + (
                f", {module.groups} groups" if module.groups > 1 else ""
            )
        case nn.MaxPool2d() | nn.AvgPool2d():
            name = "max pool" if isinstance(module, nn.MaxPool2d) else "average pool"
            size, stride = module.kernel_size, module.stride
            return _window(name, size, stride, size, module.padding)
        case nn.AdaptiveMaxPool2d():
            return f"max pool to {_by(module.output_size)}"
        case nn.AdaptiveAvgPool2d():
            return f"average pool to {_by(module.output_size)}"
        case nn.Linear():
            return "dense"
        case _BatchNorm():
            return "batch norm"
        case nn.Dropout():
            return f"dropout {module.p:g}"
        case GaussianNoise():
            return f"noise {module.std:g}"
        case Whitening():
            return f"whitening {_by(module.filters.shape[-1])}"
        case _:
            return type(module).__name__


def _window(name: str, size: object, stride: object, default: object, padding: object) -> str:
    """Such as "conv 3×3, stride 2, padding 1"; defaults are left out."""
    strided = f", stride {_short(stride)}" if _by(stride) != _by(default) else ""
    padded = f", padding {_short(padding)}" if _by(padding) != _by(0) else ""
    return f"{name} {_by(size)}{strided}{padded}"


def _by(value: object) -> str:
    """A pair or a number as "3×3"; None, which is as it comes, as "any"."""
    pair = value if isinstance(value, tuple | list) else (value, value)
    return "×".join("any" if length is None else str(length) for length in pair)


def _short(value: object) -> str:
    """As `_by`, but equal ones once."""
    pair = value if isinstance(value, tuple | list) else (value,)
    return str(pair[0]) if len(set(pair)) == 1 else _by(value)
