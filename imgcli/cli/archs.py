"""`imgcli archs`: list networks, and describe one layer by layer."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from imgcli.cli.console import render
from imgcli.cli.options import Json
from imgcli.cli.training_options import option_of
from imgcli.commands.archs import archs as find_archs
from imgcli.commands.describe_arch import describe_arch
from imgcli.report.terminal import archs as tables


class WordsOrCommand(TyperGroup):
    """A group whose default command is `search`: only other commands must be named."""

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
    """List networks: the zoo, or all with every WORD in their names.

    The zoo is imgcli's own; a search covers timm and torchvision too. --arch
    takes every name listed, and layer notation.

    Examples:

      imgcli archs

      imgcli archs resnet 50

      imgcli archs describe alexnet --input 3x227x227 --classes 28
    """


Words = Annotated[
    list[str] | None, typer.Argument(metavar="WORD", help="Part of a name.", show_default=False)
]


@archs.command()
def search(words: Words = None, json: Json = False) -> None:
    """List the zoo, or the networks with every WORD in their names.

    Examples:

      imgcli archs

      imgcli archs vit tiny
    """
    table = tables.found if words else tables.catalogue
    result = find_archs(*(words or []))
    render(result, json=json, people=lambda done: table(done.to_json()))


Arch = Annotated[str, typer.Argument(help="A name, or layer notation.", show_default=False)]
Input = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="CxHxW",
        show_default="the arch's own",
        help="Channels, height and width of the input, such as 3x224x224.",
    ),
]
Classes = Annotated[int, typer.Option("--classes", help="Number of classes.")]


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
    """Print a network's layers with their outputs, parameters and multiply-adds.

    Nothing is trained or downloaded. Non-trainable parameters are the
    running means and variances of batch norm. Multiply-adds are those of
    convolutions and matrix products for one photo; biases, norms,
    activations and pooling are not counted.

    Examples:

      imgcli archs describe alexnet --input 3x227x227 --classes 28

      imgcli archs describe 28C5-P2-16C5-P2-64 --input 1x28x28 --batchnorm
    """
    result = describe_arch(
        arch,
        input=input,
        classes=classes,
        dropout=dropout,
        batchnorm=batchnorm,
        activation=activation,
    )
    render(result, json=json, people=lambda done: tables.description(done.to_json()))
