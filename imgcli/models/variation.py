"""The same network with dropout, batch norm, other activations, other weights to start from."""

from collections.abc import Sequence
from dataclasses import dataclass

from imgcli.config import ModelConfig
from imgcli.errors import ModelError, WrongUsage
from imgcli.models.layers import INITS
from imgcli.models.notation import ACTIVATIONS, Token, decimal, flat, parse, rewrite


@dataclass(frozen=True)
class Variation:
    """What is asked of a network besides its name; None leaves it as it is.

    Raises:
        WrongUsage: a rate that is none, an activation or an initialisation that is not known.
    """

    dropout: float | None = None  # share of the values dropped, in every dropout of the network
    batchnorm: bool | None = None  # after every convolution and dense layer, or nowhere
    activation: str | None = None  # of the layers that name none, and of those by themselves
    init: str | None = None  # initialisation of weights, one of INITS

    def __post_init__(self) -> None:
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise WrongUsage(f"--dropout {self.dropout:g} must be at least 0 and below 1.")
        for name, known in (("activation", ACTIVATIONS), ("init", INITS)):
            value = getattr(self, name)
            if value is not None and value not in known:
                raise WrongUsage(f"--{name} {value} is not known; use {', '.join(known)}.")


AS_IT_IS = Variation()


def variation_of(model: ModelConfig) -> Variation:
    """What a config asks of its network; the notation of a zoo's name holds all but `init`."""
    if model.notation is not None:
        return Variation(init=model.init)
    return Variation(model.dropout, model.batchnorm, model.activation, model.init)


def vary(notation: str, variation: Variation) -> str:
    """The notation of the network that is asked for, but for `init`, which no notation can say.

    Dropout: the rate of every D. A network without any gets one before each dense layer, or at its
    end if there is no dense layer. Batch norm: between each convolution or dense layer and its
    activation, where none follows before the next layer; or none anywhere. Activation: of the
    layers that name none, and of those that stand by themselves.

    Args:
        notation: without input size and class count, which look like dense layers.

    Raises:
        ModelError: no notation, or one in which every layer names its own activation.
    """
    if variation.dropout is not None:
        notation = _with_dropout(notation, variation.dropout)
    if variation.batchnorm is not None:
        change = _with_norm if variation.batchnorm else _without_norm
        notation = rewrite(parse(notation), change)
    if variation.activation is not None:
        notation = _with_activation(notation, variation.activation)
    return notation


def _with_dropout(notation: str, rate: float) -> str:
    tokens, dropout = parse(notation), f"D{decimal(rate)}"
    everywhere = list(flat(tokens))
    if any("dropout" in token.parts for token in everywhere):
        return rewrite(
            tokens, lambda token, _: [dropout if "dropout" in token.parts else token.text]
        )
    if rate == 0:
        return notation
    if not any("dense" in token.parts for token in everywhere):
        return f"{notation}-{dropout}"
    return rewrite(
        tokens, lambda token, _: [*([dropout] if "dense" in token.parts else []), token.text]
    )


def _with_norm(token: Token, following: Sequence[Token]) -> list[str]:
    if not token.is_layer or _has_norm(token) or _norm_comes(following):
        return [token.text]
    layer, colon, activation = token.text.partition(":")
    return [f"{layer}B{colon}{activation}"]


def _without_norm(token: Token, _: Sequence[Token]) -> list[str]:
    if "norm" in token.parts:
        return []
    layer, colon, activation = token.text.partition(":")
    return [f"{layer.removesuffix('B')}{colon}{activation}"]


def _has_norm(token: Token) -> bool:
    return "conv_norm" in token.parts or "dense_norm" in token.parts


def _norm_comes(following: Sequence[Token]) -> bool:
    """Whether there is batch norm before the next layer."""
    for token in following:
        if token.is_layer or "residual" in token.parts:
            return False
        if "norm" in token.parts:
            return True
    return False


def _with_activation(notation: str, name: str) -> str:
    """As a default put first; defaults of the notation's own give way to it."""
    tokens = parse(notation)
    if not any(_takes_activation(token) for token in flat(tokens)):
        raise ModelError(
            f"Every layer of '{notation}' names its own activation; --activation {name} would "
            "change nothing. Write the notation with others."
        )

    def change(token: Token, _: Sequence[Token]) -> list[str]:
        if "default_act" in token.parts:
            return []
        return [name if "activation" in token.parts else token.text]

    return f":{name}-{rewrite(tokens, change)}"


def _takes_activation(token: Token) -> bool:
    return "activation" in token.parts or (token.is_layer and ":" not in token.text)
