"""A copy of a backbone for looking, without learning."""

import timm
import torch
from torch import nn

from imgcli.records import Preprocess
from imgcli.training.feature_extraction import for_looking


def test_a_backbone_for_looking_is_a_copy() -> None:
    backbone = timm.create_model("resnet18", num_classes=0).train()
    looker = for_looking(backbone, Preprocess(64), torch.device("cpu"))
    assert looker is not backbone and not looker.training and backbone.training
    assert any(isinstance(m, nn.BatchNorm2d) for m in backbone.modules())
