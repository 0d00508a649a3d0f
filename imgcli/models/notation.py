"""Layer notation: the line a paper prints, as a network.

    96C11S4V-P3S2-256C5-P3S2-384C3-384C3-256C3-P3S2-D0.5-4096-D0.5-4096

    token           layer
    32C5            convolution, 32 filters of 5×5, stride 1, padding "same"
    96C11S4V        … stride 4, padding "valid": none
    P2   P3S2       maximum pooling 2×2; 3×3 with stride 2 (the stride is the size unless given)
    A2   A3S2       average pooling; none of them pads
    G    GP         global average and global maximum pooling
    128             dense layer of 128 units
    D0.25           dropout of a quarter of the values
    B               batch normalisation; after 32C5 it comes after the activation
    32C5B   128B    … between a convolution or dense layer and its activation, V before B: 32C5VB
    N0.1            Gaussian noise of that standard deviation, in training only
    32C5:tanh       the activation of a convolution or dense layer, relu unless it is named
    :tanh           … of all that follow and name none, to the end of the bracket R[…] it stands in
    tanh            an activation by itself
    R[32C3-32C3]    residual group: what goes in is added to what comes out
    W2              the image's patches of 2×2, whitened: fixed filters found in the training photos
    {16..64}  {3,5} a number that `imgcli tune` chooses: of a range with both its ends, of whole
                    numbers if both are written as such, or of a list: {16..64}C{3,5}

Tokens are joined by "-", or a dash as papers print it; spaces and other square brackets only group
for the eye. A leading input size (`784` or `1x28x28`) and a trailing class count are accepted and
checked: after a size, a plain number at the end is the class count; without one, a number other
than it is a dense layer. The layer that gives the logits is not written: every network gets it as
its head. Activations are named as in ACTIVATIONS below; "none" is one of them.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import nn

from imgcli.errors import ModelError

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "hardswish": nn.Hardswish,
    "softplus": nn.Softplus,
    "leaky_relu": nn.LeakyReLU,
    "none": nn.Identity,
}

_TOKEN = re.compile(
    r"(?P<filters>\d+)C(?P<conv>\d+)(?:S(?P<conv_stride>\d+))?(?P<valid>V?)"
    r"(?P<conv_norm>B?)(?::(?P<conv_act>\w+))?"
    r"|(?P<pool>[PA])(?P<window>\d+)(?:S(?P<pool_stride>\d+))?"
    r"|(?P<global>GP?)"
    r"|W(?P<whitening>\d+)"
    r"|D(?P<dropout>0?\.\d+|0)"
    r"|N(?P<noise>\d*\.?\d+)"
    r"|(?P<norm>B)"
    r"|(?P<dense>\d+)(?P<dense_norm>B?)(?::(?P<dense_act>\w+))?"
    r"|:(?P<default_act>\w+)"
    rf"|(?P<activation>{'|'.join(ACTIVATIONS)})"
)
_PIECE = re.compile(r"R?\[|\]|(?:\{[^}]*\}|[^-\u2010-\u2015\u2212\s\[\]])+")
# What a slip leaves of a notation and no name has: brackets, 4C3, or a number that all begins with.
_TRACE = re.compile(r"[][{}]|\dC\d|^\s*[:\d]|^\s*[A-Z]{1,2}[\d.]+\W", re.IGNORECASE)
SHAPE = re.compile(r"\d+x\d+x\d+")


@dataclass(frozen=True)
class Token:
    """One token of a notation and where it stands, for messages."""

    text: str
    position: int  # characters from the start of the notation, from 1
    parts: dict[str, str]  # the named groups of _TOKEN that are present
    inside: tuple["Token", ...] = ()  # of a residual group

    @property
    def units(self) -> int | None:
        """Units of a plain dense layer; None for any other token."""
        return int(self.text) if self.text.isdigit() else None

    @property
    def is_layer(self) -> bool:
        """Whether it is a convolution or a dense layer, with an activation of its own."""
        return "conv" in self.parts or "dense" in self.parts


def parse(notation: str) -> list[Token]:
    """Cut a notation into tokens.

    Raises:
        ModelError: a token that is not in the language; the message marks its position.
    """
    pieces = _PIECE.finditer(notation)
    tokens = _until(notation, pieces, None)
    if not tokens:
        raise no_layer(notation)
    return tokens


def _until(
    notation: str, pieces: Iterator[re.Match[str]], opened: re.Match[str] | None
) -> list[Token]:
    """The tokens up to the bracket that closes what was `opened`, or to the end."""
    tokens: list[Token] = []
    for match in pieces:
        text, position = match.group(), match.start() + 1
        if text == "]":
            if opened is None:
                raise bad_token(notation, text, position, "closes nothing")
            return tokens
        if text == "[":
            tokens += _until(notation, pieces, match)
        elif text == "R[":
            inside = tuple(_until(notation, pieces, match))
            tokens.append(Token("R[…]", position, {"residual": "R"}, inside))
        elif found := _TOKEN.fullmatch(text) or SHAPE.fullmatch(text):
            tokens.append(Token(text, position, {k: v for k, v in found.groupdict().items() if v}))
        else:
            raise bad_token(notation, text, position, _slip(text))
    if opened is not None:
        raise bad_token(notation, opened.group(), opened.start() + 1, "is never closed")
    return tokens


def _slip(text: str) -> str:
    """What is wrong with a piece that is no token."""
    if "{" in text:
        return "leaves a number open, which is for `imgcli tune`; write one number there"
    layer, colon, activation = text.partition(":")
    for meant in (text.lower(), f"{layer.upper()}{colon}{activation.lower()}"):
        if _TOKEN.fullmatch(meant):
            return f"is no layer; capital letters and small ones differ: write {meant}"
    return "is no layer; layers look like 32C5, P2, D0.5, 128"


def is_notation(arch: str) -> bool:
    """Whether `arch` is written in the layer notation, maybe with a slip, rather than a name."""
    try:
        return bool(parse(arch))
    except ModelError:
        return bool(_TRACE.search(arch))


def flat(tokens: Iterable[Token]) -> Iterator[Token]:
    """The tokens, and those inside residual groups, however deep."""
    for token in tokens:
        yield token
        yield from flat(token.inside)


def rewrite(
    tokens: Sequence[Token], change: Callable[[Token, Sequence[Token]], Iterable[str]]
) -> str:
    """The notation of tokens, each replaced by what `change` writes for it.

    Args:
        change: gets a token and those after it in its bracket; not called for a residual group,
            but for what that holds.
    """
    texts: list[str] = []
    for i, token in enumerate(tokens):
        if "residual" in token.parts:
            texts.append(f"R[{rewrite(token.inside, change)}]")
        else:
            texts += change(token, tokens[i + 1 :])
    return "-".join(texts)


def written(tokens: Sequence[Token]) -> str:
    """The notation of tokens."""
    return rewrite(tokens, lambda token, _: [token.text])


def decimal(value: float) -> str:
    """A number as the language knows it: 0.00001, where Python would write 1e-05."""
    return np.format_float_positional(value, trim="-")


def no_layer(notation: str) -> ModelError:
    """That there is nothing to build."""
    return ModelError(f"'{notation}' names no layer; a network looks like 32C5-P2-64C5-P2-128.")


def bad_token(notation: str, text: str, position: int, what: str) -> ModelError:
    """What is wrong with a token, and where it stands."""
    return ModelError(f"'{text}' at position {position} of '{notation}' {what}.")


# --- numbers left open ----------------------------------------------------------------------------

_NUMBER = r"(?:\d*\.)?\d+"
_BRACES = re.compile(r"\{[^}]*\}?|\}")
_RANGE = re.compile(rf"\{{\s*({_NUMBER})\s*\.\.\s*({_NUMBER})\s*\}}")
_LIST = re.compile(rf"\{{\s*{_NUMBER}(?:\s*,\s*{_NUMBER})*\s*\}}")


@dataclass(frozen=True)
class Range:
    """Numbers that a notation leaves open: from `low` to `high`, or one of `choices`."""

    text: str  # as written, with its braces
    position: int  # characters from the start of the notation, from 1
    low: float  # an int where all its numbers are whole
    high: float
    choices: tuple[float, ...] = ()  # of a list, as written; empty for a range

    def holds(self, value: float) -> bool:
        """Whether `value` is one that may be filled in."""
        whole = isinstance(value, int) or not isinstance(self.low, int)
        return value in self.choices if self.choices else whole and self.low <= value <= self.high


def find_ranges(notation: str) -> list[Range]:
    """What a notation leaves open, from left to right.

    Raises:
        ModelError: braces around something else; the position is marked.
    """
    return [_range(notation, braces) for braces in _BRACES.finditer(notation)]


def fill_ranges(notation: str, values: Sequence[float]) -> str:
    """The notation with a number for each of its ranges, in the order of `find_ranges`."""
    ranges = find_ranges(notation)
    assert len(ranges) == len(values)
    for open_, value in reversed(list(zip(ranges, values, strict=True))):
        assert open_.holds(value), f"{value} in {open_.text}"
        start = open_.position - 1
        notation = notation[:start] + decimal(value) + notation[start + len(open_.text) :]
    return notation


def _range(notation: str, braces: re.Match[str]) -> Range:
    text, position = braces.group(), braces.start() + 1
    if found := _RANGE.fullmatch(text):
        low, high = _numbers(found.groups())
        if low > high:
            raise bad_token(notation, text, position, f"runs backwards; write {{{high}..{low}}}")
        return Range(text, position, low, high)
    if _LIST.fullmatch(text):
        choices = _numbers(text.strip("{}").split(","))
        return Range(text, position, min(choices), max(choices), tuple(choices))
    raise bad_token(notation, text, position, "is no range; ranges look like {16..64} or {3,5,7}")


def _numbers(texts: Sequence[str]) -> list[float]:
    """All as ints if all are whole, else all as floats."""
    return [*map(int if all(text.strip().isdigit() for text in texts) else float, texts)]
