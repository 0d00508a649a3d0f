"""A classifier as one ONNX file: pixels in, probabilities out."""

import contextlib
import io
import logging
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import ModelProto, compose, helper
from torch import nn

from imgcli.errors import ModelError
from imgcli.export.classifier import Exported
from imgcli.export.layers import Given, failing_layer
from imgcli.export.onnx_view import PIXELS, PREFIX, ViewGraph, all_nodes, pixels_input
from imgcli.export.options import Options
from imgcli.files import write_atomic
from imgcli.models.memory import is_out_of_memory

NAME = "model.onnx"
PROBABILITIES = "probabilities"
MAX_BYTES = 2**31 - 1  # of a file of ONNX: protobuf holds no more

_WARNING, _FATAL = 2, 4  # severities of onnxruntime's log

Photos = Iterable[NDArray[np.uint8]]  # decoded, (H, W, 3) each
Predict = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def write(
    exported: Exported, file: Path, options: Options, about: Mapping[str, str], photos: Photos
) -> None:
    """Write the file.

    Args:
        about: what the file says of itself, for other programs.
        photos: training photos, to calibrate int8 on.

    Raises:
        ModelError: a layer that ONNX, or this opset of it, does not have; or too many weights.
    """
    views = [ViewGraph(one, number) for number, one in enumerate(exported.geometries)]
    network = _network(exported, options)
    model = _joined(views, network, options, len(exported.classes))
    if options.precision == "int8":
        model = _quantised(model, file.parent, photos)
    model.producer_name, model.producer_version = "imgcli", about["imgcli"]
    model.doc_string = _description(exported)
    helper.set_model_props(model, dict(about))
    onnx.checker.check_model(model, full_check=True)
    write_atomic(file, model.SerializeToString())


def load(file: Path) -> Predict:
    """The file as onnxruntime runs it: pixels `(N, H, W, 3)` → probabilities `(N, K)`.

    Raises:
        ModelError: onnxruntime cannot run it.
    """
    choices = onnxruntime.SessionOptions()
    choices.log_severity_level = _FATAL
    try:
        session = onnxruntime.InferenceSession(
            str(file), choices, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise ModelError(
            f"onnxruntime {onnxruntime.__version__} cannot run the file: {_said(error)}. Use "
            "another --opset, or --format torchscript."
        ) from None

    def predict(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = session.run([PROBABILITIES], {PIXELS: pixels})[0]
        return found

    return predict


# --- the graph ----------------------------------------------------------------------------------


def _network(exported: Exported, options: Options) -> ModelProto:
    """The networks in ONNX, from views to probabilities."""
    module = exported.probabilities(options.precision)
    inputs = [exported.example()]
    try:
        return in_onnx(module, inputs, options.opset)
    except ModelError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        layer = failing_layer(module, inputs, lambda one, some: in_onnx(one, some, options.opset))
        raise ModelError(
            f"{layer} cannot be exported to ONNX opset {options.opset}: {_said(error)}. Use "
            "another --opset, --format torchscript, or train another --arch."
        ) from None


def in_onnx(module: nn.Module, inputs: Sequence[Given], opset: int) -> ModelProto:
    """A module of tensors `(N, …)`, or lists of them, in ONNX; N is free."""
    free = {0: torch.export.Dim("batch")}
    shapes = tuple([free for _ in one] if isinstance(one, list) else free for one in inputs)
    with _silently():
        program = torch.onnx.export(
            module,
            tuple(inputs),
            dynamo=True,
            opset_version=opset,
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in all_nodes(model.graph.node):  # which name files of this machine
        del node.metadata_props[:]
        node.doc_string = ""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del value.metadata_props[:]
    found = next(one.version for one in model.opset_import if one.domain in ("", "ai.onnx"))
    if found != opset:
        raise ModelError(
            f"--opset {opset}: torch {torch.__version__} writes this network in opset {found} "
            f"only. Use --opset {found}."
        )
    return model


def _joined(
    views: Sequence[ViewGraph], network: ModelProto, options: Options, classes: int
) -> ModelProto:
    """The views' graphs before the networks'."""
    taken = [one.name for one in network.graph.input]
    if network.ByteSize() > MAX_BYTES:
        raise ModelError(
            f"The weights take {network.ByteSize() / 1e9:.1f} GB, and a file of ONNX holds 2.1 GB. "
            "Use --precision fp16, or --format torchscript."
        )
    given = [
        helper.make_tensor_value_info(view.output, onnx.TensorProto.FLOAT, None) for view in views
    ]
    before = helper.make_graph(
        [node for view in views for node in view.nodes],
        "views",
        [pixels_input()],
        given,
        [constant for view in views for constant in view.constants],
    )
    before_model = helper.make_model(
        before, opset_imports=network.opset_import, ir_version=network.ir_version
    )
    names = [(view.output, name) for view, name in zip(views, taken, strict=True)]
    model = compose.merge_models(before_model, compose.add_prefix(network, "net_"), [
        (view, f"net_{name}") for view, name in names
    ])  # fmt: skip
    out = model.graph.output[0].name
    model.graph.node.append(helper.make_node("Identity", [out], [PROBABILITIES], PROBABILITIES))
    del model.graph.output[:]
    model.graph.output.append(
        helper.make_tensor_value_info(PROBABILITIES, onnx.TensorProto.FLOAT, ["batch", classes])
    )
    model.graph.name = "imgcli"
    versions = {one.domain: one.version for one in network.opset_import}
    del model.opset_import[:]  # where each is named twice
    model.opset_import.extend(helper.make_opsetid(*one) for one in versions.items())
    return model


def _description(exported: Exported) -> str:
    archs = ", ".join(dict.fromkeys(one.arch for one in exported.networks))
    return (
        f"Photo classifier ({archs}), {len(exported.classes)} classes. Input '{PIXELS}': decoded "
        "photos, upright, RGB, uint8, (batch, height, width, 3), of any size. Output "
        f"'{PROBABILITIES}': (batch, {len(exported.classes)}) float32, in the order of the "
        "metadata 'classes'. Resizing and normalisation are part of the graph."
    )


# --- int8 ---------------------------------------------------------------------------------------


def _quantised(model: ModelProto, folder: Path, photos: Photos) -> ModelProto:
    """Weights and activations of convolutions and dense layers in 8 bits, calibrated on photos.

    Args:
        folder: for the files that onnxruntime works with; none of them stays.
    """
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.photos = iter(photos)

        def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
            photo = next(self.photos, None)
            return None if photo is None else {PIXELS: photo[None]}

    ours = [node.name for node in model.graph.node if node.name.startswith(PREFIX)]
    with TemporaryDirectory(dir=folder) as place, _silently():
        target = Path(place) / NAME
        quantize_static(
            model,
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "Gemm", "MatMul"],
            nodes_to_exclude=ours,
            per_channel=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            extra_options={"CalibMaxIntermediateOutputs": 16},  # photos held in memory
        )
        return onnx.load(target)


# --- the exporter's voice -----------------------------------------------------------------------


@contextlib.contextmanager
def _silently() -> Iterator[None]:
    """Without what torch and onnxruntime print and log; errors come as exceptions."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    onnxruntime.set_default_logger_severity(_FATAL)
    try:
        with warnings.catch_warnings(action="ignore"), contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
        onnxruntime.set_default_logger_severity(_WARNING)


def _said(error: Exception) -> str:
    """The first sentence of an exporter's error that tells something."""
    cause: BaseException = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    return (lines[0] if lines else type(cause).__name__)[:200].rstrip(".")
