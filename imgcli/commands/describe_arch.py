"""Describe a network layer by layer."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from imgcli.commands.results import Result
from imgcli.errors import WrongUsage
from imgcli.text import printable

if TYPE_CHECKING:
    from imgcli.models.describe import Description


@dataclass(frozen=True, repr=False)
class DescribeResult(Result):
    """A network layer by layer."""

    description: "Description"
    weights: Mapping[str, bool]  # weights (published at all), installed, cached

    @property
    def params(self) -> Mapping[str, int]:
        """Parameters: trainable, non_trainable (statistics of batch norm), total."""
        return self.description.params

    @property
    def macs(self) -> int:
        """Multiply-adds of convolutions and matrix products for one photo."""
        return self.description.macs

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self.description), **self.weights}

    def _rows(self) -> Iterator[tuple[str, str]]:
        yield "arch", printable(self.description.arch)
        for layer in self.description.layers:
            output = "×".join(map(str, layer.output))
            yield layer.name, f"{layer.kind} → {output}, {layer.params:,} parameters"
        yield "total", f"{self.params['total']:,} parameters, {self.macs:,} multiply-adds"


def describe_arch(
    arch: str,
    *,
    input: str | None = None,
    classes: int = 10,
    dropout: float | None = None,
    batchnorm: bool | None = None,
    activation: str | None = None,
) -> DescribeResult:
    """Describe a network: its layers with outputs, parameters and multiply-adds.

    Args:
        input: channels, height and width, such as "3x224x224"; by default the arch's own.
        classes: outputs of the head.

    Raises:
        ImgcliError: what the command line would say.
    """
    channels, size = _channels_and_size(input) if input else (None, None)
    if classes < 2:
        raise WrongUsage(f"--classes {classes} is too few; use at least 2.")

    from imgcli.models.catalogue import NO_WEIGHTS, weights_of
    from imgcli.models.create import has_published_weights
    from imgcli.models.describe import describe
    from imgcli.models.variation import Variation

    varied = Variation(dropout, batchnorm, activation)
    description = describe(arch, classes, size, channels, varied)
    weights = NO_WEIGHTS
    if has_published_weights(arch):
        from imgcli.models.libraries import source_of

        weights = weights_of(arch, source_of(arch))
    return DescribeResult(description, weights)


def _channels_and_size(text: str) -> tuple[Literal[1, 3], int]:
    """Channels and side of `--input`.

    Raises:
        WrongUsage: not three numbers, or not square.
    """
    found = re.fullmatch(r"([13])x([1-9]\d*)x([1-9]\d*)", text)
    if not found or found[2] != found[3]:
        raise WrongUsage(
            f"--input {text} is not 3xSxS, or 1xSxS for grey photos, such as 3x224x224: photos are "
            "made square."
        )
    return 1 if found[1] == "1" else 3, int(found[2])
