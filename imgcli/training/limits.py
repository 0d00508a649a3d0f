"""What a choice may be: numbers within what they can mean, names that exist."""

import math
from typing import NamedTuple

from imgcli.errors import WrongUsage
from imgcli.records import TrainConfig
from imgcli.training.augment import RECIPES
from imgcli.training.lr_schedules import SCHEDULES


class Limits(NamedTuple):
    """Finite numbers from `low` to `high`, both allowed unless the second half says otherwise."""

    low: float = 0.0
    high: float = math.inf
    above: bool = False  # `low` itself is not allowed
    below: bool = False  # `high` itself is not allowed
    zero: bool = False  # 0, for without, is allowed as well

    def hold(self, value: float) -> bool:
        left = value > self.low if self.above else value >= self.low
        right = value < self.high if self.below else value <= self.high
        return math.isfinite(value) and ((left and right) or (self.zero and value == 0))

    def __str__(self) -> str:
        left = f"{'above' if self.above else 'at least'} {self.low:g}"
        left = f"0, or {left}" if self.zero else left
        if self.high == math.inf:
            return left
        return f"{left} and {'below' if self.below else 'at most'} {self.high:g}"


_POSITIVE = Limits(above=True)
_SHARE = Limits(high=1.0, below=True)

SEEDS = Limits(high=2**32 - 1)  # that NumPy and scikit-learn take

LIMITS = {
    "unfreeze_after": Limits(low=1),
    "image_size": _POSITIVE,
    "epochs": _POSITIVE,
    "batch_size": _POSITIVE,
    "grow_batch": _POSITIVE,
    "lr": _POSITIVE,
    "dropout": _SHARE,
    "momentum": _SHARE,
    "dampening": Limits(high=1.0),
    "warmup": Limits(),
    "decay_every": _POSITIVE,
    "decay_factor": Limits(high=1.0, above=True, below=True),
    "layer_decay": Limits(high=1.0, above=True),
    "patience": _POSITIVE,
    "val_share": Limits(high=0.9, below=True),
    "weight_decay": Limits(),
    "l1": Limits(),
    "label_smoothing": _SHARE,
    "clip_norm": _POSITIVE,
    "ema": _SHARE,
    "zoom": Limits(high=1.0, above=True),
    "shift": Limits(high=0.5),
    "rotate": Limits(high=180.0),
    "shear": Limits(high=60.0),
    "elastic": Limits(high=0.2),
    "colour": Limits(high=1.0),
    "erase": Limits(high=1.0),
    "rand_augment": Limits(high=30.0),
    "labels_per_class": Limits(low=1),
    "confidence": Limits(high=1.0),
    # Outside these float32 draws nothing but halves from the beta distribution.
    "mixup": Limits(low=0.01, high=100.0, zero=True),
    "cutmix": Limits(low=0.01, high=100.0, zero=True),
    "seed": SEEDS,
}
# Of a head that is fitted to its optimum. Without regularisation it has none where photos are
# fewer than features or classes can be told apart by a plane; float32 cannot find it below this.
HEAD_DECAY = Limits(low=1e-6, high=1e6)
KNOWN: dict[str, tuple[object, ...]] = {
    "channels": (1, 3),
    "schedule": tuple(SCHEDULES),
    "augment": tuple(RECIPES),
    "norms": ("batch", "kept"),
    "balance": ("loss", "sample"),
    "pick": ("random", "representative"),
}


def option(name: str) -> str:
    """A choice's name as it is typed."""
    return "--" + name.replace("_", "-")


def check_limit(name: str, value: float, limits: Limits, why: str = "") -> None:
    """Refuse a value outside its limits.

    Raises:
        WrongUsage: as said.
    """
    if not limits.hold(value):
        finite = "" if math.isfinite(value) else "a finite number "
        raise WrongUsage(f"{option(name)} {value:g} must be {finite}{limits}{why}.")


def check_limits(config: TrainConfig) -> None:
    """Refuse what no choice can mean.

    Raises:
        WrongUsage: the first such choice, its value, and what it may be.
    """
    for name, limits in LIMITS.items():
        value = getattr(config, name)
        if isinstance(value, int | float):
            check_limit(name, value, limits)
    for name, known in KNOWN.items():
        value = getattr(config, name)
        if value is not None and value not in known:
            raise WrongUsage(
                f"{option(name)} {value} is not known; use {', '.join(map(str, known))}."
            )
    if isinstance(config.lr, str) and config.lr != "auto":
        raise WrongUsage(f"--lr {config.lr} is neither a number nor auto.")
