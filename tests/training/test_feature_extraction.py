"""A copy of a backbone for looking, without learning."""

import timm
import torch
from torch import nn

from imgcli.models.folding import fuse_for_inference
from imgcli.records import Preprocess


def test_a_fused_backbone_is_a_copy() -> None:
    backbone = timm.create_model("resnet18", num_classes=0).train()
    fused = fuse_for_inference(backbone, Preprocess(64), torch.device("cpu"))
    assert fused is not backbone and not fused.training and backbone.training
    assert any(isinstance(m, nn.BatchNorm2d) for m in backbone.modules())
