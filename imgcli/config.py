"""What a training can be asked for: every choice once, with its default, unit, limits and help.

    TrainConfig
    ├── model    ModelConfig      the network and the weights it starts from
    ├── optim    OptimConfig      how weights are optimised and regularised
    ├── augment  AugmentConfig    how training photos are varied
    ├── data     DataConfig       which photos train, and which validate
    └── seed

The options of `imgcli train`, the axes of `imgcli tune`, `config.json` and the error messages are
made from these fields. A field of None is left to a default that depends on other choices;
`training.resolve_defaults` fills it in before anything starts, so that a stored config leaves
nothing open but a weight decay that is chosen by cross-validation.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache, partial
from types import NoneType
from typing import Any, Literal, NamedTuple, Self, get_args, get_origin, get_type_hints

from imgcli.errors import WrongUsage

Fit = Literal["squash", "crop", "pad"]
MAX_SHIFT = 64  # pixels, of test-time augmentation
PLUS = "+"  # between the networks of an arch


class Limits(NamedTuple):
    """Finite numbers from `low` to `high`, the ends included unless it says otherwise."""

    low: float = 0.0
    high: float = math.inf
    above: bool = False  # `low` itself is not allowed
    below: bool = False  # `high` itself is not allowed
    zero: bool = False  # 0, for without, is allowed too

    def hold(self, value: float) -> bool:
        left = value > self.low if self.above else value >= self.low
        right = value < self.high if self.below else value <= self.high
        return math.isfinite(value) and ((left and right) or (self.zero and value == 0))

    def check(self, option: str, value: float, why: str = "") -> None:
        """Refuse a value outside.

        Raises:
            WrongUsage: with the option, the value, the limits, and what follows them.
        """
        if not self.hold(value):
            finite = "" if math.isfinite(value) else "a finite number "
            raise WrongUsage(f"{option} {value:g} must be {finite}{self}{why}.")

    def __str__(self) -> str:
        left = f"{'above' if self.above else 'at least'} {self.low:g}"
        left = f"0, or {left}" if self.zero else left
        if self.high == math.inf:
            return left
        return f"{left} and {'below' if self.below else 'at most'} {self.high:g}"


class GroupBy(NamedTuple):
    """What says which photos belong together; see `photos.grouping`."""

    specs: tuple[str, ...] = ()  # patterns, column:NAME, provenance:FIELD, exif:burst
    table: str | None = None  # for column:NAME
    only_duplicates: bool = False  # without what the dataset itself was grouped by


NO_GROUP_BY = GroupBy()
POSITIVE = Limits(above=True)
SHARE = Limits(high=1.0, below=True)
SEEDS = Limits(high=2**32 - 1)  # that NumPy and scikit-learn take
# L2 penalty of a head that is fitted to its optimum. Without regularisation there is none where
# photos are fewer than features or classes are linearly separable; float32 cannot find it below.
HEAD_DECAY = Limits(low=1e-6, high=1e6)
# Outside these, float32 draws nothing but halves from the beta distribution.
BETA = Limits(low=0.01, high=100.0, zero=True)


GROUP_BY_HELP = (
    "Photos that belong together and stay on one side: by a regular expression on "
    "CLASS/PHOTO whose parentheses find the group, such as '(p[0-9]+)_', or column:NAME of a "
    "table, provenance:FIELD, exif:burst[=SECONDS]. Repeatable; joined with near-duplicates."
)
GROUP_TABLE_HELP = (
    "Table for --group-by column:NAME, by default one inside or beside the folder that has it."
)


class Help(NamedTuple):
    """How a field is asked for on the command line."""

    panel: str
    text: str
    default: str | None = None  # as the help names it, where it depends on other choices
    metavar: str | None = None
    limits: Limits | None = None
    flag: str | None = None  # where it is not made of the field's name
    negated: bool = False  # whether there is a --no- form


def _field(
    panel: str, text: str, default: str | None = None, value: Any = None, **more: Any
) -> Any:
    """A field whose value is None, or `value`, with its `Help`."""
    metadata = {"help": Help(panel, text, default, **more)}
    if isinstance(value, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=value, metadata=metadata)


_network = partial(_field, "Network")
_training = partial(_field, "Training")
_regularisation = partial(_field, "Regularisation")
_augmentation = partial(_field, "Augmentation")
_labels = partial(_field, "Few labels")


@dataclass(frozen=True)
class ModelConfig:
    """The network and the weights it starts from."""

    arch: str = _network(
        "A network of timm, torchvision or the zoo (`imgcli archs` lists them), or layer notation "
        "such as 32C5-P2-64C5-P2-128. With --freeze also several, whose features are joined: a+b.",
        value="",
    )
    notation: str | None = None  # the layers of a name of the zoo, whatever becomes of the zoo
    model_args: Mapping[str, Any] = _network(
        "Keyword argument of the timm or torchvision model, such as pad_type=same. Repeatable.",
        metavar="KEY=VALUE",
        flag="--model-arg",
        value={},
    )
    dropout: float | None = _network(
        "Dropout probability, for every dropout layer of the network.", limits=SHARE
    )
    batchnorm: bool | None = _network(
        "Batch norm before every activation, or nowhere.", negated=True
    )
    activation: str | None = _network(
        "Activation of all layers that name none: relu, gelu, tanh, …", metavar="NAME"
    )
    init: str | None = _network(
        "Initialisation of weights that are not pretrained: default, xavier-normal, "
        "xavier-uniform, kaiming-normal, kaiming-uniform, identity.",
        metavar="NAME",
    )
    freeze: bool = _network(
        "Freeze the pretrained backbone and train a new head: minutes on a CPU.", value=False
    )
    unfreeze_after: int | None = _network(
        "With --freeze: unfreeze the backbone after this many epochs.",
        metavar="EPOCHS",
        limits=Limits(low=1),
    )
    norms: Literal["batch", "kept"] | None = _network(
        "Batch-norm statistics in training: of each batch (batch), or frozen as they came with the "
        "weights (kept).",
        "kept with pretrained weights",
    )
    pretrained: bool = _network(
        "Start from published weights, where the arch has any.",
        "pretrained",
        negated=True,
        value=True,
    )
    weights: str | None = _network(
        "Weights to start from: a run's folder, a .safetensors file, a checkpoint of another tool "
        "(read as data), a folder of Hugging Face's layout, or a repository of its hub: "
        "hf://owner/name[@revision].",
        metavar="PATH|hf://…",
    )
    image_size: int | None = _network(
        "Height and width of the input in pixels.", "the arch's own", limits=POSITIVE
    )
    channels: Literal[1, 3] | None = _network(
        "Colour channels of the input: 3, or 1 for grey.", "the arch's own"
    )
    fit: Fit = _network(
        "How a photo is made square: resized without keeping the aspect ratio (squash), its "
        "centre cropped (crop), or padded (pad).",
        "squash",
        value="squash",
    )
    mirror: bool | None = _network(
        "With --freeze: the features of a photo and of its mirror image, joined.",
        "no",
        negated=True,
    )
    feature_power: float | None = _network(
        "With --freeze: the power of each feature that the head sees, sign(x)·|x|^P.",
        "1",
        metavar="P",
        limits=Limits(high=1.0, above=True),
    )
    test_flip: bool | None = _network(
        "Test-time augmentation: average the predictions of each photo and its mirror image.",
        negated=True,
    )
    test_shift: int | None = _network(
        "Test-time augmentation: average the predictions of each photo and of it shifted so far "
        "along the diagonal, both ways; with --test-flip, of their mirror images too.",
        "0",
        metavar="PIXELS",
        limits=Limits(high=MAX_SHIFT),
    )

    @property
    def archs(self) -> list[str]:
        """The networks whose features are joined; one, where `arch` is not `a+b`."""
        return [name.strip() for name in self.arch.split(PLUS)]

    @property
    def frozen(self) -> bool:
        """Whether the backbone is never trained, so that a photo's features are always the same."""
        return self.freeze and self.unfreeze_after is None


