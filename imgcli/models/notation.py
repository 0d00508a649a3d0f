"""Layer notation: the line a paper prints, as a network.

    96C11S4V-P3S2-256C5-P3S2-384C3-384C3-256C3-P3S2-D0.5-4096-D0.5-4096

    token           layer
    32C5            convolution, 32 filters of 5×5, stride 1, padding "same"
    96C11S4V        … stride 4, padding "valid"
    P2   P3S2       maximum pooling 2×2; 3×3 with stride 2 (the stride is the size unless given)
    A2   A3S2       average pooling
    G               global average pooling
    128             dense layer of 128 units
    D0.25           dropout of a quarter of the values
    B               batch normalisation
    N0.1            Gaussian noise of that standard deviation, in training only
    32C5:tanh       another activation than relu after a convolution or dense layer

Tokens are joined by "-"; spaces and square brackets only group for the eye. A leading input size
(`784` or `1x28x28`) and a trailing class count are accepted and checked. The layer that gives the
logits is not written: every network gets it as its head.
"""

import math
import re
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from imgcli.errors import ModelError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "none": nn.Identity,
}

_TOKEN = re.compile(
    r"(?P<filters>\d+)C(?P<conv>\d+)(?:S(?P<conv_stride>\d+))?(?P<valid>V?)(?::(?P<conv_act>\w+))?"
    r"|(?P<pool>[PA])(?P<window>\d+)(?:S(?P<pool_stride>\d+))?"
    r"|(?P<global>G)"
    r"|D(?P<dropout>0?\.\d+|0)"
    r"|N(?P<noise>\d*\.?\d+)"
    r"|(?P<norm>B)"
    r"|(?P<dense>\d+)(?::(?P<dense_act>\w+))?"
)
_SHAPE = re.compile(r"\d+x\d+x\d+")


@dataclass(frozen=True)
class Token:
    """One token of a notation and where it stands, for messages."""

    text: str
    position: int  # characters from the start of the notation, from 1
    parts: dict[str, str]  # the named groups of _TOKEN that are present

    @property
    def units(self) -> int | None:
        """Units of a plain dense layer; None for any other token."""
        return int(self.text) if self.text.isdigit() else None


class GaussianNoise(nn.Module):
    """Add noise of standard deviation `std` to the values, in training only."""

    def __init__(self, std: float) -> None:
        super().__init__()
        self.std = std

    def forward(self, values: Tensor) -> Tensor:
        return values + self.std * torch.randn_like(values) if self.training else values

    def extra_repr(self) -> str:
        return f"std={self.std}"


def parse(notation: str) -> list[Token]:
    """Cut a notation into tokens.

    Raises:
        ModelError: a token that is not in the language; the message marks its position.
    """
    blanked = re.sub(r"[\[\]]", " ", notation)
    tokens = []
    for match in re.finditer(r"[^-\s]+", blanked):
        text, position = match.group(), match.start() + 1
        found = _TOKEN.fullmatch(text) or _SHAPE.fullmatch(text)
        if not found:
            raise _bad(
                notation, text, position, "is no layer; layers look like 32C5, P2, D0.5, 128"
            )
        tokens.append(Token(text, position, {k: v for k, v in found.groupdict().items() if v}))
    if not tokens:
        raise ModelError(f"'{notation}' names no layer; a network looks like 32C5-P2-64C5-P2-128.")
    return tokens


def is_notation(arch: str) -> bool:
    """Whether `arch` is written in the layer notation, rather than a name with a slip in it."""
    try:
        tokens = parse(arch)
    except ModelError:
        return "-" in arch and bool(re.search(r"(^|[-\[\s])\d+C\d", arch))
    return len(tokens) > 1 or "filters" in tokens[0].parts


