"""oneDNN's graphs: a network's layers run fused, on prepacked weights; the same features, faster.

    layers          PyTorch, layer by layer, batch norm folded away
    onednn-graph    the traced network, whose convolutions, products, sums and activations oneDNN
                    computes together (`torch.jit.enable_onednn_fusion`)

The engine decides the last digits of features. So it follows from the network's family and the
processor, by a table; never from a clock.
"""

import copy
import platform
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from imgcli.errors import ModelError
from imgcli.models.memory import is_out_of_memory

LAYERS, GRAPH = "layers", "onednn-graph"

# The modules whose networks it was measured on; images per second of one core with AMX over those
# of the layers, in bf16: resnet101 1.7, resnet18 1.8, mobilenetv2 2.0, efficientnet_b0 1.3,
# regnety_002 1.9, densenet121 1.4, vit_small 1.2, convnext_tiny 1.4. In fp32: mobilenetv2 2.0,
# convnext_atto 1.8, vit_tiny 1.2, resnet18 1.2. Left out for what they gave: eva02_tiny 0.1;
# swin_tiny and mobilenetv3_large, which oneDNN's graphs cannot take.
_FAMILIES = {
    "timm.models.convnext",
    "timm.models.densenet",
    "timm.models.efficientnet",
    "timm.models.regnet",
    "timm.models.resnet",
    "timm.models.vision_transformer",
}
_PROCESSORS = {"x86_64", "amd64"}  # others have other kernels
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# The root mean square of what a graph's features may differ by, of their own deviation. Rounding
# makes up to 1e-5 of it in fp32, and 0.03 in bf16; other features make more than 1.
_CLOSE = {"fp32": 1e-3, "bf16": 0.1}


class CannotFuse(ModelError):
    """A network that has no graph, or whose graph gives other features."""


def choose_engine(backbone: nn.Module, device: torch.device) -> str:
    """`GRAPH` or `LAYERS`, by the family of a backbone and by the processor."""
    known = type(backbone).__module__ in _FAMILIES
    suits = device.type == "cpu" and platform.machine().lower() in _PROCESSORS
    return GRAPH if known and suits and _available() else LAYERS


def _available() -> bool:
    built: Callable[[], bool] = torch.backends.mkldnn.is_available
    return hasattr(torch.jit, "enable_onednn_fusion") and built()


class FusedGraphs:
    """Images `(B, C, S, S)` → features `(B, D)` in float32, by a graph for each size of batch.

    Args:
        module: on the CPU, in eval mode, batch norm folded.
        precision: "fp32" or "bf16"; the weights are in it too.
    """

    def __init__(self, module: nn.Module, precision: str) -> None:
        self._layers, self._precision = module, precision
        self._dtype = _DTYPES[precision]
        self._module = module if precision == "fp32" else copy.deepcopy(module).to(self._dtype)
        self._graphs: dict[torch.Size, Callable[[Tensor], Tensor]] = {}

    def __call__(self, images: Tensor) -> Tensor:
        """
        Raises:
            CannotFuse: at the first batch of a size.
        """
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            graph = self._graphs.get(images.shape) or self._graph_for(images)
            return graph(images.to(self._dtype)).float()

    def _graph_for(self, images: Tensor) -> Callable[[Tensor], Tensor]:
        try:
            graph = self._made(images.shape)
        except Exception as error:  # of tracing, of oneDNN: each raises its own kinds
            if is_out_of_memory(error):
                raise
            said = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
            raise CannotFuse(said.rstrip(".")) from None
        self._graphs[images.shape] = graph
        return graph

    def _made(self, shape: torch.Size) -> Callable[[Tensor], Tensor]:
        """The graph of a size of batch, seen to give what the layers give for other images.

        Raises:
            CannotFuse: it does not.
        """
        generator = torch.Generator().manual_seed(0)
        shown, other = (
            torch.randn(shape, generator=generator).contiguous(memory_format=torch.channels_last)
            for _ in range(2)
        )
        graph = graph_of(self._module, shown.to(self._dtype))
        found = graph(other.to(self._dtype)).float()
        few = other[: min(2, len(other))]
        with torch.autocast("cpu", torch.bfloat16, enabled=self._precision == "bf16"):
            expected = self._layers(few).float()
        difference = (found[: len(few)] - expected).square().mean().sqrt()
        if not difference <= _CLOSE[self._precision] * expected.std():
            raise CannotFuse(f"its features differ by {difference:.2g}")
        return graph


def graph_of(module: nn.Module, images: Tensor) -> Callable[[Tensor], Tensor]:
    """The graph of a module in eval mode for images of that shape and type."""
    trace: Callable[..., nn.Module] = torch.jit.trace
    with torch.no_grad(), _onednn_fusion():
        graph: Callable[[Tensor], Tensor] = torch.jit.freeze(
            trace(module, images, check_trace=False)
        )
        graph(images)  # shapes are seen
        graph(images)  # and used
    return graph


@contextmanager
def _onednn_fusion() -> Iterator[None]:
    """oneDNN's fusion of graphs that are made meanwhile; without warnings that jit is old."""
    enabled: Callable[[], bool] = torch.jit.onednn_fusion_enabled
    before = enabled()
    torch.jit.enable_onednn_fusion(True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.jit.enable_onednn_fusion(before)
