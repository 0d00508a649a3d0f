"""Checkpoints of other programs, read as data: nothing that a pickle names is imported or called.

A pickle is a program: it names functions and has them called. Here each name gets a stand-in that
keeps what it was given. The few functions that tensors and arrays are made by are written out
below. Tensors stay in the file until `Stored.load`. A name of the standard library that is no plain
data, such as `os.system`, is no checkpoint's; the file is refused.
"""

import itertools
import re
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from pickle import _Unpickler
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

MAGIC = 0x1950A86A20F9469CFC6C  # first in what torch.save wrote before 1.6
_DEPTH = 8  # pickles inside pickles, such as of tensors written by pickle.dump
_STRIDED = 1 << 40  # numbers in a tensor; a stride of 0 repeats them without memory

_DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "Untyped": torch.uint8,
}
_OWN_DTYPES = {
    str(dtype).removeprefix("torch."): dtype
    for dtype in {*_DTYPES.values()}
    | {getattr(torch, name) for name in ("uint16", "float8_e4m3fn") if hasattr(torch, name)}
}

# What the standard library has that is plain data: of arguments, dates, paths, options.
_DATA_MODULES = frozenset(
    {
        *("argparse", "collections", "pathlib", "datetime", "enum", "uuid", "decimal", "fractions"),
        *("dataclasses", "typing", "copyreg", "copy_reg", "_codecs", "array", "numbers", "time"),
        *("zoneinfo", "ipaddress", "logging", "random", "string", "abc", "copy", "re", "math"),
    }
)
_DATA_NAMES = frozenset(
    {
        *("types.SimpleNamespace", "types.MappingProxyType", "functools.partial"),
        *("_io.BytesIO", "io.BytesIO", "_functools.partial", "weakref.ref"),
        *("operator.attrgetter", "operator.itemgetter", "threading.Lock", "_thread.RLock"),
        *(
            f"{module}.{name}"
            for module in ("builtins", "__builtin__")
            for name in (
                *("set", "frozenset", "list", "tuple", "dict", "int", "float", "bool", "str"),
                *("bytes", "bytearray", "complex", "slice", "range", "object", "type", "getattr"),
                *("unicode", "long", "xrange", "property", "NotImplemented", "Ellipsis"),
            )
        ),
    }
)


class Refusal(Exception):
    """The file names something that no checkpoint has a use for."""


def is_data(module: str, name: str) -> bool:
    """Whether a pickle's global may stand in a checkpoint: of libraries, or plain data."""
    top = module.partition(".")[0]
    known = top in sys.stdlib_module_names or top in ("__builtin__", "copy_reg")
    # Systems call one module by several names; those of code are never of data.
    return (not known and top not in ("nt", "posix")) or (
        f"{module}.{name}" in _DATA_NAMES or top in _DATA_MODULES
    )


@dataclass(frozen=True, eq=False)
class Stored:
    """A tensor that is in a file."""

    shape: tuple[int, ...]
    load: Callable[[], Tensor]


class Inert(dict[Any, Any]):
    """What stands for an object: its items, what it was made of, and the state put into it."""

    __slots__ = ("args", "extended", "state")
    args: tuple[Any, ...]
    extended: list[Any]
    state: dict[str, Any]
    __hash__ = object.__hash__  # type: ignore[assignment]

    def __new__(cls, *args: Any, **_: Any) -> "Inert":
        made = super().__new__(cls)
        made.args, made.extended, made.state = args, [], {}
        return made

    def __init__(self, *args: Any, **_: Any) -> None:
        super().__init__()
        for argument in args[:3]:
            pairs = isinstance(argument, list) and all(_is_pair(one) for one in argument)
            if isinstance(argument, Mapping) or pairs:
                self.update(argument)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __setstate__(self, state: Any) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, Mapping):
                self.state.update(part)

    def append(self, value: Any) -> None:
        self.extended.append(value)

    def extend(self, values: Any) -> None:
        self.extended.extend(values)

    add = append


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and isinstance(value[0], str)