def build_backbone(notation: str, input_shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """Everything of a notation's network but its head.

    Args:
        input_shape: channels, height and width of an image.
        classes: the head's outputs; a trailing class count must agree.

    Returns:
        A module from `(N, C, H, W)` to `(N, D)`.

    Raises:
        ModelError: an impossible layer, or sizes that disagree; the position is marked.
    """
    tokens = _without_ends(notation, parse(notation), input_shape, classes)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    shape: tuple[int, ...] = input_shape

    def add(kind: str, *modules: nn.Module) -> None:
        number = 1 + sum(name.startswith(kind) for name in layers)
        for suffix, module in zip(("", "_act"), modules, strict=False):
            layers[f"{kind}{number}{suffix}"] = module

    for token in tokens:
        parts = token.parts
        if "dense" in parts and len(shape) == 3:
            add("flatten", nn.Flatten())
            shape = (math.prod(shape),)
        if len(shape) == 1 and parts.keys() & {"conv", "pool", "global"}:
            raise _bad(notation, token.text, token.position, "needs a picture, not a dense layer")
        match parts:
            case {"conv": kernel, "filters": filters}:
                stride, valid = int(parts.get("conv_stride", 1)), "valid" in parts
                size = _after_window(notation, token, shape, int(kernel), stride, valid)
                conv = _convolution(shape[0], int(filters), int(kernel), stride, valid)
                add("conv", conv, _activation(notation, token, parts.get("conv_act")))
                shape = (int(filters), *size)
            case {"pool": kind, "window": window}:
                stride = int(parts.get("pool_stride", window))
                size = _after_window(notation, token, shape, int(window), stride, valid=True)
                pool = nn.MaxPool2d if kind == "P" else nn.AvgPool2d
                add("pool", pool(int(window), stride))
                shape = (shape[0], *size)
            case {"global": _}:
                add("pool", nn.AdaptiveAvgPool2d(1))
                shape = (shape[0], 1, 1)
            case {"dropout": rate}:
                add("dropout", nn.Dropout(float(rate)))
            case {"noise": std}:
                add("noise", GaussianNoise(float(std)))
            case {"norm": _}:
                norm = nn.BatchNorm2d if len(shape) == 3 else nn.BatchNorm1d
                add("norm", norm(shape[0]))
            case {"dense": units}:
                dense = nn.Linear(shape[0], int(units))
                add("dense", dense, _activation(notation, token, parts.get("dense_act")))
                shape = (int(units),)
            case _:
                raise _bad(notation, token.text, token.position, "may only stand at the start")
    if len(shape) == 3:
        add("flatten", nn.Flatten())
    return nn.Sequential(layers)


def _without_ends(
    notation: str, tokens: list[Token], input_shape: tuple[int, int, int], classes: int
) -> list[Token]:
    """Check and drop a leading input size and a trailing class count."""
    first, pixels = tokens[0], math.prod(input_shape)
    spatial = any(token.parts.keys() & {"conv", "pool", "global"} for token in tokens)
    if _SHAPE.fullmatch(first.text):
        if tuple(map(int, first.text.split("x"))) != input_shape:
            raise _bad_size(notation, first, input_shape)
        tokens = tokens[1:]
    elif first.units == pixels:
        tokens = tokens[1:]
    elif first.units is not None and spatial:
        raise _bad_size(notation, first, input_shape)
    if len(tokens) > 1 and tokens[-1].units == classes:
        tokens = tokens[:-1]
    return tokens


def _after_window(
    notation: str, token: Token, shape: tuple[int, ...], window: int, stride: int, valid: bool
) -> tuple[int, int]:
    """Height and width after a sliding window; "same" gives the size divided by the stride, up."""
    if min(window, stride) < 1:
        raise _bad(notation, token.text, token.position, "has a window or stride of 0")
    height, width = shape[1:]
    if not valid:
        return -(-height // stride), -(-width // stride)
    if window > min(height, width):
        raise _bad(
            notation,
            token.text,
            token.position,
            f"slides a window of {window}×{window} over {height}×{width} values; "
            "use larger images (--image-size) or smaller strides",
        )
    return (height - window) // stride + 1, (width - window) // stride + 1


def _convolution(channels: int, filters: int, kernel: int, stride: int, valid: bool) -> nn.Module:
    """A convolution whose padding is "same" in the sense of output = input / stride, rounded up."""
    if valid or kernel % 2:
        padding = 0 if valid else kernel // 2
        return nn.Conv2d(channels, filters, kernel, stride, padding)
    before, after = (kernel - 1) // 2, kernel // 2  # an even kernel has no middle
    pad = nn.ZeroPad2d((before, after, before, after))
    return nn.Sequential(pad, nn.Conv2d(channels, filters, kernel, stride))


def _activation(notation: str, token: Token, name: str | None) -> nn.Module:
    if name is not None and name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise _bad(notation, token.text, token.position, f"has no known activation; use {known}")
    return ACTIVATIONS[name or "relu"]()


def _bad(notation: str, text: str, position: int, what: str) -> ModelError:
    return ModelError(f"'{text}' at position {position} of '{notation}' {what}.")


def _bad_size(notation: str, token: Token, input_shape: tuple[int, int, int]) -> ModelError:
    shape = "×".join(map(str, input_shape))
    return _bad(
        notation,
        token.text,
        token.position,
        f"is not the size of the images, which are {shape} = {math.prod(input_shape)} values",
    )
