"""`imgcli train`: a network learns the classes of a dataset."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from imgcli.cli.options import Data, Device, Json, Quiet, Seed
from imgcli.errors import WrongUsage

if TYPE_CHECKING:
    from imgcli.records import TrainConfig
    from imgcli.workspace import Run

NETWORK, TRAINING, RESUMING = "Network", "Training", "Going on"

Arch = Annotated[
    str | None,
    typer.Option(
        "--arch",
        show_default=False,
        rich_help_panel=NETWORK,
        help="A timm or torchvision model, alexnet, flat-alexnet, narrow-alexnet, small-cnn, or "
        "layer notation such as 32C5-P2-64C5-P2-128.",
    ),
]
Freeze = Annotated[
    bool,
    typer.Option(
        "--freeze",
        rich_help_panel=NETWORK,
        help="Keep the pretrained backbone as it is and train a new head: minutes on a CPU.",
    ),
]
Weights = Annotated[
    Path | None,
    typer.Option(
        "--weights",
        metavar="FILE",
        show_default=False,
        rich_help_panel=NETWORK,
        help="Backbone weights to start from: .safetensors, or .pth of plain tensors.",
    ),
]
Pretrained = Annotated[
    bool,
    typer.Option(
        "--pretrained/--no-pretrained",
        rich_help_panel=NETWORK,
        help="Start from published weights, where the arch has any.",
    ),
]
ModelArg = Annotated[
    list[str] | None,
    typer.Option(
        "--model-arg",
        metavar="KEY=VALUE",
        show_default=False,
        rich_help_panel=NETWORK,
        help="Passed on to timm or torchvision, such as pad_type=same. Can be given again.",
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        "--image-size", show_default="the arch's own", rich_help_panel=NETWORK, help="Pixels."
    ),
]
FitHow = Annotated[
    Literal["squash", "crop", "pad"],
    typer.Option(
        "--fit",
        rich_help_panel=NETWORK,
        help="How a photo becomes a square: the whole of it squashed, its centre, or padded.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        show_default="30; 10 from pretrained weights",
        rich_help_panel=TRAINING,
        help="Passes over the training photos; for lbfgs, iterations at most.",
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        "--batch-size", show_default="64", rich_help_panel=TRAINING, help="Photos per step."
    ),
]
Optimizer = Annotated[
    Literal["sgd", "adam", "adamw", "nmuon", "lbfgs", "ridge"] | None,
    typer.Option(
        "--optimizer",
        show_default="adamw; lbfgs with --freeze",
        rich_help_panel=TRAINING,
        help="nmuon: Muon with Nesterov momentum. lbfgs and ridge fit a frozen backbone's head to "
        "its optimum: as softmax regression, or by least squares.",
    ),
]
Lr = Annotated[
    float | None,
    typer.Option(
        "--lr",
        show_default="by optimizer",
        rich_help_panel=TRAINING,
        help="Peak learning rate.",
    ),
]
Schedule = Annotated[
    Literal["cosine", "one-cycle", "constant"] | None,
    typer.Option(
        "--schedule",
        show_default="cosine",
        rich_help_panel=TRAINING,
        help="How the learning rate goes. cosine: up for 5 % of the steps, down in half a cosine. "
        "one-cycle: up for 20 %, down in a line.",
    ),
]
Momentum = Annotated[
    float | None,
    typer.Option(
        "--momentum", show_default="0.9", rich_help_panel=TRAINING, help="For sgd and nmuon."
    ),
]
WeightDecay = Annotated[
    float | None,
    typer.Option(
        "--weight-decay",
        show_default="by optimizer; lbfgs: chosen by cross-validation",
        rich_help_panel=TRAINING,
        help="Regularisation.",
    ),
]
LabelSmoothing = Annotated[
    float | None,
    typer.Option(
        "--label-smoothing",
        show_default="0",
        rich_help_panel=TRAINING,
        help="Share of each label spread over all classes.",
    ),
]
Augment = Annotated[
    Literal["none", "shift", "small", "photo", "strong"] | None,
    typer.Option(
        "--augment",
        show_default="photo; none with --freeze",
        rich_help_panel=TRAINING,
        help="photo: random crops, mirrored. strong: and recoloured, pieces blotted out. "
        "shift: small moves, for signs and digits. small: whole pixels, mirrored, for tiny photos.",
    ),
]
Mixup = Annotated[
    float | None,
    typer.Option(
        "--mixup",
        metavar="ALPHA",
        show_default=False,
        rich_help_panel=TRAINING,
        help="Learn from mixtures of two photos, such as with 0.2.",
    ),
]
Cutmix = Annotated[
    float | None,
    typer.Option(
        "--cutmix",
        metavar="ALPHA",
        show_default=False,
        rich_help_panel=TRAINING,
        help="Learn from photos with a piece of another, such as with 1.",
    ),
]
TestFlip = Annotated[
    bool | None,
    typer.Option(
        "--test-flip/--no-test-flip",
        show_default=False,
        rich_help_panel=TRAINING,
        help="Judge every photo together with its mirror image; twice the work of looking.",
    ),
]
ValShare = Annotated[
    float | None,
    typer.Option(
        "--val-share",
        show_default="0.1; with lbfgs 3 folds",
        rich_help_panel=TRAINING,
        help="Share of train held out for validation, where the dataset has no val part.",
    ),
]
Patience = Annotated[
    int | None,
    typer.Option(
        "--patience",
        show_default="10",
        rich_help_panel=TRAINING,
        help="Stop after so many epochs without a better validation loss.",
    ),
]
Precision = Annotated[
    Literal["auto", "fp32", "bf16"],
    typer.Option("--precision", rich_help_panel=TRAINING, help="auto measures which is faster."),
]
TrackTest = Annotated[
    bool,
    typer.Option(
        "--track-test",
        rich_help_panel=TRAINING,
        help="Judge the test part after each epoch as well; entered in the ledger.",
    ),
]
Runs = Annotated[Path, typer.Option("--out", help="Folder that gets the run's folder.")]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        rich_help_panel=RESUMING,
        help="Go on with the newest unfinished run, by its own choices.",
    ),
]
Resumed = Annotated[
    str | None,
    typer.Option(
        "--run", show_default=False, rich_help_panel=RESUMING, help="The run to --resume."
    ),
]


def train(
    context: typer.Context,
    arch: Arch = None,
    freeze: Freeze = False,
    weights: Weights = None,
    pretrained: Pretrained = True,
    model_arg: ModelArg = None,
    image_size: ImageSize = None,
    fit: FitHow = "squash",
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    optimizer: Optimizer = None,
    lr: Lr = None,
    momentum: Momentum = None,
    weight_decay: WeightDecay = None,
    schedule: Schedule = None,
    label_smoothing: LabelSmoothing = None,
    augment: Augment = None,
    mixup: Mixup = None,
    cutmix: Cutmix = None,
    test_flip: TestFlip = None,
    val_share: ValShare = None,
    patience: Patience = None,
    precision: Precision = "auto",
    track_test: TrackTest = False,
    data: Data = Path("dataset"),
    out: Runs = Path("runs"),
    seed: Seed = 0,
    device: Device = "auto",
    resume: Resume = False,
    run: Resumed = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Train a network on the train part of a dataset.

    With --freeze the backbone looks at each photo once and a new head is
    fitted to its features; without it all weights learn. The run's folder
    under OUT holds the weights, every choice and the history; OUT/latest
    points to it. The test part is not looked at.

    Examples:

      imgcli train --arch resnet101 --freeze

      imgcli train --arch alexnet --epochs 60 --lr 0.01 --optimizer sgd
    """
    from imgcli import workspace
    from imgcli.progress import be_quiet
    from imgcli.records import TrainConfig

    be_quiet(quiet)
    unfinished = None
    if resume:
        _refuse_choices(context)
        unfinished = workspace.unfinished_run(run, out)
        config, data = unfinished.config, unfinished.data
    elif arch is None:
        raise WrongUsage("Name a network with --arch, such as --arch resnet101 --freeze.")
    elif run is not None:
        raise WrongUsage(f"--run {run} goes with --resume; a new training gets its own folder.")
    else:
        config = TrainConfig(
            arch=arch,
            model_args=parse_model_args(model_arg or []),
            freeze=freeze,
            pretrained=pretrained,
            weights=str(weights) if weights else None,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            momentum=momentum,
            optimizer=optimizer,
            weight_decay=weight_decay,
            schedule=schedule,
            label_smoothing=label_smoothing,
            augment=augment,
            mixup=mixup,
            cutmix=cutmix,
            test_flip=test_flip,
            image_size=image_size,
            fit=fit,
            val_share=val_share,
            patience=patience,
            seed=seed,
            track_test=track_test,
            precision=precision,
        )
    train_and_show(config, data, out, device, unfinished, json=json)