@dataclass(frozen=True)
class OptimConfig:
    """How weights are optimised and regularised."""

    epochs: int | None = _training(
        "Passes over the training photos; for lbfgs, the limit of iterations.",
        "30; 10 from pretrained weights",
        limits=POSITIVE,
    )
    batch_size: int | None = _training("Photos per step.", "64", limits=POSITIVE)
    grow_batch: int | None = _training(
        "Photos per step in the last epoch; the batch grows by the same factor each epoch.",
        metavar="PHOTOS",
        limits=POSITIVE,
    )
    optimizer: str | None = _training(
        "sgd, momentum, adam, adamw, rmsprop, lamb, lion, nmuon or any other of timm's. For the "
        "head of a frozen backbone also lbfgs: softmax regression, fitted to its optimum.",
        "adamw; lbfgs with --freeze",
        metavar="NAME",
    )
    lr: float | Literal["auto"] | None = _training(
        "Peak learning rate; auto finds one by a learning-rate range test of a hundred steps.",
        "by optimizer",
        metavar="RATE|auto",
        limits=POSITIVE,
    )
    momentum: float | None = _training("Momentum of the optimizer.", "0.9", limits=SHARE)
    dampening: float | None = _training(
        "Dampening of sgd's momentum.", "0", limits=Limits(high=1.0)
    )
    nesterov: bool | None = _training(
        "Nesterov momentum for sgd.", "nesterov for sgd", negated=True
    )
    schedule: (
        Literal["cosine", "one-cycle", "step", "exponential", "plateau", "constant"] | None
    ) = _training(
        "Learning-rate schedule. cosine: warm-up for 5 % of the epochs, then half a cosine. "
        "one-cycle: warm-up for 20 %, then linear. step, exponential: multiplied by a factor "
        "every few epochs. plateau: multiplied when the validation loss stops falling.",
        "cosine",
        metavar="NAME",
    )
    warmup: float | None = _training(
        "Epochs of warm-up, in which the learning rate rises to its peak.",
        "by schedule",
        metavar="EPOCHS",
        limits=Limits(),
    )
    decay_every: float | None = _training(
        "Epochs between two decays; for plateau, epochs without a lower validation loss.",
        "step: a third of all; exponential: 1; plateau: 5",
        metavar="EPOCHS",
        limits=POSITIVE,
    )
    decay_factor: float | None = _training(
        "Factor of each decay.",
        "0.1; exponential: 0.95",
        limits=Limits(high=1.0, above=True, below=True),
    )
    layer_decay: float | None = _training(
        "Layer-wise learning-rate decay: factor from each layer to the one before it.",
        metavar="FACTOR",
        limits=Limits(high=1.0, above=True),
    )
    patience: int | None = _training(
        "Early stopping: epochs without a lower validation loss; the best weights are kept.",
        "10",
        metavar="EPOCHS",
        limits=POSITIVE,
    )
    precision: Literal["auto", "fp32", "bf16"] = _training(
        "Floating-point precision; auto decides by processor and network.", "auto", value="auto"
    )
    weight_decay: float | None = _regularisation(
        "Weight decay (L2 penalty).",
        "by optimizer; lbfgs: chosen by cross-validation",
        limits=Limits(),
    )
    l1: float | None = _regularisation("L1 penalty.", "0", limits=Limits())
    label_smoothing: float | None = _regularisation(
        "Share of each label spread over all classes.", "0", limits=SHARE
    )
    clip_norm: float | None = _regularisation(
        "Clip gradients to this norm.", metavar="NORM", limits=POSITIVE
    )
    ema: float | None = _regularisation(
        "Exponential moving average (EMA) of the weights with this decay, such as 0.999.",
        metavar="DECAY",
        limits=SHARE,
    )
    balance: Literal["loss", "sample"] | None = _regularisation(
        "Balance classes: by weights in the loss, or by sampling rare classes more often."
    )

    @property
    def is_probe(self) -> bool:
        """Whether a head is fitted to its optimum on cached features, not trained by steps."""
        return self.optimizer in ("lbfgs", "ridge")  # ridge: in runs of older versions


