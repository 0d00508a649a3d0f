"""Small networks alone and among several, with the same weights."""

from torch import nn

from imgcli.config import ModelConfig
from imgcli.models.create import create_network
from imgcli.models.joined import JoinedBackbone
from imgcli.models.network import Network


def network_of(arch: str, size: int | None = 32) -> Network:
    return create_network(ModelConfig(arch, pretrained=False, image_size=size), 3)


def same_weights(joined: Network, *alone: Network) -> None:
    """Give each network the weights that it has among several."""
    backbone = joined.classifier.backbone
    assert isinstance(backbone, JoinedBackbone)
    for one, member in zip(alone, backbone.members, strict=True):
        module = member[1] if isinstance(member, nn.Sequential) else member
        one.classifier.backbone.load_state_dict(module.state_dict())
