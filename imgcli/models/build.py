"""The backbone that a layer notation describes, layer by layer."""

import math
import re
from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from imgcli.errors import ModelError
from imgcli.models.layers import GaussianNoise, Residual, Whitening
from imgcli.models.notation import ACTIVATIONS, SHAPE, Token, bad_token, flat, no_layer, parse

_OF_PICTURES = {"conv", "pool", "global", "whitening"}


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
    builder = _Builder(notation, input_shape)
    builder.add_all(without_ends(notation, input_shape, classes))
    if len(builder.shape) == 3:
        builder.add("flatten", nn.Flatten())
    return nn.Sequential(builder.layers)


class _Builder:
    """Layers, one after the other, and the shape (C, H, W) or (D,) of what comes out."""

    def __init__(self, notation: str, shape: tuple[int, ...], activation: str = "relu") -> None:
        self.notation = notation
        self.shape = shape
        self.activation = activation  # of layers that name none
        self.layers: OrderedDict[str, nn.Module] = OrderedDict()

    def add(self, kind: str, layer: nn.Module, **following: nn.Module) -> None:
        """Append a layer and what follows it, numbered among its kind: conv2, conv2_act."""
        number = 1 + sum(bool(re.fullmatch(rf"{kind}\d+", name)) for name in self.layers)
        self.layers[f"{kind}{number}"] = layer
        for suffix, module in following.items():
            self.layers[f"{kind}{number}_{suffix}"] = module

    def add_all(self, tokens: Sequence[Token]) -> None:
        for token in tokens:
            parts = token.parts
            if "dense" in parts and len(self.shape) == 3:
                self.add("flatten", nn.Flatten())
                self.shape = (math.prod(self.shape),)
            if len(self.shape) == 1 and parts.keys() & _OF_PICTURES:
                raise self._bad(token, "needs a picture, not a dense layer")
            self._add_one(token)

    def _add_one(self, token: Token) -> None:
        match token.parts:
            case {"conv": kernel, "filters": filters}:
                self._add_convolution(token, int(kernel), int(filters))
            case {"pool": kind, "window": window}:
                stride = int(token.parts.get("pool_stride", window))
                size = self._after_window(token, int(window), stride, valid=True)
                pool = nn.MaxPool2d if kind == "P" else nn.AvgPool2d
                self.add("pool", pool(int(window), stride))
                self.shape = (self.shape[0], *size)
            case {"global": kind}:
                pooling = nn.AdaptiveMaxPool2d if "P" in kind else nn.AdaptiveAvgPool2d
                self.add("pool", pooling(1))
                self.shape = (self.shape[0], 1, 1)
            case {"dropout": rate}:
                self.add("dropout", nn.Dropout(float(rate)))
            case {"noise": std}:
                self.add("noise", GaussianNoise(float(std)))
            case {"norm": _}:
                self.add("norm", self._norm(self.shape[0]))
            case {"activation": name}:
                self.add("act", ACTIVATIONS[name]())
            case {"default_act": name}:
                self._check_activation(token, name)
                self.activation = name
            case {"dense": units}:
                if int(units) < 1:
                    raise self._bad(token, "has 0 units")
                norm = "dense_norm" in token.parts
                dense = nn.Linear(self.shape[0], int(units), bias=not norm)
                self.shape = (int(units),)
                self._add_activated("dense", dense, norm, token, token.parts.get("dense_act"))
            case {"residual": _}:
                self._add_residual(token)
            case {"whitening": kernel}:
                if self.layers:
                    raise self._bad(token, "whitens images, so it may only come first")
                size = self._after_window(token, int(kernel), 1, valid=True)
                self.add("whitening", Whitening(self.shape[0], int(kernel)))
                self.shape = (2 * self.shape[0] * int(kernel) ** 2, *size)
            case _:
                raise self._bad(token, "may only stand at the start")

    def _add_convolution(self, token: Token, kernel: int, filters: int) -> None:
        if filters < 1:
            raise self._bad(token, "has 0 filters")
        parts = token.parts
        stride, valid = int(parts.get("conv_stride", 1)), "valid" in parts
        norm = "conv_norm" in parts
        size = self._after_window(token, kernel, stride, valid)
        conv = _convolution(self.shape[0], filters, kernel, stride, valid, bias=not norm)
        self.shape = (filters, *size)
        self._add_activated("conv", conv, norm, token, parts.get("conv_act"))

    def _add_activated(
        self, kind: str, layer: nn.Module, norm: bool, token: Token, name: str | None
    ) -> None:
        name = name or self.activation
        self._check_activation(token, name)
        between = {"norm": self._norm(self.shape[0])} if norm else {}
        self.add(kind, layer, **between, act=ACTIVATIONS[name]())

    def _check_activation(self, token: Token, name: str) -> None:
        if name not in ACTIVATIONS:
            raise self._bad(token, f"has no known activation; use {', '.join(ACTIVATIONS)}")

    def _add_residual(self, token: Token) -> None:
        body = _Builder(self.notation, self.shape, self.activation)
        body.add_all(token.inside)
        if not body.layers:
            raise self._bad(token, "holds no layer")
        if len(body.shape) != len(self.shape):
            raise self._bad(token, "turns a picture into a dense layer, to which none can be added")
        skip: nn.Module = nn.Identity()
        if body.shape != self.shape and len(self.shape) == 1:
            skip = nn.Linear(self.shape[0], body.shape[0])
        elif body.shape != self.shape:
            stride = -(-self.shape[1] // body.shape[1])
            if tuple(-(-length // stride) for length in self.shape[1:]) != body.shape[1:]:
                sizes = [f"{shape[1]}×{shape[2]}" for shape in (self.shape, body.shape)]
                raise self._bad(token, f"brings {sizes[0]} to {sizes[1]}, which no stride does")
            skip = nn.Conv2d(self.shape[0], body.shape[0], 1, stride)
        self.add("residual", Residual(nn.Sequential(body.layers), skip))
        self.shape = body.shape

    def _norm(self, features: int) -> nn.Module:
        return (nn.BatchNorm2d if len(self.shape) == 3 else nn.BatchNorm1d)(features)

    def _after_window(self, token: Token, window: int, stride: int, valid: bool) -> tuple[int, int]:
        """Height and width after a sliding window; "same" gives the size over the stride, up."""
        if min(window, stride) < 1:
            raise self._bad(token, "has a window or stride of 0")
        height, width = self.shape[1:]
        if not valid:
            return -(-height // stride), -(-width // stride)
        if window > min(height, width):
            raise self._bad(
                token,
                f"slides a window of {window}×{window} over {height}×{width} values; "
                "use larger images (--image-size) or smaller strides",
            )
        return (height - window) // stride + 1, (width - window) // stride + 1

    def _bad(self, token: Token, what: str) -> ModelError:
        return bad_token(self.notation, token.text, token.position, what)


def without_ends(notation: str, input_shape: tuple[int, int, int], classes: int) -> list[Token]:
    """The layers of a notation, a leading input size and a trailing class count checked and left.

    A size and a class count with nothing between them are a network too: its head alone.

    Raises:
        ModelError: no notation, or the images or the classes are others.
    """
    tokens = parse(notation)
    first, last, pixels = tokens[0], tokens[-1], math.prod(input_shape)
    number_before_pictures = first.units is not None and _is_spatial(tokens)
    sized = bool(SHAPE.fullmatch(first.text)) or first.units == pixels or number_before_pictures
    if sized:
        if first.text not in (str(pixels), "x".join(map(str, input_shape))):
            raise _bad_size(notation, first, input_shape)
        tokens = tokens[1:]
        if not tokens:
            raise no_layer(notation)
        if last.units not in (None, classes):
            what = f"is not the number of classes, {classes}, which goes last after an input size"
            raise bad_token(notation, last.text, last.position, what)
    if last.units == classes and (sized or len(tokens) > 1):
        tokens = tokens[:-1]
    return tokens


def leading_shape(notation: str) -> tuple[int, int] | None:
    """Channels and size of the square images that a notation begins with; None if with a layer.

    A number before convolutions is the values of an image, in grey if their root is whole.
    """
    tokens = parse(notation)
    first = tokens[0]
    if SHAPE.fullmatch(first.text):
        channels, height, width = map(int, first.text.split("x"))
        return (channels, height) if height == width else None
    if first.units is not None and _is_spatial(tokens):
        for channels in (1, 3):
            side = math.isqrt(first.units // channels)
            if channels * side**2 == first.units:
                return channels, side
    return None


def _is_spatial(tokens: Sequence[Token]) -> bool:
    return any(token.parts.keys() & _OF_PICTURES for token in flat(tokens))


def _convolution(
    channels: int, filters: int, kernel: int, stride: int, valid: bool, bias: bool
) -> nn.Module:
    """A convolution whose padding is "same" in the sense of output = input / stride, rounded up."""
    if valid or kernel % 2:
        padding = 0 if valid else kernel // 2
        return nn.Conv2d(channels, filters, kernel, stride, padding, bias=bias)
    before, after = (kernel - 1) // 2, kernel // 2  # an even kernel has no middle
    pad = nn.ZeroPad2d((before, after, before, after))
    return nn.Sequential(pad, nn.Conv2d(channels, filters, kernel, stride, bias=bias))


def _bad_size(notation: str, token: Token, input_shape: tuple[int, int, int]) -> ModelError:
    shape = "×".join(map(str, input_shape))
    return bad_token(
        notation,
        token.text,
        token.position,
        f"is not the size of the images, which are {shape} = {math.prod(input_shape)} values",
    )