@dataclass(frozen=True)
class AugmentConfig:
    """How training photos are varied: a recipe, and choices that replace parts of it."""

    recipe: Literal["none", "shift", "small", "photo", "strong"] | None = _augmentation(
        "photo: random crops, mirrored. strong: photo with colour jitter and random erasing. "
        "shift: small shifts, for signs and digits. small: shifts by whole pixels, mirrored, for "
        "tiny photos. The options below replace parts of it.",
        "photo; none with --freeze",
        metavar="NAME",
        flag="--augment",
    )
    zoom: float | None = _augmentation(
        "Random resized crops of at least this share of the area.",
        metavar="SHARE",
        limits=Limits(high=1.0, above=True),
    )
    shift: float | None = _augmentation(
        "Random shifts up to this share of the side.", metavar="SHARE", limits=Limits(high=0.5)
    )
    rotate: float | None = _augmentation(
        "Random rotations up to this angle, both ways.",
        metavar="DEGREES",
        limits=Limits(high=180.0),
    )
    shear: float | None = _augmentation(
        "Random shears up to this angle, both ways.", metavar="DEGREES", limits=Limits(high=60.0)
    )
    elastic: float | None = _augmentation(
        "Elastic deformation: standard deviation of the displacement as a share of the side, such "
        "as 0.02 for handwriting.",
        metavar="SHARE",
        limits=Limits(high=0.2),
    )
    flip: bool | None = _augmentation(
        "Mirror half of the photos in an epoch, left and right, and the others in the next.",
        negated=True,
    )
    colour: float | None = _augmentation(
        "Colour jitter: brightness, contrast and saturation up to this share.",
        metavar="SHARE",
        limits=Limits(high=1.0),
    )
    erase: float | None = _augmentation(
        "Random erasing of a rectangle in this share of the photos.",
        metavar="SHARE",
        limits=Limits(high=1.0),
    )
    rand_augment: int | None = _augmentation(
        "RandAugment with two operations of this magnitude, 0 to 30; slow on a CPU.",
        metavar="MAGNITUDE",
        limits=Limits(high=30.0),
    )
    mixup: float | None = _augmentation(
        "MixUp with this alpha, such as 0.2.", metavar="ALPHA", limits=BETA
    )
    cutmix: float | None = _augmentation(
        "CutMix with this alpha, such as 1.", metavar="ALPHA", limits=BETA
    )


