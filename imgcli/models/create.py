"""A name becomes a network: the zoo and layer notation, then timm, then torchvision.

`torchvision/resnet50` asks for torchvision's where timm has the same name.
"""

import difflib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
import torchvision
from timm.data.config import resolve_model_data_config
from torch import nn

from imgcli.errors import ModelError
from imgcli.models.build import build_backbone
from imgcli.models.network import Classifier, Network, feature_count
from imgcli.models.notation import is_notation
from imgcli.models.weights import load_backbone, published_file, read_state
from imgcli.models.zoo import ZOO
from imgcli.records import Fit, Preprocess

_TORCHVISION = "torchvision/"
_NOTATION_SIZE = 64  # pixels, for a notation given without --image-size


def create_network(
    arch: str,
    classes: int,
    *,
    image_size: int | None = None,
    fit: Fit = "squash",
    model_args: Mapping[str, Any] | None = None,
    pretrained: bool = True,
    weights: Path | None = None,
    test_flip: bool = False,
    seed: int = 0,
) -> Network:
    """Build the network called `arch` with a new head for `classes` classes.

    Args:
        image_size: pixels, height and width; None for what the arch is made for.
        model_args: passed on to timm or torchvision.
        pretrained: start from published weights, if the arch is one that has any.
        weights: a file of backbone weights, instead of published ones.
        test_flip: judge photos together with their mirror images.
        seed: of the weights that are drawn at random.

    Raises:
        ModelError: no such arch, arguments it does not take, or weights that cannot be had or
            do not fit.
    """
    torch.manual_seed(seed)
    args = dict(model_args or {})
    notation = ZOO[arch].notation if arch in ZOO else arch if is_notation(arch) else None
    if notation is not None:
        if args:
            raise ModelError(f"'{arch}' is layer notation and takes no --model-arg.")
        size = image_size or (ZOO[arch].image_size if arch in ZOO else _NOTATION_SIZE)
        backbone: nn.Module = build_backbone(notation, (3, size, size), classes)
        head_names: list[str] = ["head"]
        preprocess = Preprocess(size, fit, interpolation="bilinear")
    elif timm.is_model(arch):
        backbone, head_names, preprocess = _from_timm(
            arch, image_size, fit, args, pretrained and weights is None
        )
    elif arch.removeprefix(_TORCHVISION) in _torchvision_names():
        backbone, head_names, preprocess = _from_torchvision(
            arch.removeprefix(_TORCHVISION), image_size, fit, args, pretrained and weights is None
        )
    else:
        raise _unknown(arch)
    if weights is not None:
        load_backbone(backbone, read_state(weights), head_names, weights)
    preprocess = replace(preprocess, test_flip=test_flip)
    head = nn.Linear(feature_count(backbone, preprocess.size), classes)
    return Network(Classifier(backbone, head), preprocess, arch, notation)


def has_published_weights(arch: str) -> bool:
    """Whether `arch` is of a library that publishes weights: not the zoo's, and not notation."""
    return arch not in ZOO and not is_notation(arch)


def published_weights(arch: str) -> Path:
    """The file of an arch's published weights, in the cache or fetched now.

    Raises:
        ModelError: no such arch, or weights that cannot be had.
    """
    if timm.is_model(arch):
        config = _timm_config(arch)
        hub_id, url = (config.hf_hub_id, config.url) if config else (None, None)
        return published_file(arch, hub_id, url if isinstance(url, str) else None)
    name = arch.removeprefix(_TORCHVISION)
    if name not in _torchvision_names():
        raise _unknown(arch)
    return published_file(name, None, torchvision.models.get_model_weights(name).DEFAULT.url)


def _timm_config(arch: str) -> Any:
    try:
        return timm.models.get_pretrained_cfg(arch)
    except RuntimeError as error:  # a tag that this arch does not have
        raise ModelError(f"No arch '{arch}': {error} Tags are listed on its hub page.") from None


def _from_timm(
    arch: str, image_size: int | None, fit: Fit, args: dict[str, Any], pretrained: bool
) -> tuple[nn.Module, list[str], Preprocess]:
    config = _timm_config(arch)
    if config is not None and config.fixed_input_size and image_size:
        args.setdefault("img_size", image_size)
    if pretrained:
        file = str(published_weights(arch))
        args["pretrained_cfg_overlay"] = {"file": file, "custom_load": False}
    backbone: Any = _call(
        arch, timm.create_model, arch, pretrained=pretrained, num_classes=0, **args
    )
    data: dict[str, Any] = resolve_model_data_config(backbone)  # type: ignore[no-untyped-call]
    classifier = backbone.pretrained_cfg.get("classifier") or ()
    preprocess = Preprocess(
        size=image_size or data["input_size"][-1],
        fit=fit,
        crop=data["crop_pct"],
        interpolation="bilinear" if data["interpolation"] == "bilinear" else "bicubic",
        mean=tuple(data["mean"]),
        std=tuple(data["std"]),
    )
    return backbone, [classifier] if isinstance(classifier, str) else list(classifier), preprocess


def _from_torchvision(
    name: str, image_size: int | None, fit: Fit, args: dict[str, Any], pretrained: bool
) -> tuple[nn.Module, list[str], Preprocess]:
    published = torchvision.models.get_model_weights(name).DEFAULT
    data = published.transforms()
    if name in ("googlenet", "inception_v3"):
        # The published weights expect the normalisation of another library; the side heads are
        # for training by the original recipe only.
        args = {"aux_logits": False, "init_weights": False, "transform_input": pretrained, **args}
    model = _call(name, torchvision.models.get_model, name, weights=None, **args)
    head_name = _last_layer(model)
    if pretrained:
        file = published_weights(_TORCHVISION + name)
        state = {k: v for k, v in read_state(file).items() if not k.startswith(("AuxL", "aux"))}
    layer = model.get_submodule(head_name)
    model.set_submodule(head_name, nn.Identity())
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    if pretrained:
        load_backbone(model, state, [head_name], file)
    preprocess = Preprocess(
        size=image_size or data.crop_size[0],
        fit=fit,
        crop=data.crop_size[0] / data.resize_size[0],
        interpolation="bilinear" if data.interpolation.value == "bilinear" else "bicubic",
        mean=tuple(data.mean),
        std=tuple(data.std),
    )
    return model, [head_name], preprocess


def _last_layer(model: nn.Module) -> str:
    """The name of the layer that makes the logits: the last dense layer or 1×1 convolution."""
    layers = [name for name, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return str(layers[-1])


def _call(arch: str, build: Callable[..., nn.Module], *args: Any, **kwargs: Any) -> nn.Module:
    """Build, turning an argument that the arch does not take into a sentence."""
    try:
        return build(*args, **kwargs)
    except (TypeError, ValueError, AttributeError, AssertionError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"'{arch}' cannot be built with these arguments: {reason}") from None


def _torchvision_names() -> list[str]:
    return list(torchvision.models.list_models(module=torchvision.models))


def _unknown(arch: str) -> ModelError:
    names = {*ZOO, *timm.list_models(), *_torchvision_names()}
    close = difflib.get_close_matches(arch, names, n=5, cutoff=0.6)
    did_you_mean = f" Did you mean {', '.join(close)}?" if close else ""
    return ModelError(
        f"No arch '{arch}' in imgcli, timm or torchvision.{did_you_mean} "
        "Layer notation such as 32C5-P2-64C5-P2-128 works as well."
    )
