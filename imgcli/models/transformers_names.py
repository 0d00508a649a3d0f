"""Weights as the library transformers saves them, under the names that timm has for the same nets.

vit.encoder.layer.0.attention.attention.query.weight    blocks.0.attn.qkv.weight, its first third
convnext.encoder.stages.1.layers.0.dwconv.weight        stages.1.blocks.0.conv_dw.weight
resnet.encoder.stages.0.layers.0.layer.0.convolution    layer1.0.conv1
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from imgcli.models.inert import Stored
from imgcli.text import listed

# Of a name behind its prefix: what it becomes. "?" joins query, key and value, in this order.
_LAYER = r"(?:encoder\.layer|layers)\.(\d+)\."
_VIT = {
    r"embeddings\.cls_token": "cls_token",
    r"embeddings\.position_embeddings": "pos_embed",
    r"embeddings\.patch_embeddings\.projection\.": "patch_embed.proj.",
    rf"{_LAYER}attention\.attention\.(query|key|value)\.": r"blocks.\1.attn.qkv.?\2.",
    rf"{_LAYER}attention\.(q|k|v)_proj\.": r"blocks.\1.attn.qkv.?\2.",
    rf"{_LAYER}attention\.(?:output\.dense|o_proj)\.": r"blocks.\1.attn.proj.",
    rf"{_LAYER}(?:intermediate\.dense|mlp\.fc1)\.": r"blocks.\1.mlp.fc1.",
    rf"{_LAYER}(?:output\.dense|mlp\.fc2)\.": r"blocks.\1.mlp.fc2.",
    rf"{_LAYER}layernorm_before\.": r"blocks.\1.norm1.",
    rf"{_LAYER}layernorm_after\.": r"blocks.\1.norm2.",
    r"layernorm\.": "norm.",
}
_CONVNEXT = {
    r"embeddings\.patch_embeddings\.": "stem.0.",
    r"embeddings\.layernorm\.": "stem.1.",
    r"encoder\.stages\.(\d+)\.downsampling_layer\.(\d)\.": r"stages.\1.downsample.\2.",
    r"encoder\.stages\.(\d+)\.layers\.(\d+)\.dwconv\.": r"stages.\1.blocks.\2.conv_dw.",
    r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layernorm\.": r"stages.\1.blocks.\2.norm.",
    r"encoder\.stages\.(\d+)\.layers\.(\d+)\.pwconv([12])\.": r"stages.\1.blocks.\2.mlp.fc\3.",
    r"encoder\.stages\.(\d+)\.layers\.(\d+)\.grn\.": r"stages.\1.blocks.\2.mlp.grn.",
    r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer_scale_parameter": r"stages.\1.blocks.\2.gamma",
    r"layernorm\.": "head.norm.",
}
_RESNET = {
    r"embedder\.embedder\.convolution\.": "conv1.",
    r"embedder\.embedder\.normalization\.": "bn1.",
    r"encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.convolution\.": r"layer\1.\2.downsample.0.",
    r"encoder\.stages\.(\d+)\.layers\.(\d+)\.shortcut\.normalization\.":
        r"layer\1.\2.downsample.1.",
    r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.convolution\.": r"layer\1.\2.conv\3.",
    r"encoder\.stages\.(\d+)\.layers\.(\d+)\.layer\.(\d+)\.normalization\.": r"layer\1.\2.bn\3.",
}  # fmt: skip
# The sign of a network, what precedes its names, its names, and what timm calls its head.
_NETWORKS = (
    (r"embedder\.embedder\.convolution\.weight", "resnet", _RESNET, "fc"),
    (r"encoder\.stages\.0\.layers\.0\.dwconv\.weight", r"convnext(?:v2)?", _CONVNEXT, "head.fc"),
    (r"(?:encoder\.layer|layers)\.0\.layernorm_before\.weight", r"vit", _VIT, "head"),
)
_POOLER = re.compile(r"(?:^|\.)pooler\.dense\.")  # that no classification uses
KINDS = ("vit", "convnext", "convnextv2", "resnet")  # as config.json names them
# What config.json says where timm's network would compute something else.
_AS_TIMM = {"hidden_act": ("gelu", "relu"), "downsample_in_bottleneck": (False,)}


def in_timms_names(tensors: Mapping[str, Stored]) -> dict[str, Stored] | None:
    """The tensors under timm's names; None where they are no network of those.

    What stands before all names, as of a program that wraps the network, is kept.
    """
    for sign, before, names, head in _NETWORKS:
        found = (re.search(rf"^((?:.*\.)?){before}\.{sign}$", name) for name in tensors)
        bare = (re.search(rf"^((?:.*\.)?){sign}$", name) for name in tensors)
        match = next(filter(None, found), None)
        if match is not None:
            return _renamed(tensors, match[1], rf"{before}\.", names, head)
        if (match := next(filter(None, bare), None)) is not None:
            return _renamed(tensors, match[1], "", names, head)
    return None


def other_than_timms(config: Any) -> str:
    """What a network of transformers computes that timm's does not, by config.json; "" if none."""
    for key, known in _AS_TIMM.items() if _kind(config) in KINDS else ():
        if key in config and config[key] not in known:
            return (
                f"it is a '{_kind(config)}' of the library transformers with {key}={config[key]}, "
                "which timm's network of these layers has not, so its predictions would be wrong. "
                "Take other weights, or use these in transformers"
            )
    return ""


