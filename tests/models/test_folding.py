"""Batch norm folded away: the same features, and nothing touched where that cannot be."""

import pytest
import timm
import torch
from torch import Tensor, nn

from imgcli.models.folding import fold_batch_norm


def with_statistics(module: nn.Module) -> nn.Module:
    """Batch norms as after training: fresh ones fold to nearly nothing."""
    generator = torch.Generator().manual_seed(0)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.copy_(torch.randn(norm.num_features, generator=generator))
            norm.running_var.copy_(torch.rand(norm.num_features, generator=generator) + 0.5)
    return module.eval()


@pytest.mark.parametrize(
    "arch", ["mobilenetv2_100", "resnet18", "efficientnet_b0", "vit_tiny_patch16_224"]
)
def test_a_folded_backbone_gives_the_same_features(arch: str) -> None:
    torch.manual_seed(0)
    args = {"img_size": 64} if arch.startswith("vit") else {}
    backbone = with_statistics(timm.create_model(arch, num_classes=0, **args))
    images = torch.randn(2, 3, 64, 64)
    folded = fold_batch_norm(backbone, images)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in folded.modules())
    other = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        expected = backbone(other)
        torch.testing.assert_close(folded(other), expected, atol=1e-3, rtol=1e-3)


class Shared(nn.Module):
    """A convolution whose output is used twice: folding the norm into it would change both."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> Tensor:
        values = self.conv(images)
        out: Tensor = (self.norm(values) + values).mean((2, 3))
        return out


def test_what_cannot_be_folded_is_left_as_it_is() -> None:
    module, images = with_statistics(Shared()), torch.randn(2, 3, 8, 8)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    folded = fold_batch_norm(module, images)
    assert isinstance(folded.norm, nn.BatchNorm2d)
    assert torch.equal(folded(images), module(images))
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())
