"""Dropout, batch norm, activations and initialisation as options on any network."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from imgcli.config import ModelConfig
from imgcli.errors import ModelError, WrongUsage
from imgcli.models.create import create_network
from imgcli.models.layers import Whitening
from imgcli.models.network import count_params, fingerprint
from imgcli.models.notation import ACTIVATIONS
from imgcli.models.variation import AS_IT_IS, Variation, vary
from imgcli.models.zoo import ZOO


@pytest.mark.parametrize(
    ("notation", "variation", "varied"),
    [
        # Dropout: the rate of those there are, else before dense layers, else at the end.
        ("32C5-D0.2-D0.4-64", Variation(0.3), "32C5-D0.3-D0.3-64"),
        ("R[8C3-D0.5]-64", Variation(0.25), "R[8C3-D0.25]-64"),
        ("32C5-P2-128-64", Variation(0.25), "32C5-P2-D0.25-128-D0.25-64"),
        ("8-R[12-8B]", Variation(0.25), "D0.25-8-R[D0.25-12-D0.25-8B]"),
        ("32C5-G", Variation(0.25), "32C5-G-D0.25"),
        ("32C5-D0.5-64", Variation(0.0), "32C5-D0-64"),
        ("32C5-64", Variation(0.0), "32C5-64"),
        ("32C5-64", Variation(1e-5), "32C5-D0.00001-64"),
        # Batch norm: between a layer and its activation, unless some comes before the next layer.
        ("28C5-P2-64", Variation(batchnorm=True), "28C5B-P2-64B"),
        ("96C11S4V:tanh-54:none", Variation(batchnorm=True), "96C11S4VB:tanh-54B:none"),
        ("28C5-B-P2-28C5-54:tanh-D0-B", Variation(batchnorm=True), "28C5-B-P2-28C5B-54:tanh-D0-B"),
        ("8C3:none-P2-B-gelu", Variation(batchnorm=True), "8C3:none-P2-B-gelu"),
        ("8C3-R[8C3-8C3]-B", Variation(batchnorm=True), "8C3B-R[8C3B-8C3B]-B"),
        ("8C3VB:tanh-B-R[8C3-B]-9B", Variation(batchnorm=False), "8C3V:tanh-R[8C3]-9"),
        # Activation: a default, which also takes the place of others.
        ("32C5-64:tanh", Variation(activation="gelu"), ":gelu-32C5-64:tanh"),
        (":tanh-32C5-R[:elu-8C3]", Variation(activation="gelu"), ":gelu-32C5-R[8C3]"),
        ("W2-gelu-8C3:none", Variation(activation="silu"), ":silu-W2-silu-8C3:none"),
        # All at once.
        (
            "[32C5-P2] - 128",
            Variation(0.25, True, "elu"),
            ":elu-32C5B-P2-D0.25-128B",
        ),
    ],
)
def test_a_notation_is_varied_in_words_of_the_notation(
    notation: str, variation: Variation, varied: str
) -> None:
    assert vary(notation, variation) == varied


@given(
    name=st.sampled_from(sorted(set(ZOO) - {"mlp", "cifar-cnn"})),
    variation=st.builds(
        Variation,
        dropout=st.none() | st.floats(0, 0.99),
        batchnorm=st.none() | st.booleans(),
        activation=st.none() | st.sampled_from(sorted(ACTIVATIONS)),
    ),
)
def test_varying_twice_is_varying_once(name: str, variation: Variation) -> None:
    once = vary(ZOO[name].notation, variation)
    assert vary(once, variation).replace(f":{variation.activation}-", "", 1) == once.replace(
        f":{variation.activation}-", "", 1
    )
    assert vary(ZOO[name].notation, AS_IT_IS) == ZOO[name].notation


def test_an_activation_that_no_layer_would_take_is_refused() -> None:
    with pytest.raises(ModelError, match="names its own activation; --activation relu would"):
        vary("32C5:tanh-P2-64:none", Variation(activation="relu"))


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"dropout": 1.0}, "--dropout 1 must be at least 0 and below 1"),
        ({"dropout": -0.1}, "--dropout -0.1 must be"),
        ({"dropout": math.nan}, "--dropout nan must be"),
        ({"activation": "swoosh"}, "--activation swoosh is not known; use relu, sigmoid, tanh"),
        ({"init": "zeros"}, "--init zeros is not known; use default, xavier-normal"),
    ],
)
def test_impossible_variations_are_refused(choices: dict[str, float], message: str) -> None:
    with pytest.raises(WrongUsage, match=message):
        Variation(**choices)  # type: ignore[arg-type]


def test_the_ends_of_a_notation_are_no_layers_to_vary() -> None:
    line, variation = "784 - [32C3-P2] - 128 - 10", Variation(0.25, True)
    network = create_network(ModelConfig(line, image_size=28, channels=1, **vars(variation)), 10)
    assert network.notation == "1x28x28-32C3B-P2-D0.25-128B-10"
    again = create_network(ModelConfig(network.notation, image_size=28, channels=1), 10)
    assert fingerprint(again.classifier) == fingerprint(network.classifier)


def test_a_network_without_a_layer_has_none_to_vary() -> None:
    with pytest.raises(ModelError, match="'784-10' has no layer of its own to vary"):
        create_network(ModelConfig("784-10", image_size=28, channels=1, dropout=0.5), 10)


def test_a_layer_of_as_many_units_as_classes_is_not_lost_by_losing_its_norm() -> None:
    network = create_network(ModelConfig("8C3-10B", image_size=8, batchnorm=False), 10)
    again = create_network(ModelConfig(str(network.notation), image_size=8), 10)
    assert again.classifier.head.in_features == 10
    assert again.classifier.backbone.state_dict().keys() == (
        network.classifier.backbone.state_dict().keys()
    )


def test_a_saved_network_does_not_need_the_zoo(monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = {"plain": AS_IT_IS, "varied": Variation(0.1, True, "gelu", "xavier-uniform")}
    made = {
        name: create_network(ModelConfig("mnist-base", **vars(v)), 10) for name, v in kinds.items()
    }
    monkeypatch.setattr("imgcli.models.create.ZOO", {})
    for network in made.values():
        again = create_network(
            ModelConfig(str(network.notation), image_size=28, channels=1, pretrained=False), 10
        )
        again.classifier.load_state_dict(network.classifier.state_dict())
        images = torch.rand(3, 1, 28, 28)
        assert torch.equal(again.classifier.eval()(images), network.classifier.eval()(images))


def test_batch_norm_adds_four_numbers_per_filter_for_one_bias() -> None:
    plain = count_params(create_network(ModelConfig("mnist-base"), 10).classifier)
    normed = count_params(create_network(ModelConfig("mnist-base", batchnorm=True), 10).classifier)
    filters = 28 + 16 + 64
    assert normed["total"] == plain["total"] + 3 * filters
    assert normed["non_trainable"] == 2 * filters


def test_activations_reach_into_residual_groups() -> None:
    network = create_network(ModelConfig("8C3-R[8C3-8C3:tanh]", image_size=8, activation="silu"), 3)
    kinds = {type(m) for m in network.classifier.modules()}
    assert nn.SiLU in kinds and nn.Tanh in kinds and nn.ReLU not in kinds


def test_a_default_activation_ends_with_its_bracket() -> None:
    network = create_network(ModelConfig(":tanh-8C3-R[:elu-8C3]-8C3", image_size=8), 3)
    acts = [m for n, m in network.classifier.named_modules() if n.endswith("act")]
    assert [type(m) for m in acts] == [nn.Tanh, nn.ELU, nn.Tanh]
    with pytest.raises(ModelError, match=r"':swoosh' at position 1 .* no known activation"):
        create_network(ModelConfig(":swoosh-8C3"), 3)


def test_libraries_take_dropout_by_their_own_name() -> None:
    resnet = create_network(ModelConfig("resnet18", pretrained=False, dropout=0.3), 3)
    assert resnet.classifier.backbone.drop_rate == 0.3
    mobile = create_network(
        ModelConfig("torchvision/mobilenet_v3_small", pretrained=False, dropout=0.3), 3
    )
    dropouts = [m.p for m in mobile.classifier.modules() if isinstance(m, nn.Dropout)]
    assert dropouts == [0.3]
    with pytest.raises(ModelError, match=r"cannot be built with these arguments: .*'dropout'"):
        create_network(ModelConfig("torchvision/resnet18", pretrained=False, dropout=0.3), 3)


@pytest.mark.parametrize("arch", ["resnet18", "torchvision/resnet18"])
@pytest.mark.parametrize("variation", [Variation(batchnorm=True), Variation(activation="gelu")])
def test_the_layers_of_libraries_are_fixed(arch: str, variation: Variation) -> None:
    with pytest.raises(ModelError, match=f"is for networks in layer notation.*'{arch}' are fixed"):
        create_network(ModelConfig(arch, pretrained=False, **vars(variation)), 3)


def test_whitening_stays_as_it_was_by_any_initialisation() -> None:
    network = create_network(ModelConfig("cifar-fast", init="kaiming-normal"), 10)
    (layer,) = [m for m in network.classifier.modules() if isinstance(m, Whitening)]
    assert not layer.filters.any()
