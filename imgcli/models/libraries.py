"""Networks of timm and torchvision: their names, their published weights, their backbones."""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from imgcli.config import ModelConfig
from imgcli.errors import ModelError
from imgcli.models.bundled import bundled_file
from imgcli.models.catalogue import TORCHVISION, Listed
from imgcli.models.hub import published_file
from imgcli.models.lean import timm, torchvision
from imgcli.models.memory import is_out_of_memory
from imgcli.models.network import Backbone, Channels
from imgcli.models.variation import Variation
from imgcli.models.weights import Checkpoint, load_backbone, read_checkpoint
from imgcli.models.zoo import ZOO
from imgcli.records import Preprocess
from imgcli.text import reason_of


def timm_names() -> list[str]:
    return [*timm.list_models()]


def torchvision_names() -> list[str]:
    return [*torchvision.models.list_models(module=torchvision.models)]


def listed() -> tuple[list[Listed], list[Listed]]:
    """All networks of timm, and all of torchvision."""
    timms = []
    for name in timm_names():
        config = timm_config(name)
        timms.append(Listed(name, config.input_size if config else None, timm_source(name)))
    torchvisions = []
    for name in torchvision_names():
        size = torchvision.models.get_model_weights(name).DEFAULT.transforms().crop_size[0]
        taken = name in ZOO or timm.is_model(name)
        full = TORCHVISION + name if taken else name
        torchvisions.append(Listed(full, (3, size, size), torchvision_source(name)))
    return timms, torchvisions


def timm_config(arch: str) -> Any:
    """What timm says of an arch's published weights and of their input; None if nothing.

    Raises:
        ModelError: a tag that the arch does not have.
    """
    try:
        return timm.models.get_pretrained_cfg(arch)
    except RuntimeError as error:
        raise ModelError(f"No arch '{arch}': {error} Tags are listed on its hub page.") from None


def refuse_unknown(arch: str) -> None:
    """Refuse a name that is of neither library, or a tag that timm does not have.

    Raises:
        ModelError: with the names that are near.
    """
    if timm.is_model(arch):
        timm_config(arch)
    elif arch.removeprefix(TORCHVISION) not in torchvision_names():
        raise _unknown(arch, "See what there is: imgcli archs")


def source_of(arch: str) -> str | None:
    """Where an arch's weights are published: a repository of the hub, or a URL; None: nowhere.

    Raises:
        ModelError: no such arch.
    """
    name = arch.removeprefix(TORCHVISION)
    if timm.is_model(arch):
        return timm_source(arch)
    if name in torchvision_names():
        return torchvision_source(name)
    raise _unknown(arch)


def timm_source(arch: str) -> str | None:
    """As `source_of`, of a network of timm."""
    config = timm_config(arch)
    found = (config.hf_hub_id or config.url) if config else None
    return found if found and isinstance(found, str) else None


def torchvision_source(name: str) -> str:
    """As `source_of`, of a network of torchvision by its own name."""
    return str(torchvision.models.get_model_weights(name).DEFAULT.url)


def published_weights(arch: str) -> Path:
    """The file of an arch's published weights, installed, in the cache or fetched now.

    Raises:
        ModelError: no such arch, or weights that cannot be had.
    """
    return bundled_file(arch) or published_file(arch, source_of(arch))


def _read_published(arch: str, file: Path) -> Checkpoint:
    """The published weights in a file of the cache.

    Raises:
        ModelError: it is damaged.
    """
    try:
        return read_checkpoint(file)
    except ModelError:
        raise ModelError(
            f"The published weights of '{arch}' in the cache are damaged: '{file}'. Remove that "
            "file, and they are fetched again."
        ) from None


def backbone_of(
    model: ModelConfig, channels: Channels, variation: Variation, pretrained: bool
) -> Backbone:
    """Build a network of timm or torchvision without its head.

    Raises:
        ModelError: no such arch, arguments it does not take, or weights that cannot be had.
    """
    if timm.is_model(model.arch):
        return _from_timm(model, channels, variation, pretrained)
    if model.arch.removeprefix(TORCHVISION) in torchvision_names():
        return _from_torchvision(model, channels, variation, pretrained)
    raise _unknown(model.arch)


def _from_timm(
    model: ModelConfig, channels: Channels, variation: Variation, pretrained: bool
) -> Backbone:
    """Build timm's network; published weights are adapted to the channels."""
    arch, image_size = model.arch, model.image_size
    args = {**timm_args(model, channels), **_dropout(arch, variation, "drop_rate")}
    file = bundled_file(arch) if pretrained else None
    pretrained = pretrained and file is None
    if pretrained:
        overlay = {"file": str(published_weights(arch)), "custom_load": False}
        args["pretrained_cfg_overlay"] = overlay
    try:
        module: Any = _call(
            arch, timm.create_model, arch, pretrained=pretrained, num_classes=0, **args
        )
    except Exception:  # of many kinds, where a file cannot be read
        if pretrained:
            _read_published(arch, published_weights(arch))
        raise
    if file is not None:
        _load_in_order(module, file, channels)
    data: dict[str, Any] = timm.data.resolve_model_data_config(module)  # type: ignore[no-untyped-call]
    classifier = module.pretrained_cfg.get("classifier") or ()
    preprocess = Preprocess(
        size=image_size or data["input_size"][-1],
        channels=channels,
        fit=model.fit,
        crop=data["crop_pct"],
        interpolation="bilinear" if data["interpolation"] == "bilinear" else "bicubic",
        mean=_triple(data["mean"], channels),
        std=_triple(data["std"], channels),
    )
    head_names = [classifier] if isinstance(classifier, str) else list(classifier)
    return Backbone(module, head_names, preprocess)


