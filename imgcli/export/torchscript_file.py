"""A classifier as one TorchScript file: pixels in, probabilities out."""

import contextlib
import io
import json
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imgcli.errors import ModelError
from imgcli.export.classifier import Exported, FromPixels
from imgcli.export.layers import Given, failing_layer
from imgcli.export.options import Options
from imgcli.export.view import View
from imgcli.files import write_atomic
from imgcli.models.memory import is_out_of_memory

NAME = "model.pt"
ABOUT = "imgcli.json"  # in the file, beside the code: what ONNX keeps as metadata


def write(exported: Exported, file: Path, options: Options, about: Mapping[str, str]) -> None:
    """Write the file: the networks as a trace, the views as a script.

    Raises:
        ModelError: a layer that cannot be traced.
    """
    module = exported.probabilities(options.precision)
    inputs = (exported.example(),)
    try:
        with _silently(), torch.no_grad():
            traced = _trace(module, inputs)
    except Exception as error:
        if is_out_of_memory(error):
            raise
        layer = failing_layer(module, inputs, _trace)
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(
            f"{layer} cannot be traced by TorchScript: {said[0][:200].rstrip('.')}. Use "
            "--format onnx, or train another --arch."
        ) from None
    with _silently():
        views = [View(one) for one in exported.geometries]
        whole = torch.jit.script(FromPixels(views, traced).eval())
        content = io.BytesIO()
        torch.jit.save(whole, content, _extra_files={ABOUT: json.dumps(dict(about))})
    write_atomic(file, _without_sources(content))


def _without_sources(content: BinaryIO) -> bytes:
    """The archive without its table of source lines, which names files of this machine."""
    slim = io.BytesIO()
    with zipfile.ZipFile(content) as whole, zipfile.ZipFile(slim, "w") as kept:
        for entry in whole.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                kept.writestr(entry, whole.read(entry))
    return slim.getvalue()


def _trace(module: nn.Module, inputs: Sequence[Given]) -> nn.Module:
    trace: Callable[..., nn.Module] = torch.jit.trace
    return trace(module, tuple(inputs), check_trace=False)


def load(file: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
    """The file as torch runs it: pixels `(N, H, W, 3)` → probabilities `(N, K)`."""
    with _silently():
        module = torch.jit.load(str(file), map_location="cpu")  # type: ignore[no-untyped-call]

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode(), _silently():
            return np.asarray(module(torch.from_numpy(pixels.copy())).numpy())

    return predict


@contextlib.contextmanager
def _silently() -> Iterator[None]:
    """Without the warnings of tracing: what depends on values is found by running the file."""
    with warnings.catch_warnings(action="ignore"):
        yield
