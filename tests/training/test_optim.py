"""Optimizers by name, and which weights they move how far."""

from functools import cache

import pytest
import torch
from torch import nn

from imgcli.config import ModelConfig, TrainConfig
from imgcli.errors import WrongUsage
from imgcli.models.create import create_network
from imgcli.models.network import Classifier
from imgcli.training.optim import (
    check_optimizer,
    decaying,
    has_momentum,
    levels_of,
    make_optimizer,
    optimizers,
    set_rate,
)

CONFIG = TrainConfig.of(arch="any", optimizer="adamw", lr=0.1, weight_decay=0.1)


def classifier(arch: str, size: int = 32) -> Classifier:
    return create_network(ModelConfig(arch, pretrained=False, image_size=size), 3).classifier


@pytest.mark.parametrize("name", optimizers())
def test_every_name_that_is_offered_moves_the_weights(name: str) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(144, 3))
    before = module[3].weight.detach().clone()
    optimizer = make_optimizer(module, CONFIG.with_(optimizer=name, momentum=0.9).optim)
    for _ in range(2):
        module(torch.randn(4, 3, 8, 8)).square().sum().backward()
        optimizer.step()
    assert module[3].weight.isfinite().all() and not torch.equal(module[3].weight, before)


def test_a_slip_in_a_name_is_answered_with_the_nearest() -> None:
    check_optimizer("rmsprop")
    with pytest.raises(WrongUsage, match=r"--optimizer admw is not known\. Did you mean .*adamw"):
        check_optimizer("admw")


def test_momentum_is_known_of_those_that_have_it() -> None:
    assert has_momentum("sgd") and has_momentum("rmsprop") and not has_momentum("adam")


@pytest.mark.parametrize(("nesterov", "dampening"), [(True, None), (False, None), (False, 0.3)])
def test_sgd_gets_its_choices(nesterov: bool, dampening: float | None) -> None:
    config = CONFIG.with_(optimizer="sgd", momentum=0.8, nesterov=nesterov, dampening=dampening)
    (group, *_) = make_optimizer(nn.Linear(2, 2), config.optim).param_groups
    assert (group["nesterov"], group["dampening"]) == (nesterov, dampening or 0.0)
    assert group["momentum"] == 0.8


@pytest.mark.parametrize(
    ("arch", "levels"), [("8C3-B-P2-16", 3), ("resnet18", 10), ("torchvision/resnet18", 21)]
)
def test_layers_are_counted_from_the_image_to_the_head(arch: str, levels: int) -> None:
    found = levels_of(classifier(arch))
    assert sorted(set(found.values())) == list(range(levels))
    assert found["head.weight"] == found["head.bias"] == levels - 1
    assert found[next(iter(found))] == 0


def test_the_rate_falls_by_the_same_factor_per_earlier_layer() -> None:
    module = classifier("8C3-B-P2-16")
    optimizer = make_optimizer(module, CONFIG.with_(layer_decay=0.5).optim)
    set_rate(optimizer, 1.0)
    rates = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    by_name = {name: rates[id(p)] for name, p in module.named_parameters()}
    assert by_name["backbone.conv1.weight"] == (0.25, 0.1)
    assert by_name["backbone.norm1.weight"] == (0.25, 0.0)
    assert by_name["backbone.dense1.weight"] == (0.5, 0.1)
    assert by_name["head.weight"] == (1.0, 0.1) and by_name["head.bias"] == (1.0, 0.0)


@cache
def shaped(arch: str, size: int) -> Classifier:
    """A network whose weights have shapes and no values: enough to be sorted into groups."""
    with torch.device("meta"):
        return classifier(arch, size)


def decays_of(module: Classifier, config: TrainConfig) -> dict[str, float]:
    """The weight decay of each parameter in the config's optimizer, by name."""
    groups = make_optimizer(module, config.optim).param_groups
    found = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    return {name: found[id(p)] for name, p in module.named_parameters()}


@pytest.mark.parametrize("layer_decay", [None, 0.75])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "muon"])
@pytest.mark.parametrize(
    ("arch", "size", "spared"),
    [
        ("vit_tiny_patch16_224", 224, ["cls_token", "pos_embed"]),
        (
            "swin_tiny_patch4_window7_224",
            224,
            ["layers.3.blocks.1.attn.relative_position_bias_table"],
        ),
        ("torchvision/vit_b_32", 224, ["class_token", "encoder.pos_embedding"]),
        ("torchvision/swin_t", 224, ["features.1.0.attn.relative_position_bias_table"]),
        ("torchvision/convnext_tiny", 64, ["features.1.0.layer_scale"]),
        ("8C3-B-P2-16", 32, ["norm1.weight", "conv1.bias"]),
    ],
)
def test_weight_decay_leaves_alone_what_is_no_matrix_of_weights(
    arch: str, size: int, spared: list[str], optimizer: str, layer_decay: float | None
) -> None:
    module = shaped(arch, size)
    config = CONFIG.with_(optimizer=optimizer, layer_decay=layer_decay)
    found = decays_of(module, config)
    assert {found[f"backbone.{name}"] for name in spared} == {0.0}
    assert found["head.weight"] == 0.1 and found["head.bias"] == 0.0
    assert {name for name, decay in found.items() if decay} == set(decaying(module))
