"""oneDNN's graphs: the same features, and no graph where that cannot be."""

import platform

import pytest
import timm
import torch
from torch import Tensor, nn

from imgcli.models.folding import fuse_for_inference
from imgcli.models.fused_graph import GRAPH, LAYERS, CannotFuse, FusedGraphs, choose_engine
from imgcli.records import Preprocess
from imgcli.training.device import forward

CPU = torch.device("cpu")
BOUND = {"fp32": 1e-5, "bf16": 0.03}  # of features, relatively


def images(n: int, size: int = 64) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    found = torch.randn(n, 3, size, size, generator=generator)
    return found.contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("arch", ["mobilenetv2_050", "vit_tiny_patch16_224", "convnext_atto"])
def test_a_graph_gives_the_features_of_the_layers(arch: str, precision: str) -> None:
    torch.manual_seed(0)
    args = {"img_size": 64} if arch.startswith("vit") else {}
    backbone = timm.create_model(arch, num_classes=0, **args).eval()
    module = fuse_for_inference(backbone, Preprocess(64), CPU)
    graphs = FusedGraphs(module, precision)
    for n in (2, 1):  # batches of any size
        expected = forward(module, images(n), precision)
        found = forward(graphs, images(n), precision)
        assert found.dtype == torch.float32
        assert (found - expected).norm() <= BOUND[precision] * expected.norm()
        assert torch.equal(forward(graphs, images(n), precision), found)


def test_making_a_graph_leaves_the_layers_and_torch_as_they_were() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten()).eval()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    forward(FusedGraphs(module, "bf16"), images(2, 8), "bf16")
    assert not torch.jit.onednn_fusion_enabled()
    assert all(torch.equal(before[name], value) for name, value in module.state_dict().items())


class ByBrightness(nn.Module):
    """Features that depend on the images otherwise than by arithmetic: a trace keeps one way."""

    def forward(self, images: Tensor) -> Tensor:
        first = float(images[0, 0, 0, 0])
        return images.mean((2, 3)) * (1 + 10 * abs(first))


class Untraceable(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        if torch.jit.is_tracing():
            raise TypeError("cannot be traced")
        return images.mean((2, 3))


def test_a_graph_with_other_features_is_refused() -> None:
    for module, why in ((ByBrightness(), "features differ"), (Untraceable(), "be traced")):
        with pytest.raises(CannotFuse, match=why):
            forward(FusedGraphs(module.eval(), "fp32"), images(2, 8), "fp32")


class Full(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")


def test_no_memory_for_a_graph_is_no_fault_of_the_network() -> None:
    with pytest.raises(RuntimeError, match="can't allocate"):
        forward(FusedGraphs(Full().eval(), "fp32"), images(2, 8), "fp32")


def test_the_engine_goes_by_family_and_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    resnet, mobilenetv3 = (
        timm.create_model(arch, num_classes=0) for arch in ("resnet18", "mobilenetv3_small_050")
    )
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert choose_engine(resnet, CPU) == GRAPH
    assert choose_engine(mobilenetv3, CPU) == LAYERS
    assert choose_engine(resnet, torch.device("cuda")) == LAYERS
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert choose_engine(resnet, CPU) == LAYERS
