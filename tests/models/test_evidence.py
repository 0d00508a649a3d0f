"""Evidence maps: they add up to what the head gives, for every kind of network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from imgcli.config import ModelConfig
from imgcli.models.create import create_network
from imgcli.models.evidence import EXACT, LINEAR, POWERED, Evidence, EvidenceMaps, joined_map
from imgcli.models.network import Network

POOLED = {  # networks that end in pooling, and the cells of their maps
    "16C3B-P2-32C3-G": 16,
    "16C3B-P2-32C3-GP": 16,
    "tf_efficientnet_lite0": 2,  # convolution, batch norm and activation after the last block
    "resnet18": 2,
    "torchvision/densenet121": 2,  # an activation in place, which no module computes
    "mobilenet_v2": 2,
    "convnext_atto": 2,  # layer norm after pooling, of bias 0 in a new network
    "swin_tiny_patch4_window7_224": 7,  # channels last
}
OTHERS = {
    "16C3-P2-64-D0.5": 16,  # dense layers
    "24-16": 32,  # no map at all but the image
    "mobilenetv3_small_050": 1,  # a convolution after pooling
    "vit_tiny_patch16_224": 14,  # a class token
}


def network(arch: str, **choices: object) -> Network:
    size = None if arch.endswith("224") else 64 if arch[0].isalpha() else 32
    made = create_network(
        ModelConfig(arch, pretrained=False, image_size=size, **choices),  # type: ignore[arg-type]
        4,
        seed=1,
    )
    for layer in made.classifier.modules():
        if isinstance(layer, nn.BatchNorm2d):  # as after a training
            layer.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
            layer.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    made.classifier.eval()
    return made


def evidence_of(made: Network, n: int = 2) -> tuple[Tensor, list[Evidence]]:
    """Scores (2, n) of class 1, and of it rather than class 2, and the evidence for both."""
    view, head = made.preprocess, made.classifier.head
    images = torch.randn(n, view.channels, view.size, view.size)
    rows = torch.stack([head.weight[1], head.weight[1] - head.weight[2]]).detach()
    maps = EvidenceMaps(str(made.notation or made.arch), made.classifier.backbone, images[:2])
    features, found = maps(images, lambda f: rows[:, None].expand(-1, n, -1))
    with torch.inference_mode():
        logits = made.classifier(images)
    torch.testing.assert_close(features.detach(), made.classifier.backbone(images).detach())
    scores = logits - head.bias.detach()
    return torch.stack([scores[:, 1], scores[:, 1] - scores[:, 2]]), found


@pytest.mark.parametrize("arch", POOLED)
def test_after_pooling_the_cells_add_up_to_the_logit_less_the_bias(arch: str) -> None:
    wanted, (found,) = evidence_of(network(arch))
    assert found.method == EXACT and found.exact
    assert found.maps.shape == (2, 2, POOLED[arch], POOLED[arch])
    torch.testing.assert_close(found.maps.sum((-2, -1)), wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.totals, wanted, rtol=1e-4, atol=1e-5)
    assert not found.maps.isnan().any()


@pytest.mark.parametrize("arch", OTHERS)
def test_where_more_lies_between_the_method_says_so(arch: str) -> None:
    wanted, (found,) = evidence_of(network(arch))
    assert found.method == LINEAR and not found.exact
    torch.testing.assert_close(found.totals, wanted, rtol=1e-4, atol=1e-5)
    assert found.maps.abs().sum() > 0 and found.maps.shape[-1] >= OTHERS[arch]


def test_of_several_networks_with_mirror_images_each_adds_up_to_its_part() -> None:
    made = network("resnet18+mobilenetv2_100", mirror=True)
    wanted, found = evidence_of(made)
    assert [one.arch for one in found] == ["resnet18"] * 2 + ["mobilenetv2_100"] * 2
    assert all(one.exact for one in found)
    torch.testing.assert_close(sum(one.totals for one in found), wanted, rtol=1e-4, atol=1e-5)
    both = joined_map(found, 24)
    torch.testing.assert_close(both.sum((-2, -1)), wanted, rtol=1e-4, atol=1e-4)


def test_the_map_of_a_mirror_image_is_turned_back() -> None:
    made = network("8C3-G", mirror=True)
    head, size = made.classifier.head, made.preprocess.size
    with torch.no_grad():
        head.weight.zero_()
        head.weight[1, 8:] = 1  # the features of the mirror image alone
    images = torch.zeros(2, 3, size, size)
    images[:, :, :, :4] = 5  # something on the left
    maps = EvidenceMaps("8C3-G", made.classifier.backbone, images)
    _, (plain, mirrored) = maps(images, lambda f: head.weight[1].detach().expand(1, 2, -1))
    assert plain.maps.abs().sum() == 0
    columns = mirrored.maps[0, 0].abs().sum(0)
    assert columns[:4].mean() != pytest.approx(float(columns[-4:].mean()))
    assert (columns[1:3] - columns[10]).abs().max() > (columns[-3:-1] - columns[10]).abs().max()


def test_a_power_of_the_features_is_shared_by_what_each_cell_gave() -> None:
    wanted, (found,) = evidence_of(network("resnet18", feature_power=0.5))
    assert found.method == POWERED and found.exact
    torch.testing.assert_close(found.maps.sum((-2, -1)), wanted, rtol=1e-4, atol=1e-5)


def test_parameters_can_be_trained_after_as_before() -> None:
    made = network("8C3B-G")
    backbone = made.classifier.backbone
    evidence_of(made)
    assert all(p.requires_grad and p.grad is None for p in backbone.parameters())


@settings(max_examples=25, deadline=None)
@given(
    sides=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    side=st.integers(9, 20),
    seed=st.integers(0, 99),
)
def test_a_joined_map_adds_up_to_all_its_networks(sides: list[int], side: int, seed: int) -> None:
    torch.manual_seed(seed)
    maps = [torch.randn(1, 2, n, n) for n in sides]
    evidence = [Evidence("a", one, one.sum((-2, -1)), EXACT, True) for one in maps]
    total = sum(one.sum((-2, -1)) for one in maps)
    torch.testing.assert_close(
        joined_map(evidence, side).sum((-2, -1)), total, rtol=1e-3, atol=1e-4
    )