def _load_in_order(module: nn.Module, file: Path, channels: Channels) -> None:
    """Load weights whose tensors stand in timm's order under other names; the head comes last."""
    tensors = (stored.load() for stored in read_checkpoint(file).tensors.values())
    state = dict(zip(module.state_dict(), tensors, strict=False))
    first = next(iter(state))
    state[first] = timm.models.adapt_input_conv(channels, state[first])
    module.load_state_dict(state)


def _from_torchvision(
    config: ModelConfig, channels: Channels, variation: Variation, pretrained: bool
) -> Backbone:
    """Build torchvision's network and cut off its last layer."""
    name = config.arch.removeprefix(TORCHVISION)
    if channels != 3:
        raise ModelError(
            f"'{TORCHVISION}{name}' takes photos of 3 channels, not {channels}; timm's networks "
            "and those in layer notation take either."
        )
    published = torchvision.models.get_model_weights(name).DEFAULT
    data = published.transforms()
    size = config.image_size or data.crop_size[0]
    args = {
        **_torchvision_args(name, config, size, pretrained),
        **_dropout(TORCHVISION + name, variation, "dropout"),
    }
    model = _call(name, torchvision.models.get_model, name, weights=None, **args)
    head_name = _last_layer(model)
    if pretrained:
        published_state = _read_published(name, published_file(name, torchvision_source(name)))
    layer = model.get_submodule(head_name)
    model.set_submodule(head_name, nn.Identity())
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    if pretrained:
        load_backbone(model, published_state, [head_name])
    preprocess = Preprocess(
        size=size,
        fit=config.fit,
        crop=data.crop_size[0] / data.resize_size[0],
        interpolation="bilinear" if data.interpolation.value == "bilinear" else "bicubic",
        mean=tuple(data.mean),
        std=tuple(data.std),
    )
    return Backbone(model, [head_name], preprocess)


def shapes_of(model: ModelConfig, channels: Channels, classes: int) -> dict[str, tuple[int, ...]]:
    """The tensors of a whole network of timm or torchvision by its own names; without memory."""
    with torch.device("meta"):
        if timm.is_model(model.arch):
            args = timm_args(model, channels)
            module = timm.create_model(model.arch, num_classes=classes, **args)
        else:
            name = model.arch.removeprefix(TORCHVISION)
            args = _torchvision_args(name, model, model.image_size or 0, False)
            module = torchvision.models.get_model(name, weights=None, num_classes=classes, **args)
        return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def timm_args(model: ModelConfig, channels: Channels) -> dict[str, Any]:
    """The arguments of `timm.create_model` for a network, beside its classes."""
    args = dict(model.model_args)
    if has_fixed_size(model.arch) and model.image_size:
        args.setdefault("img_size", model.image_size)
    if channels != 3:
        args["in_chans"] = channels
    return args


def has_fixed_size(arch: str) -> bool:
    """Whether a network is built for photos of one size, and takes no others."""
    if timm.is_model(arch):
        config = timm_config(arch)
        return config is not None and bool(config.fixed_input_size)
    return arch.removeprefix(TORCHVISION).startswith("vit_")


def _torchvision_args(name: str, model: ModelConfig, size: int, pretrained: bool) -> dict[str, Any]:
    if name.startswith("vit_"):
        return {"image_size": size, **model.model_args}
    if name in ("googlenet", "inception_v3"):
        # The published weights expect the normalisation of another library; the side heads are
        # for training by the original recipe only.
        side = {"aux_logits": False, "init_weights": False, "transform_input": pretrained}
        return {**side, **model.model_args}
    return dict(model.model_args)


def _dropout(arch: str, variation: Variation, name: str) -> dict[str, float]:
    """The argument that asks for dropout; the rest of a variation is for layer notation alone."""
    for option in ("batchnorm", "activation"):
        if getattr(variation, option) is not None:
            raise ModelError(
                f"--{option} is for networks in layer notation, such as alexnet or 32C5-P2-64; the "
                f"layers of '{arch}' are fixed. See what there is: imgcli archs"
            )
    return {} if variation.dropout is None else {name: variation.dropout}


def _triple(values: Any, channels: int) -> tuple[float, float, float]:
    """The mean or deviation of three channels; of grey, their average three times."""
    red, green, blue = values if channels == 3 else [sum(values) / len(values)] * 3
    return red, green, blue


def _last_layer(model: nn.Module) -> str:
    """The name of the layer that makes the logits: the last dense layer or 1×1 convolution."""
    layers = [name for name, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return str(layers[-1])


def _call(arch: str, build: Callable[..., nn.Module], *args: Any, **kwargs: Any) -> nn.Module:
    """Build, turning an argument that the arch does not take into a sentence."""
    try:
        return build(*args, **kwargs)
    except (TypeError, ValueError, AttributeError, AssertionError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(
            f"'{arch}' cannot be built with these arguments: {reason_of(error)}"
        ) from None


def _unknown(
    arch: str, also: str = "Layer notation such as 32C5-P2-64C5-P2-128 works as well."
) -> ModelError:
    names = {*ZOO, *timm_names(), *torchvision_names()}
    close = difflib.get_close_matches(arch.lower(), names, n=5, cutoff=0.6)
    did_you_mean = f" Did you mean {', '.join(close)}?" if close else ""
    return ModelError(f"No arch '{arch}' in imgcli, timm or torchvision.{did_you_mean} {also}")
