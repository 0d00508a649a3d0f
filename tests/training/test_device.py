"""A forward pass that learns nothing."""

import pytest
import torch
from torch import nn

from imgcli.errors import WrongUsage
from imgcli.records import AveragedViews
from imgcli.training.device import choose_device, forward, kernels_by_trial
from tests.support.pretended import pretended


def test_predictions_average_over_mirror_images_if_asked_for() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(12, 2, bias=False)).eval()
    images = torch.rand(3, 3, 2, 2)
    both = (module(images) + module(images.flip(-1))) / 2
    found = forward(module, images, "fp32", AveragedViews(flip=True))
    torch.testing.assert_close(found, both.detach())


def test_auto_takes_a_cuda_gpu_and_an_apple_gpu_is_to_be_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(WrongUsage, match="no Apple GPU"):
        choose_device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("auto").type == "cpu"
    assert choose_device("mps").type == "mps"
    monkeypatch.setattr("imgcli.training.device.processes", lambda: 2)
    with pytest.raises(WrongUsage, match="one process"):
        choose_device("mps")


def test_fp32_on_a_gpu_is_no_tf32_and_trainings_alone_try_kernels() -> None:
    with pretended():
        device = choose_device("auto")
    assert device.type == "cuda"
    assert torch.get_float32_matmul_precision() == "highest"
    assert not torch.backends.cuda.matmul.allow_tf32
    with torch.backends.cudnn.flags():  # torch's own code does; names of both kinds are an error
        pass
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cudnn.benchmark
    for kind, tried in (("cuda", True), ("cpu", False)):
        with kernels_by_trial(torch.device(kind)):
            assert torch.backends.cudnn.benchmark == tried
    assert not torch.backends.cudnn.benchmark
