"""A forward pass that learns nothing."""

import torch
from torch import nn

from imgcli.records import AveragedViews
from imgcli.training.device import forward


def test_predictions_average_over_mirror_images_if_asked_for() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, bias=False)).eval()
    images = torch.rand(3, 3, 2, 2)
    both = (module(images) + module(images.flip(-1))) / 2
    found = forward(module, images, "fp32", AveragedViews(flip=True))
    torch.testing.assert_close(found, both.detach())
