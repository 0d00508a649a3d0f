"""The names of all networks there are, and which have published weights; none is built."""

from collections.abc import Sequence
from typing import Any

import timm
import torchvision

from imgcli.models.libraries import TORCHVISION, timm_config, timm_names, torchvision_names
from imgcli.models.zoo import ZOO


def catalogue(words: Sequence[str] = ()) -> dict[str, list[dict[str, Any]]]:
    """The networks of the zoo, of timm and of torchvision that have all the words in their name.

    Returns:
        By library its networks, named as --arch takes them: `name`, `input` as channels, height and
        width, `weights`: whether any are published; for the zoo `notation` and `about` as well.
    """
    zoo = [
        {
            "name": name,
            "input": [entry.channels, entry.image_size, entry.image_size],
            "weights": False,
            "notation": entry.notation,
            "about": entry.about,
        }
        for name, entry in ZOO.items()
        if _has(name, words)
    ]
    timms = [_of_timm(name) for name in timm_names() if _has(name, words)]
    torchvisions = [
        _of_torchvision(name) for name in torchvision_names() if _has(TORCHVISION + name, words)
    ]
    return {"zoo": zoo, "timm": timms, "torchvision": torchvisions}


def _has(name: str, words: Sequence[str]) -> bool:
    return all(word.lower() in name for word in words)


def _of_timm(name: str) -> dict[str, Any]:
    config = timm_config(name)
    return {
        "name": name,
        "input": list(config.input_size) if config else None,
        "weights": bool(config and config.has_weights),
    }


def _of_torchvision(name: str) -> dict[str, Any]:
    weights = torchvision.models.get_model_weights(name).DEFAULT
    size = weights.transforms().crop_size[0]
    taken = name in ZOO or timm.is_model(name)
    return {
        "name": TORCHVISION + name if taken else name,
        "input": [3, size, size],
        "weights": True,
    }
