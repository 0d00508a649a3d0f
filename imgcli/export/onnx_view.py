"""`imgcli.export.view` in ONNX: what becomes of a decoded photo of any size, as nodes of a graph.

Numbers of a side are int64, places on it double, pixels float32.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from onnx import NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from imgcli.export.view import LARGEST_WEIGHT, MAX_BITS, Geometry
from imgcli.photos.resize import LARGE, MARGIN

PREFIX = "view"  # of the names of all that is made here
PIXELS = "images"


class Side(NamedTuple):
    """A side of a photo, by the names of its values."""

    length: str  # int64
    start: str  # double, of the box that is resized
    end: str
    out: str  # int64: what the box is resized to


class ViewGraph:
    """Nodes from pixels `(N, H, W, 3)` uint8 to a view `(N, 3, S, S)` float32."""

    def __init__(self, geometry: Geometry, number: int) -> None:
        self.geometry = geometry
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self._prefix = f"{PREFIX}{number}"
        self._count = 0
        self.output = self._view()
        used = {name for node in all_nodes(self.nodes) for name in node.input}
        self.constants = [constant for constant in self.constants if constant.name in used]

    def _name(self) -> str:
        self._count += 1
        return f"{self._prefix}_{self._count}"

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = self._name()
        self.nodes.append(helper.make_node(kind, inputs, [name], name, **attributes))
        return name

    def _constant(self, value: object, dtype: type[np.generic]) -> str:
        name = self._name()
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def _int(self, value: int | Sequence[int]) -> str:
        return self._constant(value, np.int64)

    def _real(self, value: float) -> str:
        return self._constant(value, np.float64)

    def _as_real(self, value: str) -> str:
        return self._op("Cast", value, to=TensorProto.DOUBLE)

    def _as_int(self, value: str) -> str:
        return self._op("Cast", value, to=TensorProto.INT64)

    def _as_pixels(self, value: str) -> str:
        return self._op("Cast", value, to=TensorProto.FLOAT)

    def _vector(self, *values: str) -> str:
        """Numbers of the shape () as one of the shape (n,)."""
        axis = self._int([0])
        return self._op("Concat", *(self._op("Unsqueeze", one, axis) for one in values), axis=0)

    # --- the steps of `View.forward` --------------------------------------------------------------

    def _view(self) -> str:
        values = self._as_pixels(self._op("Transpose", PIXELS, perm=[0, 3, 1, 2]))
        lengths = self._lengths(values)
        shortest, longest = self._op("Min", *lengths), self._op("Max", *lengths)
        sides = [
            Side(length, *self._edges(length, shortest), self._out_length(length, longest))
            for length in lengths
        ]
        values, sides = self._shrunk(values, sides)
        rows, columns = (self._weights(side) for side in sides)
        columns = self._op("Transpose", columns, perm=[1, 0])
        values = self._resized(values, rows, columns, sides)
        return self._padded(values, sides) if self.geometry.fit == "pad" else values

    def _lengths(self, values: str) -> tuple[str, str]:
        shape = self._op("Shape", values)
        height, width = (self._op("Gather", shape, self._int(axis)) for axis in (2, 3))
        return height, width

    def _edges(self, length: str, shortest: str) -> tuple[str, str]:
        if self.geometry.fit != "crop":
            return self._real(0.0), self._as_real(length)
        size, short = self.geometry.size, self.geometry.short
        resized = self._op("Div", self._op("Mul", self._int(short), length), shortest)
        beyond = self._as_real(self._op("Sub", resized, self._int(size)))
        start = self._op("Round", self._op("Div", beyond, self._real(2.0)))
        end = self._op("Add", start, self._real(size))
        real, over = self._as_real(length), self._as_real(resized)
        first, last = (
            self._op("Div", self._op("Mul", place, real), over) for place in (start, end)
        )
        return first, self._op("Min", last, real)

    def _out_length(self, length: str, longest: str) -> str:
        size = self.geometry.size
        if self.geometry.fit != "pad":
            return self._int(size)
        scale = self._op("Div", self._real(size), self._as_real(longest))
        out = self._op("Round", self._op("Mul", self._as_real(length), scale))
        return self._op("Max", self._as_int(out), self._int(1))

    def _shrunk(self, values: str, sides: Sequence[Side]) -> tuple[str, list[Side]]:
        """Large photos by whole numbers, others by 1."""
        one, zero = self._int(1), self._int(0)
        pixels = self._op("Mul", sides[0].length, sides[1].length)
        large = self._op("Greater", pixels, self._int(LARGE))
        factors = [self._op("Where", large, self._factor(side), one) for side in sides]
        lengths = [side.length for side in sides]
        starts = [zero, zero]
        if self.geometry.fit == "crop":
            more = [self._op("Greater", factor, one) for factor in factors]
            shrinks = self._op("Or", *more)
            seen = [self._seen(side) for side in sides]
            starts = [self._op("Where", shrinks, first, zero) for first, _ in seen]
            ends = [
                self._op("Where", shrinks, last, side.length)
                for side, (_, last) in zip(sides, seen, strict=True)
            ]
            axes = self._int([2, 3])
            values = self._op("Slice", values, self._vector(*starts), self._vector(*ends), axes)
            lengths = [
                self._op("Sub", last, first) for first, last in zip(starts, ends, strict=True)
            ]
        values, lengths = self._means(values, lengths, factors)
        found = []
        for side, factor, start, length in zip(sides, factors, starts, lengths, strict=True):
            if self.geometry.vectorised:  # of what is left, all
                found.append(Side(length, side.start, self._as_real(length), side.out))
                continue
            first, last = (
                self._op("Div", self._op("Sub", edge, self._as_real(start)), self._as_real(factor))
                for edge in (side.start, side.end)
            )
            found.append(Side(length, first, last, side.out))
        return values, found

    def _scale(self, side: Side) -> str:
        return self._op("Div", self._op("Sub", side.end, side.start), self._as_real(side.out))

    def _factor(self, side: Side) -> str:
        factor = self._as_int(self._op("Div", self._scale(side), self._real(MARGIN)))
        return self._op("Max", factor, self._int(1))

    def _seen(self, side: Side) -> tuple[str, str]:
        reach = self._op("Mul", self._real(self._support - 0.5), self._scale(side))
        first = self._as_int(self._op("Sub", side.start, reach))
        last = self._as_int(self._op("Ceil", self._op("Add", side.end, reach)))
        return self._op("Max", first, self._int(0)), self._op("Min", last, side.length)

    def _means(
        self, values: str, lengths: Sequence[str], factors: Sequence[str]
    ) -> tuple[str, list[str]]:
        """The rounded means of blocks of pixels; at the edges, of those that are there."""
        one, zero = self._int(1), self._int(0)
        blocks, lacking, sizes = [], [], []
        for length, factor in zip(lengths, factors, strict=True):
            above = self._op("Sub", self._op("Add", length, factor), one)
            n = self._op("Div", above, factor)
            blocks.append(n)
            lacking.append(self._op("Sub", self._op("Mul", n, factor), length))
            before = self._op("Mul", self._op("Range", zero, n, one), factor)
            sizes.append(self._op("Min", self._op("Sub", length, before), factor))
        pads = self._vector(*[zero] * 6, *lacking)
        values = self._op("Pad", values, pads)
        (tall, wide), (down, across) = blocks, factors
        shape = self._vector(self._int(-1), self._int(3), tall, down, wide, across)
        values = self._op("Reshape", values, shape)
        sums = self._op("ReduceSum", values, self._int([3, 5]), keepdims=0)
        count = self._op(
            "Mul",
            self._op("Unsqueeze", sizes[0], self._int([1])),
            self._op("Unsqueeze", sizes[1], self._int([0])),
        )
        rest = self._op("Mod", self._int(1 << 24), count)
        inexact = self._as_pixels(self._op("Greater", rest, zero))
        half = self._as_pixels(self._op("Div", count, self._int(2)))
        less = self._op("Mul", inexact, self._constant(0.5, np.float32))
        sums = self._op("Add", sums, self._op("Sub", half, less))
        return self._op("Floor", self._op("Div", sums, self._as_pixels(count))), blocks

    @property
    def _support(self) -> float:
        return 2.0 if self.geometry.cubic else 1.0

    def _weights(self, side: Side) -> str:
        """The matrix `(out, length)` that resizes a side, or the box of it."""
        one, half, unit = self._real(1.0), self._real(0.5), self._real(0.0)
        start, end = (self._as_real(self._as_pixels(edge)) for edge in (side.start, side.end))
        side = side._replace(start=start, end=end)
        scale = self._scale(side)
        stretch = self._op("Max", scale, one)
        outs = self._op("Range", unit, self._as_real(side.out), one)
        centre = self._op("Add", start, self._op("Mul", self._op("Add", outs, half), scale))
        centre = self._op("Unsqueeze", centre, self._int([1]))
        reach = self._op("Mul", self._real(self._support), stretch)
        middle = self._op("Add", centre, half)
        first = self._op("Floor", self._op("Sub", middle, reach))
        last = self._op("Floor", self._op("Add", middle, reach))
        places = self._op("Range", unit, self._as_real(side.length), one)
        places = self._op("Unsqueeze", places, self._int([0]))
        away = self._op("Add", self._op("Sub", places, centre), half)
        x = self._op("Abs", self._op("Div", away, stretch))
        weight = self._cubic(x) if self.geometry.cubic else self._linear(x)
        outside = self._op(
            "Or", self._op("Less", places, first), self._op("GreaterOrEqual", places, last)
        )
        weight = self._op("Where", outside, unit, weight)
        sums = self._op("ReduceSum", weight, self._int([1]), keepdims=1)
        weight = self._op("Div", weight, sums)
        if self.geometry.vectorised:
            weight = self._of_16_bits(weight)
        return self._as_pixels(weight)

    def _linear(self, x: str) -> str:
        return self._op("Max", self._op("Sub", self._real(1.0), x), self._real(0.0))

    def _cubic(self, x: str) -> str:
        near = self._polynomial(x, (1.5, -2.5, 0.0, 1.0))
        far = self._polynomial(x, (-0.5, 2.5, -4.0, 2.0))
        beyond = self._op("Where", self._op("Less", x, self._real(2.0)), far, self._real(0.0))
        return self._op("Where", self._op("Less", x, self._real(1.0)), near, beyond)

    def _polynomial(self, x: str, factors: Sequence[float]) -> str:
        value = self._real(factors[0])
        for factor in factors[1:]:
            value = self._op("Add", self._op("Mul", value, x), self._real(factor))
        return value

    def _of_16_bits(self, weight: str) -> str:
        largest = self._op("ReduceMax", weight, keepdims=0)
        share = self._op("Log", self._op("Div", self._real(LARGEST_WEIGHT), largest))
        bits = self._op("Ceil", self._op("Div", share, self._real(float(np.log(2.0)))))
        bits = self._op("Sub", bits, self._real(1.0))
        bits = self._op("Min", bits, self._real(float(MAX_BITS)))
        unit = self._op("Pow", self._real(2.0), bits)
        scaled = self._op("Mul", self._op("Abs", weight), unit)
        whole = self._op("Floor", self._op("Add", scaled, self._real(0.5)))
        return self._op("Div", self._op("Mul", self._op("Sign", weight), whole), unit)

    def _resized(self, values: str, rows: str, columns: str, sides: Sequence[Side]) -> str:
        if self.geometry.vectorised:
            return self._across(self._down(values, rows), columns)
        if not self.geometry.rows_first:
            return self._down(self._across(values, columns), rows)
        tall, wide = (self._op("Sub", side.length, side.out) for side in sides)
        much = self._op("Greater", tall, self._op("Mul", wide, self._int(2)))
        taller = self._op("And", self._op("Greater", tall, self._int(0)), much)
        outside, branches = self.nodes, {}
        for name, in_order in (("then_branch", True), ("else_branch", False)):
            self.nodes = []
            if in_order:
                out = self._across(self._down(values, rows), columns)
            else:
                out = self._down(self._across(values, columns), rows)
            result = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
            branches[name] = helper.make_graph(self.nodes, self._name(), [], [result])
        self.nodes = outside
        return self._op("If", taller, **branches)

    def _down(self, values: str, rows: str) -> str:
        return self._rounded(self._op("MatMul", rows, values))

    def _across(self, values: str, columns: str) -> str:
        return self._rounded(self._op("MatMul", values, columns))

    def _rounded(self, values: str) -> str:
        whole = self._op("Floor", self._op("Add", values, self._constant(0.5, np.float32)))
        limits = (self._constant(limit, np.float32) for limit in (0.0, 255.0))
        return self._op("Clip", whole, *limits)

    def _padded(self, values: str, sides: Sequence[Side]) -> str:
        zero, two, size = self._int(0), self._int(2), self._int(self.geometry.size)
        lacking = [self._op("Sub", size, side.out) for side in sides]
        before = [self._op("Div", one, two) for one in lacking]
        after = [self._op("Sub", one, half) for one, half in zip(lacking, before, strict=True)]
        return self._op("Pad", values, self._vector(zero, zero, *before, zero, zero, *after))


def all_nodes(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    """Nodes, with those of the branches of theirs."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from all_nodes(attribute.g.node)


def pixels_input() -> ValueInfoProto:
    """The graph's input: photos of one size, decoded."""
    shape: list[str | int | None] = ["batch", "height", "width", 3]
    return helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, shape)