@dataclass(frozen=True)
class DataConfig:
    """Which photos of the train part are trained on, and which validate."""

    val_share: float | None = _training(
        "Share of the train part held out for validation, where the dataset has no val part.",
        "0.1; with lbfgs 3 folds",
        limits=Limits(high=0.9, below=True),
    )
    group_by: tuple[str, ...] | None = _training(
        GROUP_BY_HELP + " A dataset of `imgcli split --group-by` has its groups already.",
        metavar="HOW",
    )
    group_table: str | None = _training(GROUP_TABLE_HELP, metavar="FILE")
    track_test: bool = _training(
        "Evaluate the test part after each epoch too; counted in the ledger.", value=False
    )
    labels_per_class: int | None = _labels(
        "Train on this many labelled photos of each class only.",
        metavar="N",
        limits=Limits(low=1),
    )
    pick: Literal["random", "representative"] | None = _labels(
        "Photos to label: a random sample, or those nearest the centre of their class.",
        "random",
    )
    pseudo_label: str | None = _labels(
        "Pseudo-labelling: folder of unlabelled photos; confident predictions of a first training "
        "become labels.",
        metavar="DIR",
    )
    confidence: float | None = _labels(
        "Minimum probability of a pseudo-label.", "0.95", metavar="SHARE", limits=Limits(high=1.0)
    )
    classes_at: str | None = _training(
        "Level of the class folders in the dataset, 1 being right inside, or a pattern of them.",
        "by their names and photos",
        metavar="LEVEL|PATTERN",
    )
    parts: str | None = _training(
        "Folders that are the parts train, val and test: learn=train,exam=test.",
        "by common names",
        metavar="NAME=PART",
    )
    bag: int | None = None  # number of the bootstrap sample of the training photos
    bag_of: int | None = None  # how many such networks are trained together

    @property
    def grouping(self) -> GroupBy:
        """What says which photos belong together."""
        return GroupBy(self.group_by or (), self.group_table)


@dataclass(frozen=True)
class TrainConfig:
    """Every choice that changes the result of a training; stored in the run as `config.json`.

    The names of all fields, with "augment" for the recipe, are one flat namespace: that of the
    options, of `config.json`, and of `of`, `with_` and `get`.
    """

    model: ModelConfig = ModelConfig()
    optim: OptimConfig = OptimConfig()
    augment: AugmentConfig = AugmentConfig()
    data: DataConfig = DataConfig()
    seed: int = 0

    @classmethod
    def of(cls, **values: Any) -> Self:
        """A config of these choices, by their flat names."""
        return cls().with_(**values)

    def with_(self, **values: Any) -> Self:
        """A copy with some choices replaced, by their flat names."""
        if unknown := values.keys() - _PLACES.keys():
            raise TypeError(f"no choice is called {min(unknown)!r}")
        changes = {
            name: replace(getattr(self, name), **new) if name in _KINDS else new
            for name, new in grouped(values).items()
        }
        return replace(self, **changes)

    def get(self, name: str) -> Any:
        """The value of a choice, by its flat name."""
        group, key = _PLACES[name]
        return getattr(getattr(self, group) if group else self, key)

    def changed(self) -> list[str]:
        """The flat names of the choices that are not left to their defaults."""
        default = type(self)()
        return [name for name in _PLACES if self.get(name) != default.get(name)]

    def to_json(self) -> dict[str, Any]:
        """All choices by their flat names, as plain JSON types."""
        values = {name: self.get(name) for name in _PLACES}
        by = self.data.group_by and list(self.data.group_by)
        return {**values, "model_args": dict(self.model.model_args), "group_by": by}


