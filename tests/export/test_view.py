"""The view in an exported file: pixel by pixel what networks of imgcli see."""

import itertools
import warnings
from collections.abc import Callable
from functools import cache

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper
from PIL import Image

from imgcli.export.onnx_view import PIXELS, ViewGraph, pixels_input
from imgcli.export.view import View, geometry
from imgcli.photos.decode import to_input
from imgcli.records import Preprocess

Pixels = NDArray[np.uint8]
# The share of values that rounding may move by one level: Pillow rounds its weights to 22 bits, so
# that the ties of very small photos fall to one side.
RARE = 0.08
KINDS = [*itertools.product(("squash", "crop", "pad"), ("bicubic", "bilinear"))]


@cache
def views(preprocess: Preprocess) -> tuple[Callable[[Pixels], Pixels], ...]:
    """The view by TorchScript and by ONNX, as functions from one photo to (S, S, 3)."""
    with warnings.catch_warnings(action="ignore"):
        script = torch.jit.script(View(geometry(preprocess)))
    graph = ViewGraph(geometry(preprocess), 0)
    out = helper.make_tensor_value_info(graph.output, TensorProto.FLOAT, [None] * 4)
    model = helper.make_model(
        helper.make_graph(graph.nodes, "view", [pixels_input()], [out], graph.constants),
        opset_imports=[helper.make_opsetid("", 18)],
        ir_version=10,
    )
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString())

    def by_script(photo: Pixels) -> Pixels:
        return script(torch.from_numpy(photo)[None])[0].permute(1, 2, 0).numpy()

    def by_onnx(photo: Pixels) -> Pixels:
        return session.run(None, {PIXELS: photo[None]})[0][0].transpose(1, 2, 0)

    return by_script, by_onnx


def noise(width: int, height: int) -> Pixels:
    rng = np.random.default_rng(width * 7919 + height)
    return np.clip(rng.normal(120, 60, (height, width, 3)), 0, 255).astype(np.uint8)


def assert_same(preprocess: Preprocess, photo: Pixels) -> None:
    expected = to_input(Image.fromarray(photo), preprocess).astype(np.int64)
    for view in views(preprocess):
        differ = np.abs(view(photo) - expected)
        assert differ.max() <= 1 and (differ > 0).mean() <= RARE


@pytest.mark.parametrize(("fit", "interpolation"), KINDS)
@settings(max_examples=15, deadline=None)
@given(width=st.integers(1, 90), height=st.integers(1, 90))
def test_photos_of_any_size_are_seen_as_in_training(
    fit: str, interpolation: str, width: int, height: int
) -> None:
    crop = 0.875 if fit == "crop" else 1.0
    assert_same(Preprocess(32, fit, crop, interpolation), noise(width, height))


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_photos_above_the_limit_are_shrunk_by_whole_numbers_first(fit: str) -> None:
    assert_same(Preprocess(64, fit), noise(2300, 1801))


def test_an_interpolation_that_rounds_once_is_another_picture() -> None:
    photo = noise(75, 50)
    images = torch.from_numpy(photo).permute(2, 0, 1)[None].float()
    once = torch.nn.functional.interpolate(images, (32, 32), mode="bicubic", antialias=True)
    once = once[0].permute(1, 2, 0).round().clamp(0, 255).numpy()
    expected = to_input(Image.fromarray(photo), Preprocess(32)).astype(np.int64)
    assert (np.abs(once - expected) > 0).mean() > RARE
