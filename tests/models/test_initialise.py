"""How weights are drawn: spreads by their formulas, filters that hand on, one network per seed."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from imgcli.config import ModelConfig
from imgcli.errors import ModelError
from imgcli.models.create import create_network
from imgcli.models.layers import INITS
from imgcli.models.network import Network, fingerprint


def network(init: str | None, seed: int = 0) -> Network:
    notation = "64C5-P2-64C5-256"
    return create_network(ModelConfig(notation, image_size=8, init=init), 100, seed)


@pytest.mark.parametrize(
    ("init", "variance"),
    [
        ("xavier-normal", lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        ("xavier-uniform", lambda fan_in, fan_out: 2 / (fan_in + fan_out)),
        ("kaiming-normal", lambda fan_in, fan_out: 2 / fan_in),
        ("kaiming-uniform", lambda fan_in, fan_out: 2 / fan_in),
    ],
)
def test_weights_have_the_variance_of_the_formula(init: str, variance) -> None:  # type: ignore[no-untyped-def]
    layers = network(init).classifier
    conv, dense = layers.backbone.get_submodule("conv2"), layers.backbone.get_submodule("dense1")
    fans = {conv: (64 * 25, 64 * 25), dense: (64 * 16, 256), layers.head: (256, 100)}
    for layer, (fan_in, fan_out) in fans.items():
        expected = variance(fan_in, fan_out)
        assert layer.weight.var().item() == pytest.approx(expected, rel=0.05)
        bound = (3 * expected) ** 0.5
        assert (layer.weight.abs().max() <= bound * 1.001) == init.endswith("uniform")
        assert not layer.bias.any()


def test_the_default_is_what_the_layers_draw_themselves() -> None:
    assert fingerprint(network("default").classifier) == fingerprint(network(None).classifier)


@pytest.mark.parametrize("init", INITS)
def test_a_seed_gives_one_network(init: str) -> None:
    one, same, other = (fingerprint(network(init, seed).classifier) for seed in (1, 1, 2))
    assert one == same != other


def test_the_first_filters_hand_on_their_input() -> None:
    notation = "8C3:none-4C5:none-6C3S2:none-6C2:none-7C1:none"
    made, plain = (
        create_network(ModelConfig(notation, image_size=8, init=init), 2)
        for init in ("identity", None)
    )
    image = torch.rand(1, 3, 8, 8)
    conv = made.classifier.backbone.get_submodule("conv1")
    torch.testing.assert_close(
        conv(image)[:, :3] - conv.bias[:3].view(1, 3, 1, 1), image, atol=1e-6, rtol=0
    )
    drawn = plain.classifier.backbone.get_submodule("conv1")
    assert torch.equal(conv.weight[3:], drawn.weight[3:])
    fewer = made.classifier.backbone.get_submodule("conv2").weight
    assert torch.equal(fewer, nn.init.dirac_(torch.empty_like(fewer)))
    for name in ("conv3", "conv4.1", "conv5"):
        pair = (n.classifier.backbone.get_submodule(name).weight for n in (made, plain))
        assert torch.equal(*pair), name


def test_grouped_convolutions_hand_on_group_by_group() -> None:
    made = create_network(ModelConfig("resnext50_32x4d", pretrained=False, init="identity"), 2)
    conv = made.classifier.backbone.get_submodule("layer1.0.conv2")
    image = torch.rand(1, 128, 5, 5)
    torch.testing.assert_close(conv(image), image)


def test_identity_is_refused_where_no_convolution_can_be_one() -> None:
    with pytest.raises(ModelError, match="--init identity is for convolutions of stride 1"):
        create_network(ModelConfig("mlp", init="identity"), 10)


def test_with_initial_weights_only_the_head_is_random(tmp_path: Path) -> None:
    donor = network(None, seed=1).classifier
    save_file(donor.backbone.state_dict(), tmp_path / "donor.safetensors")
    made = create_network(
        ModelConfig(
            "64C5-P2-64C5-256",
            image_size=8,
            weights=str(tmp_path / "donor.safetensors"),
            init="xavier-normal",
        ),
        100,
    ).classifier
    assert fingerprint(made.backbone) == fingerprint(donor.backbone)
    assert not made.head.bias.any()