class _Array(Inert):
    """A NumPy array: shape, type and bytes arrive as its state."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.state = {"": _stored_array(data, dtype, shape, bool(fortran))}


class _Dtype(Inert):
    """A NumPy type, such as `<f4`."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        self.extended = [state[1]]

    def numpy(self) -> "np.dtype[Any]":
        big = bool(self.extended) and self.extended[0] == ">"
        if not re.fullmatch(r"[fiub][1248]", code := str(self.args[0])):
            raise ValueError(f"an array of type {code}")
        return np.dtype(code).newbyteorder(">" if big else "<")


def _stored_array(data: Any, dtype: Any, shape: Any, fortran: bool) -> Stored:
    raw = data.encode("latin1") if isinstance(data, str) else bytes(data)
    order = "F" if fortran else "C"
    array = np.frombuffer(raw, dtype.numpy()).reshape(tuple(shape), order=order)  # type: ignore[call-overload]
    return _of_array(array)


def _of_array(array: "np.ndarray[Any, Any]") -> Stored:
    native = array.dtype.newbyteorder("=")
    return Stored(array.shape, lambda: torch.from_numpy(np.array(array, dtype=native, order="C")))


@dataclass(eq=False)
class _Storage:
    """Numbers in a file; tensors are views of them."""

    dtype: torch.dtype
    read: Callable[[], bytes]


