"""The choices of a training as options, each declared once: the fields of `TrainConfig` by name."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

import typer


def _option(panel: str, name: str, text: str, usual: str | None = None, **more: Any) -> Any:
    """An option in a panel of the help, and what that says of its default."""
    shown = usual or False
    return typer.Option(name, show_default=shown, rich_help_panel=panel, help=text, **more)


_network = partial(_option, "Network")
_training = partial(_option, "Training")
_regular = partial(_option, "Against learning by heart")
_augmentation = partial(_option, "Augmentation")
_labels = partial(_option, "Few labels")


Dropout = Annotated[
    float | None,
    _network("--dropout", "Share of the values left out, in every dropout of the network."),
]
Batchnorm = Annotated[
    bool | None,
    _network("--batchnorm/--no-batchnorm", "Batch norm before every activation; or nowhere."),
]
Activation = Annotated[
    str | None,
    _network("--activation", "Of all layers that name none: relu, gelu, tanh, …", metavar="NAME"),
]


class Choices(TypedDict):
    """What `train` can be asked for; None for a choice that is left to `TrainConfig`."""

    arch: Annotated[
        str | None,
        _network(
            "--arch",
            "A network of timm, torchvision or the zoo (`imgcli archs` lists them), or layer "
            "notation such as 32C5-P2-64C5-P2-128.",
        ),
    ]
    dropout: Dropout
    batchnorm: Batchnorm
    activation: Activation
    init: Annotated[
        str | None,
        _network(
            "--init",
            "How weights begin: default, xavier-normal, xavier-uniform, kaiming-normal, "
            "kaiming-uniform, identity.",
            metavar="NAME",
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
            "Weights to start from: a run's folder, or a file of backbone weights: .safetensors, "
            "or .pth of plain tensors.",
            metavar="PATH",
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
    channels: Annotated[
        int | None,
        _network(
            "--channels",
            "3, or 1 for a network that sees photos in grey.",
            "the arch's own",
        ),
    ]
    fit: Annotated[
        Literal["squash", "crop", "pad"] | None,
        _network(
            "--fit",
            "How a photo becomes a square: the whole of it squashed, its centre, or padded.",
            "squash",
        ),
    ]
    test_flip: Annotated[
        bool | None,
        _network(
            "--test-flip/--no-test-flip",
            "Judge every photo together with its mirror image; twice the work of looking.",
        ),
    ]
    unfreeze_after: Annotated[
        int | None,
        _network(
            "--unfreeze-after",
            "With --freeze: let the backbone learn as well after so many epochs.",
            metavar="EPOCHS",
        ),
    ]
    norms: Annotated[
        Literal["batch", "kept"] | None,
        _network(
            "--norms",
            "Batch norm by the statistics of each batch, or by those that the weights came with.",
            "kept where there are weights to start from",
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
    grow_batch: Annotated[
        int | None,
        _training(
            "--grow-batch",
            "Let the batch size grow to this, by the same factor each epoch.",
            metavar="PHOTOS",
        ),
    ]
    optimizer: Annotated[
        str | None,
        _training(
            "--optimizer",
            "sgd, momentum, adam, adamw, rmsprop, lamb, lion, nmuon or any other of timm's. lbfgs "
            "and ridge fit a frozen backbone's head to its optimum: as softmax regression, or by "
            "least squares.",
            "adamw; lbfgs with --freeze",
            metavar="NAME",
        ),
    ]
    lr: Annotated[
        str | None,
        _training(
            "--lr",
            "Peak learning rate; auto tries a hundred steps with rising rates and takes one "
            "before the loss rises.",
            "by optimizer",
            metavar="RATE|auto",
        ),
    ]
    momentum: Annotated[
        float | None,
        _training("--momentum", "Share of the last step that the next one keeps.", "0.9"),
    ]
    dampening: Annotated[
        float | None,
        _training("--dampening", "sgd: share of the gradient left out of the momentum.", "0"),
    ]
    nesterov: Annotated[
        bool | None,
        _training(
            "--nesterov/--no-nesterov", "sgd: look ahead along the momentum.", "nesterov for sgd"
        ),
    ]
    schedule: Annotated[
        Literal["cosine", "one-cycle", "step", "exponential", "plateau", "constant"] | None,
        _training(
            "--schedule",
            "How the learning rate goes. cosine: up for 5 % of the epochs, down in half a cosine. "
            "one-cycle: up for 20 %, down in a line. step, exponential: down by a factor every so "
            "many epochs. plateau: down when validation gets no better.",
            "cosine",
            metavar="NAME",
        ),
    ]
    warmup: Annotated[
        float | None,
        _training(
            "--warmup",
            "Epochs in which the learning rate rises to its peak.",
            "by schedule",
            metavar="EPOCHS",
        ),
    ]
    decay_every: Annotated[
        float | None,
        _training(
            "--decay-every",
            "Epochs after which it falls; for plateau, without a better validation loss.",
            "step: a third of all; exponential: 1; plateau: 5",
            metavar="EPOCHS",
        ),
    ]
    decay_factor: Annotated[
        float | None,
        _training("--decay-factor", "What it falls by.", "0.1; exponential: 0.95"),
    ]
    layer_decay: Annotated[
        float | None,
        _training(
            "--layer-decay",
            "Smaller learning rates for earlier layers: this factor from each to the one before.",
            metavar="FACTOR",
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
            "--patience",
            "Stop after so many epochs without a better validation loss; the best weights are "
            "kept.",
            "10",
            metavar="EPOCHS",
        ),
    ]
    weight_decay: Annotated[
        float | None,
        _regular(
            "--weight-decay", "L2 regularisation.", "by optimizer; lbfgs: chosen by validation"
        ),
    ]
    l1: Annotated[
        float | None,
        _regular("--l1", "L1 regularisation: times the sum of all weights' magnitudes.", "0"),
    ]
    label_smoothing: Annotated[
        float | None,
        _regular("--label-smoothing", "Share of each label spread over all classes.", "0"),
    ]
    clip_norm: Annotated[
        float | None, _regular("--clip-norm", "Shorten gradients that are longer than this.")
    ]
    ema: Annotated[
        float | None,
        _regular(
            "--ema",
            "Keep the moving average of the weights, such as with 0.999.",
            metavar="DECAY",
        ),
    ]
    balance: Annotated[
        Literal["loss", "sample"] | None,
        _regular(
            "--balance",
            "Let rare classes weigh as much as frequent ones: in the loss, or by drawing their "
            "photos more often.",
        ),
    ]
    augment: Annotated[
        Literal["none", "shift", "small", "photo", "strong"] | None,
        _augmentation(
            "--augment",
            "photo: random crops, mirrored. strong: and recoloured, pieces blotted out. "
            "shift: small moves, for signs and digits. small: whole pixels, mirrored, for tiny "
            "photos. The options below change one part of it.",
            "photo; none with --freeze",
            metavar="NAME",
        ),
    ]
    zoom: Annotated[
        float | None,
        _augmentation(
            "--zoom", "Cut out a random part of at least this share of the area.", metavar="SHARE"
        ),
    ]
    shift: Annotated[
        float | None,
        _augmentation("--shift", "Move by up to this share of the side.", metavar="SHARE"),
    ]
    rotate: Annotated[
        float | None,
        _augmentation("--rotate", "Turn by up to so much, each way.", metavar="DEGREES"),
    ]
    shear: Annotated[
        float | None,
        _augmentation("--shear", "Slant by up to so much, each way.", metavar="DEGREES"),
    ]
    elastic: Annotated[
        float | None,
        _augmentation(
            "--elastic",
            "Bend: points move apart from each other by about this share of the side, such as "
            "0.02 for handwriting.",
            metavar="SHARE",
        ),
    ]
    flip: Annotated[
        bool | None,
        _augmentation("--flip/--no-flip", "Mirror half of the photos, left and right."),
    ]
    colour: Annotated[
        float | None,
        _augmentation(
            "--colour",
            "Change brightness, contrast and saturation by up to this share.",
            metavar="SHARE",
        ),
    ]
    erase: Annotated[
        float | None,
        _augmentation(
            "--erase", "Blot out a rectangle in this share of the photos.", metavar="SHARE"
        ),
    ]
    rand_augment: Annotated[
        int | None,
        _augmentation(
            "--rand-augment",
            "Two random changes to each photo, of this magnitude from 0 to 30; slow on a CPU.",
            metavar="MAGNITUDE",
        ),
    ]
    mixup: Annotated[
        float | None,
        _augmentation(
            "--mixup", "Learn from mixtures of two photos, such as with 0.2.", metavar="ALPHA"
        ),
    ]
    cutmix: Annotated[
        float | None,
        _augmentation(
            "--cutmix",
            "Learn from photos with a piece of another, such as with 1.",
            metavar="ALPHA",
        ),
    ]
    labels_per_class: Annotated[
        int | None,
        _labels(
            "--labels-per-class",
            "Learn from so many labelled photos of each class only.",
            metavar="N",
        ),
    ]
    pick: Annotated[
        Literal["random", "representative"] | None,
        _labels(
            "--pick",
            "Which: drawn at random, or those nearest their class's centre by features or pixels.",
            "random",
        ),
    ]
    pseudo_label: Annotated[
        Path | None,
        _labels(
            "--pseudo-label",
            "Folder of unlabelled photos; those that a first training is sure of are learnt from "
            "as well.",
            metavar="DIR",
        ),
    ]
    confidence: Annotated[
        float | None,
        _labels("--confidence", "How sure it must be.", "0.95", metavar="SHARE"),
    ]
    precision: Annotated[
        Literal["auto", "fp32", "bf16"] | None,
        _training("--precision", "auto goes by the device and the network.", "auto"),
    ]
    track_test: Annotated[
        bool | None,
        _training(
            "--track-test", "Judge the test part after each epoch as well; entered in the ledger."
        ),
    ]
