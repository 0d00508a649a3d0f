"""Layer notation: published counts come out exactly, and a slip is pointed at."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from imgcli.errors import ModelError
from imgcli.models.build import build_backbone
from imgcli.models.layers import GaussianNoise, Whitening
from imgcli.models.libraries import timm_names, torchvision_names
from imgcli.models.network import Classifier, count_params, feature_count
from imgcli.models.notation import is_notation, parse


def params(notation: str, shape: tuple[int, int, int], classes: int) -> dict[str, int]:
    backbone = build_backbone(notation, shape, classes).eval()
    features = backbone(torch.zeros(1, *shape)).shape[1]
    return count_params(Classifier(backbone, nn.Linear(features, classes)))


@pytest.mark.parametrize(
    ("notation", "shape", "classes", "total", "statistics"),
    [
        ("28C5-P2-16C5-P2-D0.2-D0.2-64-N0.1", (1, 28, 28), 10, 62_834, 0),
        ("28C5-B-P2-D0.4-28C5-B-P2-D0.4-54:sigmoid-B-D0.4-N0.75", (1, 28, 28), 10, 95_488, 220),
        ("2C3-3C3", (3, 20, 20), 2, 2_515, 0),
    ],
)
def test_published_networks_have_their_published_parameters(
    notation: str, shape: tuple[int, int, int], classes: int, total: int, statistics: int
) -> None:
    found = params(notation, shape, classes)
    assert found["total"] == total
    assert found["non_trainable"] == statistics


def test_the_line_a_paper_prints_builds_with_its_ends_and_brackets() -> None:
    line = "784 - [32C3-32C3-32C5S2] - [64C3-64C3-64C5S2] - 128 - 10"
    assert params(line, (1, 28, 28), 10) == params(
        "32C3-32C3-32C5S2-64C3-64C3-64C5S2-128", (1, 28, 28), 10
    )


@given(
    size=st.integers(7, 30),
    kernel=st.integers(1, 7),
    stride=st.integers(1, 4),
    valid=st.booleans(),
)
def test_same_padding_divides_the_size_by_the_stride_and_valid_slides_inside(
    size: int, kernel: int, stride: int, valid: bool
) -> None:
    token = f"2C{kernel}S{stride}{'V' if valid else ''}"
    out = build_backbone(token, (3, size, size), 5)[:-1](torch.zeros(1, 3, size, size))
    side = (size - kernel) // stride + 1 if valid else -(-size // stride)
    assert out.shape == (1, 2, side, side)


@pytest.mark.parametrize(
    ("notation", "message"),
    [
        ("32C5-P2-96X3", "'96X3' at position 9 .* is no layer"),
        ("32C5-128-P2", "'P2' at position 10 .* needs a picture"),
        ("32C5-32C9V", "'32C9V' at position 6 .* 9×9 over 8×8 .*--image-size"),
        ("32C5:swoosh-P2", "no known activation; use relu, sigmoid"),
        ("1x28x28-32C5", "is not the size of the images, which are 3×8×8 = 192 values"),
        ("784-32C5-P2", "'784' at position 1 .* is not the size of the images"),
        ("32C5S0", "a window or stride of 0"),
        (" - ", "names no layer"),
        ("32C5-R[32C5", r"'R\[' at position 6 .* is never closed"),
        ("32C5-P2]", r"'\]' at position 8 .* closes nothing"),
        ("32C5-R[]", "holds no layer"),
        ("R[32C3-128]", "turns a picture into a dense layer"),
        ("R[32C3-5C4V]", "brings 8×8 to 5×5"),
        ("32C5-W2", "may only come first"),
        ("0C3-P2", "'0C3' at position 1 .* has 0 filters"),
        ("4C3-0", "'0' at position 5 .* has 0 units"),
        ("R[4C3-0C3]", r"'0C3' at position 7 .* has 0 filters"),
        ("3x8x8-32C5-12", "'12' at position 12 .* is not the number of classes, 10"),
        ("192-[32C5] - 128", "'128' at position 14 .* is not the number of classes, 10"),
        ("3x8x8", "'3x8x8' names no layer"),
        ("4c3-P2", "'4c3' at position 1 .* capital letters .* write 4C3"),
        ("4C3-p2s2", "'p2s2' at position 5 .* write P2S2"),
        ("4c3:Tanh", "'4c3:Tanh' at position 1 .* write 4C3:tanh"),
        ("4C3-Tanh", "'Tanh' at position 5 .* write tanh"),
    ],
)
def test_what_cannot_be_built_is_marked_with_its_position(notation: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build_backbone(notation, (3, 8, 8), 10)


@pytest.mark.parametrize("size", ["784", "1x28x28"])
def test_a_size_and_a_class_count_are_softmax_regression(size: str) -> None:
    assert params(f"{size}-10", (1, 28, 28), 10)["total"] == 28 * 28 * 10 + 10


@pytest.mark.parametrize(
    ("notation", "features"),
    [("8C3-G-12", 12), ("8C3-G-10", 8), ("3x8x8-8C3-G", 8), ("3x8x8-8C3-G-10B", 10)],
)
def test_a_last_number_is_a_layer_unless_it_is_the_class_count(
    notation: str, features: int
) -> None:
    assert feature_count(build_backbone(notation, (3, 8, 8), 10), 8) == features


def test_dense_layers_alone_make_a_network_too() -> None:
    backbone = build_backbone("192-64-32-10", (3, 8, 8), 10)
    assert feature_count(backbone, 8) == 32


def test_noise_is_for_training_only() -> None:
    noise, values = GaussianNoise(0.5), torch.zeros(1000)
    assert 0.4 < noise.train()(values).std() < 0.6
    assert (noise.eval()(values) == values).all()


@pytest.mark.parametrize(
    ("arch", "expected"),
    [
        ("32C5-P2-128", True),
        ("32C5", True),
        ("resnet101", False),
        ("alexnet", False),
        ("128", True),
        ("P2", True),
        ("R[8C3S2]", True),
        ("R[R[4C3]-8C3]", True),
        ("resnet_50", False),
        ("resnet-50", False),
        ("vit-tiny", False),
        ("ViT-B-16", False),
        ("cs3darknt_x", False),
        ("hf-hub:timm/resnet51", False),
        # A slip in a notation is a notation.
        ("32C5-P2-96X3", True),
        ("4C3-P2]", True),
        ("4C3]", True),
        ("D1.0-32", True),
        ("MP2-32", True),
        ("16-X", True),
        ("32c5-p2-128", True),
        ("4C3_P2", True),
    ],
)
def test_a_name_is_told_from_a_notation(arch: str, expected: bool) -> None:
    assert is_notation(arch) is expected


def test_no_name_of_a_library_is_a_notation() -> None:
    assert [name for name in (*timm_names(), *torchvision_names()) if is_notation(name)] == []


@pytest.mark.parametrize("dash", ["\u2013", "\u2212", " \u2013 "])
def test_dashes_as_papers_print_them_join_tokens(dash: str) -> None:
    assert [token.text for token in parse(dash.join(["784", "4C3", "P2"]))] == ["784", "4C3", "P2"]


def test_tokens_know_where_they_stand() -> None:
    assert [(t.text, t.position) for t in parse("784 - [32C3-P2]")] == [
        ("784", 1),
        ("32C3", 8),
        ("P2", 13),
    ]


def test_a_residual_group_adds_what_goes_in() -> None:
    backbone = build_backbone("R[3C3B:none-B]", (3, 8, 8), 2).eval()
    images = torch.rand(2, 3, 8, 8)
    for norm in (m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.zeros_(norm.weight)
    assert torch.equal(backbone(images), images.flatten(1))


@pytest.mark.parametrize(
    ("notation", "features"),
    [("R[6C3S2]", 6 * 4 * 4), ("R[6C3]-GP", 6), ("24-R[12-12B]", 12), ("R[R[6C3]-6C3]-G", 6)],
)
def test_a_residual_group_may_change_the_shape(notation: str, features: int) -> None:
    assert feature_count(build_backbone(notation, (3, 8, 8), 2), 8) == features


def test_batch_norm_comes_between_a_layer_and_its_activation() -> None:
    layers = list(build_backbone("8C3B:tanh-16B", (3, 8, 8), 2))
    kinds = [nn.Conv2d, nn.BatchNorm2d, nn.Tanh, nn.Flatten, nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert [type(layer) for layer in layers] == kinds


def test_whitened_patches_are_uncorrelated_and_of_variance_one() -> None:
    generator = torch.Generator().manual_seed(0)
    plain = torch.randn(50, 3, 16, 16, generator=generator)
    images = plain.cumsum(2).cumsum(3) * 0.1 + plain.sum(1, keepdim=True)
    layer = Whitening(3, 2)
    layer.fit(images, floor=0.0)
    values = layer(images).transpose(0, 1).flatten(1)  # (24, patches)
    moments = values[:12] @ values[:12].T / values.shape[1]
    torch.testing.assert_close(moments, torch.eye(12), atol=1e-2, rtol=0)
    torch.testing.assert_close(values[12:], -values[:12])


def test_the_order_of_marks_is_stride_valid_norm_activation() -> None:
    layers = list(build_backbone("8C3S2VB:elu-A2-A3S1-9B:selu", (3, 17, 17), 2))
    kinds = [nn.Conv2d, nn.BatchNorm2d, nn.ELU, nn.AvgPool2d, nn.AvgPool2d]
    assert [type(layer) for layer in layers[:5]] == kinds
    assert [type(layer) for layer in layers[6:]] == [nn.Linear, nn.BatchNorm1d, nn.SELU]
    with pytest.raises(ModelError, match=r"'8C3BV' at position 1 .* is no layer"):
        build_backbone("8C3BV", (3, 8, 8), 2)


def test_an_activation_may_stand_by_itself() -> None:
    layers = list(build_backbone("8C3:none-P2-gelu", (3, 8, 8), 2))
    assert isinstance(layers[1], nn.Identity) and isinstance(layers[3], nn.GELU)
