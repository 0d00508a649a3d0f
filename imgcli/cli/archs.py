"""`imgcli archs`: which networks there are, and what one of them is made of."""

import re
from dataclasses import asdict
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperGroup

from imgcli.cli.options import Json
from imgcli.cli.training_options import option_of
from imgcli.errors import WrongUsage


class WordsOrCommand(TyperGroup):
    """Free words are for `search`, as no word at all is; only another command must be named."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "rich_markup_mode": None, "subcommand_metavar": "[WORD]..."})

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = {*args[:1]} & {*self.commands, *ctx.help_option_names}
        if not named and (args or not ctx.resilient_parsing):  # else the shell asks what may follow
            args = ["search", *args]
        return super().parse_args(ctx, args)


archs = typer.Typer(cls=WordsOrCommand)


@archs.callback()
def about() -> None:
    """List networks: the zoo's, or those with all WORDs in their names.

    The zoo is imgcli's own; the search goes through timm and torchvision too.
    Every name listed may be given to --arch, and so may layer notation.

    Examples:

      imgcli archs

      imgcli archs resnet 50

      imgcli archs describe alexnet --input 3x227x227 --classes 28
    """


Words = Annotated[
    list[str] | None, typer.Argument(metavar="WORD", help="Parts of a name.", show_default=False)
]


@archs.command()
def search(words: Words = None, json: Json = False) -> None:
    """List the zoo, or the networks with all WORDs in their names.

    Examples:

      imgcli archs

      imgcli archs vit tiny
    """
    from imgcli.cli.console import show, show_json
    from imgcli.models.catalogue import catalogue
    from imgcli.report.terminal import archs as tables

    document = {"words": words or [], **catalogue(words or [])}
    if json:
        show_json(document)
    else:
        show(*(tables.found(document) if words else tables.catalogue(document)))


Arch = Annotated[str, typer.Argument(help="A name, or layer notation.", show_default=False)]
Input = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="CxHxW",
        show_default="the arch's own",
        help="Channels, height and width of the photos, such as 3x224x224.",
    ),
]
Classes = Annotated[int, typer.Option("--classes", help="Classes to tell apart.")]


@archs.command()
def describe(
    arch: Arch,
    input: Input = None,
    classes: Classes = 10,
    dropout: Annotated[float | None, option_of("dropout")] = None,
    batchnorm: Annotated[bool | None, option_of("batchnorm")] = None,
    activation: Annotated[str | None, option_of("activation")] = None,
    json: Json = False,
) -> None:
    """Print a network's layers, their outputs, parameters and multiply-adds.

    Nothing is trained or fetched. Non-trainable parameters are the running
    means and variances of batch norm. Multiply-adds are those of convolutions
    and matrix products for one photo; biases, norms, activations and pooling
    are not counted.

    Examples:

      imgcli archs describe alexnet --input 3x227x227 --classes 28

      imgcli archs describe 28C5-P2-16C5-P2-64 --input 1x28x28 --batchnorm
    """
    from imgcli.cli.console import show, show_json
    from imgcli.models.describe import describe
    from imgcli.models.variation import Variation
    from imgcli.report.terminal import archs as tables

    channels, size = _channels_and_size(input) if input else (None, None)
    if classes < 2:
        raise WrongUsage(f"--classes {classes} is too few; use at least 2.")
    described = asdict(
        describe(arch, classes, size, channels, Variation(dropout, batchnorm, activation))
    )
    if json:
        show_json(described)
    else:
        show(*tables.description(described))


def _channels_and_size(text: str) -> tuple[Literal[1, 3], int]:
    """What `--input` says.

    Raises:
        WrongUsage: not three numbers, or not what photos here are made to be.
    """
    found = re.fullmatch(r"([13])x([1-9]\d*)x([1-9]\d*)", text)
    if not found or found[2] != found[3]:
        raise WrongUsage(
            f"--input {text} is not 3xSxS, or 1xSxS for grey photos, such as 3x224x224: photos are "
            "made square."
        )
    return 1 if found[1] == "1" else 3, int(found[2])
