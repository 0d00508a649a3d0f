"""Layers, outputs, parameters and multiply-adds: counted by hand where they can be."""

import pytest

from imgcli.config import ModelConfig
from imgcli.models.create import create_network
from imgcli.models.describe import Layer, describe
from imgcli.models.network import count_params
from imgcli.models.variation import Variation


def test_a_small_network_is_counted_by_hand() -> None:
    described = describe("4C3-P2-5C2S2V:none-D0.5-6", 3, image_size=8, channels=1)
    assert described.input == (1, 8, 8) and described.classes == 3
    assert described.layers == (
        Layer("conv1", "conv 3×3, padding 1", (4, 8, 8), 4 * 9 + 4, 4 * 9 * 64),
        Layer("conv1_act", "ReLU", (4, 8, 8), 0, 0),
        Layer("pool1", "max pool 2×2", (4, 4, 4), 0, 0),
        Layer("conv2", "conv 2×2, stride 2", (5, 2, 2), 5 * 4 * 4 + 5, 5 * 4 * 4 * 4),
        Layer("dropout1", "dropout 0.5", (5, 2, 2), 0, 0),
        Layer("flatten1", "Flatten", (20,), 0, 0),
        Layer("dense1", "dense", (6,), 20 * 6 + 6, 20 * 6),
        Layer("dense1_act", "ReLU", (6,), 0, 0),
        Layer("head", "dense", (3,), 6 * 3 + 3, 6 * 3),
    )
    assert described.params == {"trainable": 272, "non_trainable": 0, "total": 272}
    assert described.macs == 2304 + 320 + 120 + 18


def test_batch_norm_counts_its_statistics_as_non_trainable() -> None:
    described = describe("mnist-best", 10)
    assert described.params == {"trainable": 95_268, "non_trainable": 220, "total": 95_488}
    assert {x.name: x.params for x in described.layers}["norm3"] == 4 * 54


def test_alexnet_comes_out_as_published() -> None:
    described = describe("alexnet", 28)
    assert described.params["total"] == 58_396_060
    assert described.layers[0].macs == 96 * 55 * 55 * 3 * 11 * 11
    assert described.layers[-1].output == (28,)


def test_a_variation_is_described_as_it_would_be_built() -> None:
    variation = Variation(0.25, True, "gelu")
    described = describe("mnist-base", 10, variation=variation)
    built = create_network(ModelConfig("mnist-base", **vars(variation)), 10)
    assert described.notation == built.notation
    assert described.params == count_params(built.classifier)
    assert {x.kind for x in described.layers} >= {"dropout 0.25", "batch norm", "GELU"}


@pytest.mark.parametrize(
    "arch",
    [
        "cifar-fast",
        "resnet18",
        "vit_tiny_patch16_224",
        "swin_tiny_patch4_window7_224",
        "torchvision/googlenet",
        "torchvision/vit_b_16",
        "torchvision/regnet_y_400mf",
        "coat_lite_tiny",  # its position encodings are shared by its blocks
        "R[8C2-R[8C3]]-GP-D0",
    ],
)
def test_layers_add_up_to_what_the_network_holds(arch: str) -> None:
    described = describe(arch, 7)
    classifier = create_network(ModelConfig(arch, pretrained=False), 7).classifier
    assert described.params == count_params(classifier)
    assert sum(layer.params for layer in described.layers) == described.params["total"]
    assert sum(layer.macs for layer in described.layers) == described.macs
    assert all(layer.output and layer.macs >= 0 for layer in described.layers)


def test_multiply_adds_of_groups_tokens_and_attention() -> None:
    grouped = {x.name: x for x in describe("resnext50_32x4d", 10).layers}["layer1.0.conv2"]
    assert grouped.kind == "conv 3×3, padding 1, 32 groups"
    assert grouped.macs == 56 * 56 * 128 * (128 // 32) * 9
    vit = {x.name: x for x in describe("vit_tiny_patch16_224", 10).layers}
    tokens, width, heads = 197, 192, 3
    assert vit["blocks.0.attn.qkv"].macs == tokens * width * 3 * width
    assert vit["blocks.0.attn"].macs == 2 * heads * tokens * tokens * (width // heads)
    assert vit["backbone"].params == (tokens + 1) * width  # position embedding and class token


def test_attention_that_calls_no_module_holds_its_weights_itself() -> None:
    layers = {x.name: x for x in describe("torchvision/vit_b_16", 10).layers}
    attention = layers["encoder.layers.encoder_layer_0.self_attention"]
    assert attention.params == 4 * 768 * 768 + 4 * 768
    assert attention.macs == 4 * 197 * 768 * 768 + 2 * 197 * 197 * 768


def test_a_network_too_large_for_the_memory_is_described() -> None:
    assert describe("eva_giant_patch14_224", 10).params["total"] > 1_000_000_000