def not_of_timm(config: Any) -> str:
    """Why weights fit none of timm's networks, if config.json names another of transformers'."""
    if _kind(config) in ("", *KINDS):
        return ""
    return (
        f"it is a '{_kind(config)}' of the library transformers, of which {listed(KINDS)} are put "
        "into timm's networks. Take weights that timm publishes for that network (imgcli archs), "
        "or use these in transformers"
    )


def _kind(config: Any) -> str:
    return str(config.get("model_type") or "") if isinstance(config, Mapping) else ""


def _renamed(
    tensors: Mapping[str, Stored], prefix: str, before: str, names: Mapping[str, str], head: str
) -> dict[str, Stored]:
    found: dict[str, Stored] = {}
    thirds: dict[str, dict[int, Stored]] = defaultdict(dict)
    classifier = re.compile(rf"{re.escape(prefix)}classifier\.(?:1\.)?(weight|bias)")
    for name, stored in tensors.items():
        if match := classifier.fullmatch(name):
            found[f"{prefix}{head}.{match[1]}"] = stored
            continue
        new = _name_of(name, prefix, before, names)
        if new is None:
            if not _POOLER.search(name):
                found[name] = stored
        elif "?" in new:
            start, _, end = new.partition("?")
            which, _, end = end.partition(".")
            thirds[f"{prefix}{start}{end}"]["qkv".index(which[0])] = stored
        else:
            found[prefix + new] = _flat(stored) if ".grn." in new else stored
    for name, parts in thirds.items():
        if len(parts) == 3:
            found[name] = _joined([parts[i] for i in range(3)])
    return found


def _name_of(name: str, prefix: str, before: str, names: Mapping[str, str]) -> str | None:
    """A tensor's name in timm, where it is one of the network's."""
    match = re.fullmatch(rf"{re.escape(prefix)}{before}(.*)", name)
    for old, new in names.items() if match else ():
        if match and (begins := re.match(old, match[1])):
            return _counted(begins.expand(new), new) + match[1][begins.end() :]
    return None


def _counted(name: str, form: str) -> str:
    """timm counts the layers and convolutions of ResNet from 1."""
    if form.startswith(r"layer\1"):
        name = re.sub(r"^layer(\d+)", lambda m: f"layer{int(m[1]) + 1}", name)
        name = re.sub(r"(conv|bn)(\d+)", lambda m: f"{m[1]}{int(m[2]) + 1}", name)
    return name


def _joined(parts: list[Stored]) -> Stored:
    """Several tensors one below the other."""
    rows = sum(part.shape[0] for part in parts)
    return Stored((rows, *parts[0].shape[1:]), partial(_load_joined, parts))


def _load_joined(parts: list[Stored]) -> Tensor:
    return torch.cat([part.load() for part in parts])


def _flat(stored: Stored) -> Stored:
    """A vector, of (1, 1, 1, C)."""
    return Stored((stored.shape[-1],), partial(_load_flat, stored.load))


def _load_flat(load: Callable[[], Tensor]) -> Tensor:
    return load().reshape(-1)
