"""What config.json says beside weights, as timm and the hub have it: the network and its input.

    {"architecture": "resnet18", "num_classes": 3, "label_names": ["cat", "dog", "owl"],
     "model_args": {"in_chans": 1}, "pretrained_cfg": {"input_size": [1, 224, 224], "mean": [0.5],
     "std": [0.5], "interpolation": "bicubic", "crop_pct": 1.0, "crop_mode": "squash"}}

Weights are a start for photos that are prepared as theirs were.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Any

from imgcli.records import Preprocess

_ARGS = ("in_chans", "img_size")  # of timm's, which are options of their own here
_FITS = {"squash": "squash", "border": "pad"}  # of a folder that imgcli made


def choices_of(config: Mapping[str, Any], arch: str | None = None) -> dict[str, Any]:
    """The choices of a training that follow from config.json; none where it is not timm's.

    Args:
        arch: that was asked for; of another network, nothing follows.
    """
    from imgcli.models.catalogue import of_libraries

    named = config.get("architecture")
    if named not in {one.name for one in of_libraries().timm}:
        return {}
    if arch is not None and arch.partition(".")[0] != named:
        return {}
    found: dict[str, Any] = {"arch": named}
    input_size, args = _cfg(config).get("input_size"), config.get("model_args")
    if isinstance(input_size, Sequence) and [type(n) for n in input_size] == [int] * 3:
        channels, height, width = input_size
        found |= {"image_size": height} if height == width else {}
        found |= {"channels": 1} if channels == 1 else {}
    if isinstance(args, Mapping) and (own := {k: v for k, v in args.items() if k not in _ARGS}):
        found["model_args"] = own
    if "imgcli" in config and (fit := _FITS.get(str(_cfg(config).get("crop_mode")), "crop")):
        found["fit"] = fit
    return found


def as_configured(preprocess: Preprocess, config: Any) -> Preprocess:
    """How photos are prepared for weights, with what config.json says of it."""
    if not isinstance(config, Mapping) or "architecture" not in config:
        return preprocess
    cfg = _cfg(config)
    known: dict[str, Any] = {}
    mean, std = (_triple(cfg.get(key), preprocess.channels) for key in ("mean", "std"))
    if mean and std and min(std) > 0:
        known |= {"mean": mean, "std": std}
    if cfg.get("interpolation") in ("bilinear", "bicubic"):
        known["interpolation"] = cfg["interpolation"]
    crop = cfg.get("crop_pct")
    if isinstance(crop, int | float) and 0 < crop <= 1:
        known["crop"] = float(crop)
    return replace(preprocess, **known)


def _cfg(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part about the input; older folders have all in one."""
    found = config.get("pretrained_cfg", config)
    return found if isinstance(found, Mapping) else {}


def _triple(values: Any, channels: int) -> tuple[float, float, float] | None:
    if not isinstance(values, Sequence) or len(values) not in (1, 3):
        return None
    if not all(isinstance(value, int | float) and isfinite(value) for value in values):
        return None
    if channels == 1 or len(values) == 1:
        return (sum(values) / len(values),) * 3
    return float(values[0]), float(values[1]), float(values[2])
