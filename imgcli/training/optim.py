"""What moves the weights: optimizers by timm's names, with their learning rates in groups.

timm takes seconds to import and is imported by the functions that need it: a run that was trained
by one of the common optimizers is evaluated without.
"""

import difflib
from collections.abc import Collection
from typing import Any

import torch
from torch import nn

from imgcli.config import OptimConfig
from imgcli.errors import WrongUsage

SGD = ("sgd", "momentum")  # torch's own; timm's sgd uses Nesterov momentum by default
_FUSED = (*SGD, "adam", "adamw")  # that torch steps in one pass over the weights, not in ten
_MUON = ("muon", "nmuon")
# timm's names that need other packages or gradients of gradients, or repeat --nesterov.
_LEFT_OUT = ("bnb", "fused", "kron", "adahessian", "nesterov", "larc", "nlarc")


def optimizers() -> list[str]:
    """The names that `--optimizer` takes for a training by steps."""
    from timm.optim import list_optimizers

    names = map(str, list_optimizers())
    return [name for name in names if not name.startswith(_LEFT_OUT)]


def has_momentum(name: str) -> bool:
    """Whether the optimizer called `name` takes --momentum."""
    if name in _FUSED:
        return name in SGD
    from timm.optim import get_optimizer_info

    return bool(get_optimizer_info(name).has_momentum)


def default_rate(name: str) -> float:
    """The peak learning rate for weights that begin at random."""
    if name in _MUON:
        return 0.02
    if not has_momentum(name):
        return 3e-4
    return 1e-3 if name.startswith(("rmsprop", "crmsprop", "lion")) else 0.01


def default_decay(name: str) -> float:
    """The weight decay: decoupled ones stand much larger values."""
    decays = {"sgd": 5e-4, "momentum": 5e-4, "adamw": 0.05, "nadamw": 0.05, "lion": 0.5}
    return decays.get(name, 0.0)


def check_optimizer(name: str) -> None:
    """Refuse a name that is none, with the nearest ones.

    Raises:
        WrongUsage: with those names.
    """
    if name in _FUSED or name in (known := optimizers()):
        return
    close = difflib.get_close_matches(name, known, n=3)
    meant = f" Did you mean {', '.join(close)}?" if close else ""
    raise WrongUsage(
        f"--optimizer {name} is not known.{meant} There is lbfgs for a frozen backbone's head, and "
        f"of timm: {', '.join(known)}."
    )


def make_optimizer(module: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """The config's optimizer over all parameters of a module, of which `decaying` ones decay."""
    from timm.optim import create_optimizer_v2

    assert config.optimizer and isinstance(config.lr, float)
    own: dict[str, Any] = {}
    if config.optimizer in SGD:
        own = {"nesterov": bool(config.nesterov), "dampening": config.dampening or 0.0}
    if config.optimizer in _FUSED:
        own["fused"] = True
    if config.momentum is not None:
        own["momentum"] = config.momentum
    optimizer: torch.optim.Optimizer = create_optimizer_v2(
        _layer_groups(module, config) if config.layer_decay else module,
        opt=config.optimizer,
        lr=config.lr,
        weight_decay=config.weight_decay or 0.0,
        **own,
    )
    return optimizer


def decaying(module: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters with weight decay, by name, as in timm.

    Not biases, norms, and the exceptions of a network: tokens, tables of positions.
    """
    spared: Collection[str] = getattr(module, "no_weight_decay", set)()
    return {
        name: parameter
        for name, parameter in module.named_parameters()
        if parameter.ndim > 1 and not name.endswith(".bias") and name not in spared
    }


def _layer_groups(module: nn.Module, config: OptimConfig) -> list[dict[str, Any]]:
    """A group per layer and kind of weight, its `lr_scale` the smaller the earlier the layer."""
    levels, decay_too = levels_of(module), decaying(module)
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        groups.setdefault((levels[name], name in decay_too), []).append(parameter)
    last, decay = max(levels.values()), config.layer_decay or 1.0
    return [
        {
            "params": parameters,
            "lr_scale": decay ** (last - level),
            "weight_decay": (config.weight_decay or 0.0) if decays else 0.0,
        }
        for (level, decays), parameters in groups.items()
    ]


def levels_of(module: nn.Module) -> dict[str, int]:
    """How far from the input each parameter stands, by name: as timm says, else layer by layer.

    A bias or a norm belongs to the layer before it; a classifier's head comes last.
    """
    levels: dict[str, int] = {}
    backbone = getattr(module, "backbone", None)
    if backbone is not None and hasattr(backbone, "group_matcher"):
        from timm.models import group_parameters

        found = group_parameters(backbone, backbone.group_matcher(), reverse=True)
        levels = {f"backbone.{name}": int(level) for name, level in found.items()}
    level = max(levels.values(), default=-1)
    for name, parameter in module.named_parameters():
        if name not in levels:
            level += parameter.ndim > 1
            levels[name] = max(level, 0)
    return levels


def set_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every group its share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
