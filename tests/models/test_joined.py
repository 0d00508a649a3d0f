"""Several networks as one backbone: `a+b`."""

import pytest
import torch

from imgcli.config import ModelConfig
from imgcli.models.create import create_network, starts_from_published
from imgcli.models.joined import PoweredBackbone
from imgcli.models.network import Network
from tests.support.joined import network_of, same_weights

PAIR = "test_resnet+test_efficientnet"


def features(network: Network, photos: torch.Tensor) -> torch.Tensor:
    """Features of photos `(N, 3, S, S)` from 0 to 1, normalised as the network takes them."""
    view = network.preprocess
    mean, std = (torch.tensor(values)[:, None, None] for values in (view.mean, view.std))
    network.classifier.eval()
    with torch.inference_mode():
        found: torch.Tensor = network.classifier.backbone((photos - mean) / std)
    return found


def test_the_features_are_those_of_both_side_by_side() -> None:
    joined, *alone = (network_of(arch) for arch in (PAIR, *PAIR.split("+")))
    same_weights(joined, *alone)
    assert alone[0].preprocess.mean != alone[1].preprocess.mean
    photos = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    expected = torch.cat([features(one, photos) for one in alone], dim=1)
    torch.testing.assert_close(features(joined, photos), expected, rtol=1e-4, atol=1e-5)
    assert joined.classifier.head.in_features == expected.shape[1]


def test_a_network_of_one_size_gets_photos_of_that_size() -> None:
    joined, alone = network_of("test_resnet+test_vit", 64), network_of("test_vit", None)
    same_weights(joined, network_of("test_resnet"), alone)
    assert (joined.preprocess.size, alone.preprocess.size) == (64, 160)
    grey = torch.full((1, 3, 160, 160), 0.6)  # one colour, which no resizing changes
    expected = features(alone, grey)
    found = features(joined, grey[..., :64, :64])[:, -expected.shape[1] :]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_without_a_size_photos_are_as_large_as_the_largest() -> None:
    largest = create_network(ModelConfig("tf_efficientnet_lite2", pretrained=False), 3).preprocess
    joined = create_network(
        ModelConfig("tf_efficientnet_lite0+tf_efficientnet_lite2", pretrained=False), 3
    )
    assert joined.preprocess == largest and largest.size == 260


def test_a_power_is_taken_of_what_a_network_gives() -> None:
    plain = network_of("test_vit", None)
    powered = create_network(ModelConfig("test_vit", pretrained=False, feature_power=0.5), 3)
    backbone = powered.classifier.backbone
    assert isinstance(backbone, PoweredBackbone)
    plain.classifier.backbone.load_state_dict(backbone.module.state_dict())
    photos = torch.rand(2, 3, 160, 160, generator=torch.Generator().manual_seed(0))
    expected = features(plain, photos)
    assert expected.min() < 0 < expected.max()
    expected = expected.abs().sqrt() * expected.sign()
    torch.testing.assert_close(features(powered, photos), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("arch", "published"), [(PAIR, True), ("test_resnet+alexnet", False), ("alexnet", False)]
)
def test_published_weights_are_those_of_every_network(arch: str, published: bool) -> None:
    assert starts_from_published(ModelConfig(arch)) == published
