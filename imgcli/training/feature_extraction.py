"""A backbone prepared for feature extraction."""

import torch
from torch import nn

from imgcli.models.folding import fold_batch_norm
from imgcli.records import Preprocess


def fuse_for_inference(
    backbone: nn.Module, preprocess: Preprocess, device: torch.device
) -> nn.Module:
    """A copy of a backbone with batch norm fused, for inference only: the same features, faster.

    It is not compiled: that made it 1.1 (resnet101) to 1.25 times (mobilenetv2_100) as fast, and
    its features another machine's in the last bits.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (2, preprocess.channels, preprocess.size, preprocess.size)
    noise = torch.randn(shape, generator=generator)
    folded = fold_batch_norm(backbone, noise)
    return folded.to(device).to(memory_format=torch.channels_last)
