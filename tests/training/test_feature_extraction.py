"""A copy of a backbone for looking, without learning."""

import timm
import torch
from torch import nn

from imgcli.records import Preprocess
from imgcli.training.features import fuse_for_inference


def test_a_fused_backbone_is_a_copy() -> None:
    backbone = timm.create_model("resnet18", num_classes=0).train()
    fused = fuse_for_inference(backbone, Preprocess(64), torch.device("cpu"))
    assert fused is not backbone and not fused.training and backbone.training
    assert any(isinstance(m, nn.BatchNorm2d) for m in backbone.modules())