class _Call:
    """One of the functions below, as the pickle sees it."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function

    def __call__(self, *args: Any) -> Any:
        return self._function(*args)


def _tensor(storage: _Storage, offset: int, size: Any, stride: Any, *_: Any) -> Stored:
    return _view(storage, storage.dtype, offset, size, stride)


def _tensor_of_bytes(
    storage: _Storage, offset: int, size: Any, stride: Any, _: Any, __: Any, dtype: Any, *___: Any
) -> Stored:
    return _view(storage, dtype, offset, size, stride)


def _view(storage: _Storage, dtype: torch.dtype, offset: int, size: Any, stride: Any) -> Stored:
    assert isinstance(storage, _Storage) and isinstance(dtype, torch.dtype)
    shape, steps = tuple(map(int, size)), tuple(map(int, stride))
    if len(shape) != len(steps) or min((offset, *shape, *steps)) < 0 or prod(shape) > _STRIDED:
        raise ValueError("a tensor that is none")

    def load() -> Tensor:
        flat = torch.frombuffer(bytearray(storage.read()), dtype=dtype)  # checks sizes
        return torch.as_strided(flat, shape, steps, offset).clone()

    def load_empty() -> Tensor:
        return torch.empty(shape, dtype=dtype)

    return Stored(shape, load if prod(shape) else load_empty)


def _first(value: Any, *_: Any) -> Any:
    return value


def _of_type(function: Any, _: Any, args: Any, *__: Any) -> Any:
    return function(*args)


def _bytes(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1") if encoding == "latin1" else text.encode("utf-8")


def _of_buffer(data: Any, dtype: Any, shape: Any, order: str) -> Stored:
    return _stored_array(data, dtype, shape, order == "F")


_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
_FUNCTIONS: dict[tuple[str, str], Any] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_bytes,
    ("torch._utils", "_rebuild_parameter"): _first,
    ("torch._utils", "_rebuild_parameter_with_state"): _first,
    ("torch._tensor", "_rebuild_from_type_v2"): _of_type,
    ("torch._tensor", "_rebuild_from_type"): _of_type,
    ("torch.nn.parameter", "Parameter"): _first,
    ("torch", "Size"): tuple,
    ("_codecs", "encode"): _bytes,
    **{(module, "_reconstruct"): _Array for module in _NUMPY},
    ("numpy.core.numeric", "_frombuffer"): _of_buffer,
    ("numpy._core.numeric", "_frombuffer"): _of_buffer,
    ("numpy", "dtype"): _Dtype,
}


class _Reader(_Unpickler):
    """The unpickler in Python, for the one in C makes room for as many objects as a file says."""

    def __init__(self, file: IO[bytes], storage: Callable[[Any], Any], depth: int) -> None:
        super().__init__(file, encoding="latin1")
        self._storage, self._depth = storage, depth
        self._stand_ins: dict[tuple[str, str], Any] = {}

    def find_class(self, module: str, name: str, /) -> Any:
        key = (module, name)
        if key not in self._stand_ins:
            self._stand_ins[key] = self._stand_in(module, name)
        return self._stand_ins[key]

    def _stand_in(self, module: str, name: str) -> Any:
        if not is_data(module, name):
            raise Refusal(f"{module}.{name}")
        if (module, name) == ("torch.storage", "_load_from_bytes"):
            return _Call(lambda data: tree_of(BytesIO(data), self._depth + 1))
        if module in ("torch", "torch.cuda", "torch.storage") and name.endswith("Storage"):
            return _DTYPES.get(name.removesuffix("Storage"), torch.uint8)
        if module == "torch" and name in _OWN_DTYPES:
            return _OWN_DTYPES[name]
        function = _FUNCTIONS.get((module, name))
        if function is not None:
            inert = isinstance(function, type) and issubclass(function, Inert)
            return type(name, (function,), {"__slots__": ()}) if inert else _Call(function)
        return type(name.rpartition(".")[2] or "_", (Inert,), {"__slots__": ()})

    def persistent_load(self, pid: Any) -> Any:
        return self._storage(pid)


def read_tree(path: Path) -> Any:
    """What a checkpoint holds: mappings, sequences, `Stored` tensors and `Inert` stand-ins.

    Raises:
        Refusal: it names a function that is not data.
        Exception: of many kinds, where it is damaged or something else.
    """
    if zipfile.is_zipfile(path):
        return _tree_of_zip(path)
    with open(path, "rb") as file:
        return tree_of(file, 0, path)


def _tree_of_zip(path: Path) -> Any:
    archive = zipfile.ZipFile(path)
    names = archive.namelist()
    arrays = [name for name in names if name.endswith(".npy")]
    if arrays and len(arrays) == len(names):
        return {name.removesuffix(".npy"): _array_in(path, name) for name in arrays}
    (program,) = [name for name in names if name.rpartition("/")[2] == "data.pkl"]
    root = program.removesuffix("data.pkl")
    if f"{root}byteorder" in names and archive.read(f"{root}byteorder").strip() == b"big":
        raise ValueError("numbers of a big-endian machine")

    def storage(pid: Any) -> _Storage:
        _, dtype, key, *_ = pid
        return _Storage(dtype, lambda: archive.read(f"{root}data/{key}"))

    with archive.open(program) as file:
        return _Reader(BytesIO(file.read()), storage, 0).load()


def _array_in(path: Path, name: str) -> Stored:
    with zipfile.ZipFile(path) as archive, archive.open(name) as file:
        array = np.lib.format.read_array(file, allow_pickle=False)
    if array.dtype.kind not in "fiub":
        return Stored((), lambda: torch.zeros(()))
    return _of_array(array)


def tree_of(file: IO[bytes], depth: int, path: Path | None = None) -> Any:
    """A file of torch.save before 1.6, or a bare pickle; inside another one, from memory."""
    if depth > _DEPTH:
        raise ValueError("pickles in pickles without end")
    places: dict[str, tuple[int, int]] = {}
    within = None if path else file

    def storage(pid: Any) -> _Storage:
        _, dtype, key, *_ = pid
        return _Storage(dtype, lambda: _read_at(path, within, places[str(key)]))

    kinds: dict[str, torch.dtype] = {}

    def noted(pid: Any) -> Any:
        if pid[0] == "module":  # a class, with its source
            return pid[1]
        kinds[str(pid[2])] = pid[1]
        return storage(pid)

    first = _Reader(file, noted, depth).load()
    if first != MAGIC:
        return first
    for _ in range(2):  # the version, and what machine it was
        _Reader(file, noted, depth).load()
    tree = _Reader(file, noted, depth).load()
    for key in _Reader(file, noted, depth).load():
        count = int.from_bytes(file.read(8), "little")
        size = count * kinds[str(key)].itemsize
        places[str(key)] = (file.tell(), size)
        file.seek(size, 1)
    return tree


def _read_at(path: Path | None, within: IO[bytes] | None, place: tuple[int, int]) -> bytes:
    if within is not None:
        within.seek(place[0])
        return within.read(place[1])
    assert path is not None
    with open(path, "rb") as file:
        file.seek(place[0])
        return file.read(place[1])


def flatten(tree: Any) -> dict[str, Stored]:
    """All tensors of a checkpoint by their dotted names; each object is looked at once.

    Of a network written as a whole, the names are those of its state dict.
    """
    found: dict[str, Stored] = {}
    seen: set[int] = set()
    stack = [("", tree)]
    while stack:
        name, value = stack.pop()
        if isinstance(value, _Array):
            value = value.state.get("")
        if isinstance(value, Stored):
            found.setdefault(name, value)
        elif id(value) not in seen:
            seen.add(id(value))
            prefix = f"{name}." if name else ""
            stack += [(f"{prefix}{key}", one) for key, one in reversed([*_children(value)])]
    return found


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Inert) and "_parameters" in value.state and "_modules" in value.state:
        for kind in ("_parameters", "_buffers", "_modules"):
            inside = value.state.get(kind)
            if isinstance(inside, Mapping):
                yield from ((str(key), one) for key, one in inside.items())
    elif isinstance(value, Inert):
        both = itertools.chain(value.items(), value.state.items(), enumerate(value.extended))
        yield from ((str(key), one) for key, one in both)
    elif isinstance(value, Mapping):
        yield from ((str(key), one) for key, one in value.items())
    elif isinstance(value, list | tuple):
        yield from ((str(i), one) for i, one in enumerate(value))


_CLASS_KEYS = (
    *("classes", "class_names", "class_to_idx", "idx_to_class", "label_names", "id2label"),
    *("label2id", "labels", "names", "categories"),
)
_ARCH_KEYS = ("arch", "architecture", "model_name", "model", "backbone", "encoder")


def class_names(tree: Any) -> list[tuple[str, ...]]:
    """What may be the names of the classes, in the order of the network's outputs."""
    return [names for key, value in _small(tree) if key in _CLASS_KEYS and (names := _names(value))]


def arch_names(tree: Any) -> list[str]:
    """What may be the name of the network."""
    return [value for key, value in _small(tree) if key in _ARCH_KEYS and isinstance(value, str)]


def _small(tree: Any) -> Iterator[tuple[str, Any]]:
    """The values of the outer levels by their own keys, the outermost first."""
    level = [tree]
    for _ in range(4):
        pairs = [pair for value in level for pair in _children(value)]
        yield from pairs
        level = [value for _, value in pairs if isinstance(value, Mapping)][:1000]


def _names(value: Any) -> tuple[str, ...] | None:
    if isinstance(value, Inert) and not value:
        value = value.state or value.extended or value
    if isinstance(value, Mapping) and value:
        pairs = [
            (k, v) if isinstance(k, str) and not k.isdigit() else (v, k) for k, v in value.items()
        ]
        if not all(isinstance(n, str) and re.fullmatch(r"\d+", str(i)) for n, i in pairs):
            return None
        by_index = {int(i): n for n, i in pairs}
        complete = sorted(by_index) == [*range(len(pairs))]
        return tuple(by_index[i] for i in range(len(pairs))) if complete else None
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        return tuple(value)
    return None
