"""The choices of a training as options, each declared once: the fields of `TrainConfig` by name."""

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, TypeVar, get_type_hints

import typer

from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from imgcli.records import TrainConfig

Command = TypeVar("Command", bound=Callable[..., Any])


def _option(panel: str, name: str, text: str, usual: str | None = None, **more: Any) -> Any:
    """An option in a panel of the help, and what that says of its default."""
    shown = usual or False
    return typer.Option(name, show_default=shown, rich_help_panel=panel, help=text, **more)


_network = partial(_option, "Network")
_training = partial(_option, "Training")


class Choices(TypedDict):
    """What `train` can be asked for; None for a choice that is left to `TrainConfig`."""

    arch: Annotated[
        str | None,
        _network(
            "--arch",
            "A timm or torchvision model, alexnet, flat-alexnet, narrow-alexnet, small-cnn, or "
            "layer notation such as 32C5-P2-64C5-P2-128.",
        ),
    ]
    freeze: Annotated[
        bool | None,
        _network(
            "--freeze",
            "Keep the pretrained backbone as it is and train a new head: minutes on a CPU.",
        ),
    ]
    weights: Annotated[
        Path | None,
        _network(
            "--weights",
            "Backbone weights to start from: .safetensors, or .pth of plain tensors.",
            metavar="FILE",
        ),
    ]
    pretrained: Annotated[
        bool | None,
        _network(
            "--pretrained/--no-pretrained",
            "Start from published weights, where the arch has any.",
            "pretrained",
        ),
    ]
    model_args: Annotated[
        list[str] | None,
        _network(
            "--model-arg",
            "Passed on to timm or torchvision, such as pad_type=same. Can be given again.",
            metavar="KEY=VALUE",
        ),
    ]
    image_size: Annotated[int | None, _network("--image-size", "Pixels.", "the arch's own")]
    fit: Annotated[
        Literal["squash", "crop", "pad"] | None,
        _network(
            "--fit",
            "How a photo becomes a square: the whole of it squashed, its centre, or padded.",
            "squash",
        ),
    ]
    epochs: Annotated[
        int | None,
        _training(
            "--epochs",
            "Passes over the training photos; for lbfgs, iterations at most.",
            "30; 10 from pretrained weights",
        ),
    ]
    batch_size: Annotated[int | None, _training("--batch-size", "Photos per step.", "64")]
    optimizer: Annotated[
        Literal["sgd", "adam", "adamw", "nmuon", "lbfgs", "ridge"] | None,
        _training(
            "--optimizer",
            "nmuon: Muon with Nesterov momentum. lbfgs and ridge fit a frozen backbone's head to "
            "its optimum: as softmax regression, or by least squares.",
            "adamw; lbfgs with --freeze",
        ),
    ]
    lr: Annotated[float | None, _training("--lr", "Peak learning rate.", "by optimizer")]
    momentum: Annotated[float | None, _training("--momentum", "For sgd and nmuon.", "0.9")]
    weight_decay: Annotated[
        float | None,
        _training(
            "--weight-decay",
            "Regularisation.",
            "by optimizer; lbfgs: chosen by cross-validation",
        ),
    ]
    schedule: Annotated[
        Literal["cosine", "one-cycle", "constant"] | None,
        _training(
            "--schedule",
            "How the learning rate goes. cosine: up for 5 % of the steps, down in half a cosine. "
            "one-cycle: up for 20 %, down in a line.",
            "cosine",
        ),
    ]
    label_smoothing: Annotated[
        float | None,
        _training("--label-smoothing", "Share of each label spread over all classes.", "0"),
    ]
    augment: Annotated[
        Literal["none", "shift", "small", "photo", "strong"] | None,
        _training(
            "--augment",
            "photo: random crops, mirrored. strong: and recoloured, pieces blotted out. "
            "shift: small moves, for signs and digits. small: whole pixels, mirrored, for tiny "
            "photos.",
            "photo; none with --freeze",
        ),
    ]
    mixup: Annotated[
        float | None,
        _training(
            "--mixup", "Learn from mixtures of two photos, such as with 0.2.", metavar="ALPHA"
        ),
    ]
    cutmix: Annotated[
        float | None,
        _training(
            "--cutmix",
            "Learn from photos with a piece of another, such as with 1.",
            metavar="ALPHA",
        ),
    ]
    test_flip: Annotated[
        bool | None,
        _training(
            "--test-flip/--no-test-flip",
            "Judge every photo together with its mirror image; twice the work of looking.",
        ),
    ]
    val_share: Annotated[
        float | None,
        _training(
            "--val-share",
            "Share of train held out for validation, where the dataset has no val part.",
            "0.1; with lbfgs 3 folds",
        ),
    ]
    patience: Annotated[
        int | None,
        _training(
            "--patience", "Stop after so many epochs without a better validation loss.", "10"
        ),
    ]
    precision: Annotated[
        Literal["auto", "fp32", "bf16"] | None,
        _training("--precision", "auto measures which is faster.", "auto"),
    ]
    track_test: Annotated[
        bool | None,
        _training(
            "--track-test", "Judge the test part after each epoch as well; entered in the ledger."
        ),
    ]


def with_choices(command: Command) -> Command:
    """Let typer see the choices that a command takes as `**choices: Unpack[Choices]`."""
    signature = inspect.signature(command, eval_str=True)
    own = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    chosen = [
        inspect.Parameter(
            name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None, annotation=annotation
        )
        for name, annotation in get_type_hints(Choices, include_extras=True).items()
    ]
    first = sum(p.default is p.empty for p in own)
    parameters = [*own[:first], *chosen, *own[first:]]
    command.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return command


def config_of(choices: Choices) -> "TrainConfig":
    """The choices as a config.

    Raises:
        WrongUsage: no network is named, or an argument for it is not KEY=VALUE.
    """
    from imgcli.records import TrainConfig

    asked: dict[str, Any] = {name: value for name, value in choices.items() if value is not None}
    if "arch" not in asked:
        raise WrongUsage("Name a network with --arch, such as --arch resnet101 --freeze.")
    asked["model_args"] = _model_args(asked.get("model_args", []))
    if "weights" in asked:
        asked["weights"] = str(asked["weights"])
    return TrainConfig(**asked)


def _model_args(pairs: list[str]) -> dict[str, Any]:
    """KEY=VALUE pairs; a value that reads as a Python literal is one, any other is text."""
    from ast import literal_eval

    parsed: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.isidentifier():
            raise WrongUsage(f"--model-arg {pair} is not KEY=VALUE, such as pad_type=same.")
        try:
            parsed[key] = literal_eval(value)
        except (ValueError, SyntaxError):
            parsed[key] = value
    return parsed