def grouped(values: Mapping[str, Any]) -> dict[str, Any]:
    """Choices by their flat names, in the groups of a TrainConfig; unknown names are left out."""
    groups: dict[str, Any] = {}
    for name, (group, key) in _PLACES.items():
        if name in values:
            place = groups.setdefault(group, {}) if group else groups
            place[key] = values[name]
    return groups


def _flat(field_name: str) -> str:
    return "augment" if field_name == "recipe" else field_name


_KINDS = {"model": ModelConfig, "optim": OptimConfig, "augment": AugmentConfig, "data": DataConfig}
# The group and the field of each choice, by its flat name.
_PLACES = {
    _flat(one.name): (group, one.name) for group, kind in _KINDS.items() for one in fields(kind)
} | {"seed": ("", "seed")}


# --- choices as options -------------------------------------------------------------------------


class Choice(NamedTuple):
    """One choice as a command asks for it."""

    name: str  # in the flat namespace
    option: str  # how it is typed, such as --batch-size
    kinds: tuple[type | tuple[Any, ...], ...]  # types, and the words of a Literal; without None
    value: Any  # where nothing is asked for
    help: Help

    @property
    def words(self) -> tuple[Any, ...]:
        """What it may be by name."""
        return tuple(word for kind in self.kinds if isinstance(kind, tuple) for word in kind)

    def check(self, value: Any) -> None:
        """Refuse a value that it cannot have.

        Raises:
            WrongUsage: with the value and what it may be.
        """
        if value in self.words:
            return
        if self.words and isinstance(value, str) and float in self.kinds:
            raise WrongUsage(f"{self.option} {value} is neither a number nor {self.words[0]}.")
        if self.words and float not in self.kinds:
            known = ", ".join(map(str, self.words))
            raise WrongUsage(f"{self.option} {value} is not known; use {known}.")
        if self.help.limits:
            self.help.limits.check(self.option, value)


def option(name: str) -> str:
    """How a choice is typed, such as --batch-size."""
    known = choices().get(name)
    return known.option if known else "--" + name.replace("_", "-")


@cache
def choices() -> Mapping[str, Choice]:
    """Every choice that can be asked for, by its flat name, in the order of the help."""
    found = {}
    for kind in _KINDS.values():
        types = get_type_hints(kind)
        for one in fields(kind):
            if text := one.metadata.get("help"):
                name = _flat(one.name)
                typed = text.flag or "--" + name.replace("_", "-")
                kinds = tuple(_members(types[one.name]))
                found[name] = Choice(name, typed, kinds, TrainConfig().get(name), text)
    return found


def _members(annotation: Any) -> list[Any]:
    """The types in an annotation, None left out; of a Literal its words."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return [parts]
    if origin is Mapping:
        return [dict]
    if origin is tuple:
        return [tuple]
    if not parts:
        return [] if annotation is NoneType else [annotation]
    return [kind for part in parts for kind in _members(part)]


# What trainings can be followed in, and the package that each needs; no choice of a config, for it
# decides no result.
TRACKERS: Mapping[str, str | None] = {
    "tensorboard": "tensorboard",
    "mlflow": "mlflow",
    "wandb": "wandb",
    "csv": None,
}
NO_TRACKER = "none"  # in place of all: not even those that a run has

DEVICES = ("auto", "cpu", "cuda", "mps")  # "auto" is cuda, or else cpu


def check_limits(config: TrainConfig) -> None:
    """Refuse values that no choice can have.

    Raises:
        WrongUsage: the first such choice, its value, and what it may be.
    """
    for choice in choices().values():
        value = config.get(choice.name)
        if value is not None:
            choice.check(value)
    SEEDS.check("--seed", config.seed)


def check_device(name: str) -> None:
    """Refuse a device that nothing runs on.

    Raises:
        WrongUsage: naming those that there are.
    """
    if name not in DEVICES:
        raise WrongUsage(
            f"--device {name} is not known; use {', '.join(DEVICES[:-1])} or {DEVICES[-1]}."
        )
