"""A name becomes a network: the zoo and layer notation, then timm, then torchvision.

`torchvision/resnet50` asks for torchvision's where timm has the same name, and `a+b` for the
features of both.
"""

from dataclasses import replace

import torch
from torch import nn

from imgcli.config import ModelConfig
from imgcli.errors import ModelError
from imgcli.models.build import build_backbone, leading_shape, without_ends
from imgcli.models.hub_repository import weights_path
from imgcli.models.joined import Member, PoweredBackbone, join, mirrored
from imgcli.models.layers import initialise
from imgcli.models.memory import is_out_of_memory
from imgcli.models.network import Backbone, Channels, Classifier, Network, feature_count
from imgcli.models.notation import is_notation, written
from imgcli.models.variation import AS_IT_IS, Variation, variation_of, vary
from imgcli.models.weights import load_backbone, read_checkpoint
from imgcli.models.weights_config import as_configured
from imgcli.models.zoo import ZOO
from imgcli.records import Preprocess
from imgcli.text import reason_of

_NOTATION_SIZE = 64  # pixels, for a notation given without --image-size


def create_network(model: ModelConfig, classes: int, seed: int = 0) -> Network:
    """Build a config's network with a new head for `classes` classes.

    Where there are weights to start from, `model.init` draws those of the head alone. The weights
    may be a file's; those of a run are loaded by `training.model_io`.

    Args:
        seed: of random weights.

    Raises:
        ModelError: no such arch, arguments it does not take, or weights that cannot be had or
            do not fit.
    """
    torch.manual_seed(seed)
    arch, variation = model.notation or model.arch, variation_of(model)
    notation = ZOO[arch].notation if arch in ZOO else arch if is_notation(arch) else None
    default_channels, default_size = _default_input(arch, notation)
    channels = model.channels or default_channels
    published = starts_from_published(model)
    if notation is not None:
        if model.model_args:
            raise ModelError(f"'{arch}' is layer notation and takes no --model-arg.")
        size = model.image_size or default_size
        notation = _varied(notation, variation, (channels, size, size), classes)
        module: nn.Module = build_backbone(notation, (channels, size, size), classes)
        preprocess = Preprocess(size, model.fit, interpolation="bilinear", channels=channels)
        backbone = Backbone(module, ["head"], preprocess)
    else:
        backbone = _of_libraries(model, channels, variation, published)
    module, head_names, preprocess = backbone
    given = None
    if model.weights is not None:
        checkpoint = read_checkpoint(weights_path(model.weights))
        given = load_backbone(module, checkpoint, head_names)
        preprocess = as_configured(preprocess, checkpoint.config)
    if model.mirror:
        module, head_names = mirrored(module), []
    if model.feature_power not in (None, 1):
        module, head_names = PoweredBackbone(module, model.feature_power), []
    head = nn.Linear(_features(arch, module, preprocess), classes)
    classifier = Classifier(module, head)
    if variation.init is not None:
        pretrained = published or model.weights is not None
        initialise(head if pretrained else classifier, variation.init)
    shift = model.test_shift or 0
    if shift >= preprocess.size:
        raise ModelError(
            f"--test-shift {shift} leaves nothing of {preprocess.size} × {preprocess.size} pixels. "
            "Use a smaller one, or a larger --image-size."
        )
    preprocess = replace(preprocess, test_flip=bool(model.test_flip), test_shift=shift)
    head_name = head_names[0] if notation is None and head_names else None
    return Network(classifier, preprocess, model.arch, notation, head_name, given)


def _of_libraries(
    model: ModelConfig, channels: Channels, variation: Variation, published: bool
) -> Backbone:
    """The backbone of a network of timm or torchvision, or of several, joined."""
    from imgcli.models.libraries import backbone_of, has_fixed_size  # seconds, for these alone

    names = model.archs
    if len(names) == 1:
        return backbone_of(model, channels, variation, published)
    each = [replace(model, arch=name, image_size=None) for name in names]
    backbones = [backbone_of(one, channels, variation, published) for one in each]
    members = [
        Member(*one) for one in zip(names, backbones, map(has_fixed_size, names), strict=True)
    ]
    return join(members, model.image_size)


def starts_from_published(model: ModelConfig) -> bool:
    """Whether a network starts from its arch's published weights."""
    by_name = model.weights is None and model.notation is None
    return model.pretrained and by_name and all(map(has_published_weights, model.archs))


def _default_input(arch: str, notation: str | None) -> tuple[Channels, int]:
    """Channels and size of the images that an arch of the zoo, or a notation, is made for."""
    if arch in ZOO:
        return ZOO[arch].channels, ZOO[arch].image_size
    channels, size = (notation and leading_shape(notation)) or (3, _NOTATION_SIZE)
    return 1 if channels == 1 else 3, size


def has_published_weights(arch: str) -> bool:
    """Whether `arch` is of a library that publishes weights: not the zoo's, and not notation."""
    return arch not in ZOO and not is_notation(arch)


def _varied(notation: str, variation: Variation, shape: tuple[int, int, int], classes: int) -> str:
    """The notation of the variation, with its ends, lest a layer be taken for one of them."""
    if variation == replace(AS_IT_IS, init=variation.init):
        return notation
    tokens = without_ends(notation, shape, classes)
    if not tokens:
        raise ModelError(
            f"'{notation}' has no layer of its own to vary. Leave out --dropout, --batchnorm and "
            "--activation, or write a layer."
        )
    return f"{'x'.join(map(str, shape))}-{vary(written(tokens), variation)}-{classes}"


def _features(arch: str, backbone: nn.Module, preprocess: Preprocess) -> int:
    """What the head gets; not every network takes photos of every size, or gives features."""
    size, channels = preprocess.size, preprocess.channels
    try:
        return feature_count(backbone, size, channels)
    except (RuntimeError, AssertionError, ValueError) as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(
            f"'{arch}' does not take inputs of {channels}×{size}×{size}: {reason_of(error)}. "
            "Choose another --image-size or another arch."
        ) from None