def train_and_show(
    config: "TrainConfig",
    data: Path,
    runs: Path,
    device: str,
    unfinished: "Run | None",
    *,
    json: bool,
) -> "Run":
    """Train, draw the history, and print what came of it."""
    from imgcli.cli.console import note, show, show_json
    from imgcli.learn.stages import train_run

    result = train_run(config, data, runs, device, unfinished)

    # After the training, so that what is wrong with it is said before drawing is loaded.
    from imgcli.report import figures
    from imgcli.report.runs import leaking, trained, unreadable

    shown = result.run.folder / "history.csv"
    if sum(row["part"] == "train" for row in result.history) > 1:  # else there is no curve
        shown = result.run.folder / "figures" / "history.png"
        figures.save(figures.history(result.history, kept=result.document["kept_epoch"]), shown)
    if json:
        show_json(result.document)
    else:
        show(*trained(result.document, shown, _next(runs)))
    for line in (*unreadable(result.rejected), *leaking(result.leaks)):
        note(line)
    return result.run


def parse_model_args(pairs: list[str]) -> dict[str, Any]:
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


def _refuse_choices(context: typer.Context) -> None:
    """A resumed run goes by its own choices; any other given beside --resume is a mistake."""
    allowed = {"resume", "run", "out", "device", "json", "quiet"}
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in allowed and source is not None and source.name == "COMMANDLINE":
            option = "--" + name.replace("_", "-")
            raise WrongUsage(f"{option} does not go with --resume, which keeps the run's choices.")


def _next(runs: Path) -> list[str]:
    """The commands that follow, as they must be typed here."""
    run = "" if runs == Path("runs") else f" --run {runs}/latest"
    return [f"imgcli evaluate --folds 10{run}", f"imgcli suggest-merges{run}"]
