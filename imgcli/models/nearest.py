"""The networks of timm that a file of weights may be of, by the shapes of its tensors.

Building all of timm takes minutes. The shapes of its networks are therefore kept in `shapes.json`
beside this file, how often each occurs; a network of a newer timm is missing from it until it is
written again, as the test of it says. A file may call its tensors as it likes. Where networks have
the same shapes, as VisionTransformer and DeiT, those are nearer whose names it has too.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import torch
from msgspec import Struct
from msgspec.structs import asdict

from imgcli.documents import DocumentError, read_document
from imgcli.files import write_atomic
from imgcli.models.lean import timm

TABLE = Path(__file__).with_name("shapes.json")
FORMAT = 1
LEAST = 0.3  # likeness of a network that is named
_CLOSE = 0.02  # likeness below the best of networks whose names are compared
_BUILT = 8  # of them: a second or two
_SHARE = 0.2  # of a file's tensors that one of several networks in it has at least
_FEWEST = 8  # tensors of a network
_DEPTH = 4  # words that may stand before all names of a network
_COUNTER = "num_batches_tracked"

Shapes = Mapping[str, tuple[int, ...]]


class Table(Struct, frozen=True):
    """The shapes of all networks of a version of timm, without their heads."""

    timm: str
    shapes: list[str]  # "64,3,7,7"
    archs: dict[str, list[int]]  # position in `shapes`, number of tensors, position, …


class Near(NamedTuple):
    """A network, how many of its tensors a file has by their shapes, and how alike they are."""

    arch: str
    fitting: int
    of: int
    likeness: float  # 2·fitting / (tensors of the network + of the file); 1 is the same
    named: float = 0.0  # share of its tensors that are in the file by name and shape

    @property
    def said(self) -> str:
        return f"{self.arch} ({self.fitting} of {self.of})"


def nearest_archs(shapes: Shapes, said: Sequence[str] = (), count: int = 3) -> list[Near]:
    """The networks that share most tensors with a file, the nearest first.

    Args:
        shapes: by the names in the file, behind whatever prefixes.
        said: what the file says of itself, preferred among equals.
    """
    table = kept_table()
    position = {shape: i for i, shape in enumerate(table.shapes)} if table else {}
    best: dict[str, Near] = {}
    for own in _networks_in(shapes):
        held = Counter(position.get(_text(shape), -1) for shape in own)
        for arch, flat in table.archs.items() if table else ():
            pairs = list(zip(flat[::2], flat[1::2], strict=True))
            of = sum(n for _, n in pairs)
            fitting = sum(min(n, held[shape]) for shape, n in pairs)
            near = Near(arch, fitting, of, 2 * fitting / (of + len(own)))
            if arch not in best or near.likeness > best[arch].likeness:
                best[arch] = near
    found = sorted(best.values(), key=lambda near: (-near.likeness, len(near.arch), near.arch))
    found = [near for near in found if near.likeness >= LEAST and timm.is_model(near.arch)]
    return _by_names(found, shapes, said)[:count]


def _by_names(found: Sequence[Near], shapes: Shapes, said: Sequence[str]) -> list[Near]:
    """The nearest again: of those that are about as near, the ones with the file's own names."""
    first = [n for n in found if n.likeness >= found[0].likeness - _CLOSE] if found else []
    first.sort(key=lambda near: near.arch not in said)
    ends = _ends(shapes)
    named = [near._replace(named=_share_named(near.arch, ends)) for near in first[:_BUILT]]
    named += first[_BUILT:]
    named.sort(
        key=lambda n: (-round(n.named, 1), -n.likeness, n.arch not in said, len(n.arch), n.arch)
    )
    return [*named, *found[len(first) :]]


def _networks_in(shapes: Shapes) -> Iterator[list[tuple[int, ...]]]:
    """The shapes of what may be a network in a file: of all tensors, and behind each prefix."""
    groups: dict[str, list[tuple[int, ...]]] = defaultdict(list)
    for name, shape in shapes.items():
        if shape and not name.endswith(_COUNTER):
            words = name.split(".")
            for depth in range(min(_DEPTH, len(words))):
                groups[".".join(words[:depth])].append(shape)
    seen = set()
    for prefix, own in sorted(groups.items()):
        key = (len(own), prefix.count(".") if len(own) < len(groups[""]) else 0, tuple(own[:4]))
        if len(own) >= max(_FEWEST, _SHARE * len(groups[""])) and key not in seen:
            seen.add(key)
            yield own


def _text(shape: Sequence[int]) -> str:
    """A shape as the table has it: a dense layer and the convolution of one pixel are one."""
    whole = tuple(shape)
    while len(whole) > 2 and whole[-1] == 1:
        whole = whole[:-1]
    return ",".join(map(str, whole))


def _share_named(arch: str, ends: Mapping[str, set[tuple[int, ...]]]) -> float:
    """The share of a network's tensors that a file has by name and shape."""
    with suppress(Exception), torch.device("meta"):  # not all can be built so
        own = timm.create_model(arch, num_classes=0).state_dict()
        return sum(tuple(v.shape) in ends.get(name, ()) for name, v in own.items()) / len(own)
    return 0.0


def _ends(shapes: Shapes) -> dict[str, set[tuple[int, ...]]]:
    """The shapes by every end of a name, for what stands before is not known."""
    ends: dict[str, set[tuple[int, ...]]] = defaultdict(set)
    for name, shape in shapes.items():
        words = name.split(".")
        for i in range(len(words)):
            ends[".".join(words[i:])].add(shape)
    return ends


# --- the table ----------------------------------------------------------------------------------


@cache
def kept_table() -> Table | None:
    """The table beside this file; None where it cannot be read."""
    with suppress(OSError, DocumentError):
        return read_document(TABLE, Table, FORMAT)
    return None  # an error that is being told says less, and is told


def table_of(archs: Sequence[str]) -> Table:
    """The shapes of networks, each built without memory: half a second for one, minutes for all."""
    position: dict[str, int] = {}
    kept: dict[str, list[int]] = {}
    for arch in sorted(archs):
        with torch.device("meta"):
            state = timm.create_model(arch, num_classes=0).state_dict()
        held = Counter(
            _text(value.shape) for name, value in state.items() if not name.endswith(_COUNTER)
        )
        kept[arch] = [
            number
            for shape, n in sorted(held.items())
            for number in (position.setdefault(shape, len(position)), n)
        ]
    return Table(timm.__version__, list(position), kept)


def write(table: Table) -> None:
    """Keep a table beside this file."""
    document = {"format": FORMAT, **asdict(table)}
    write_atomic(TABLE, json.dumps(document, separators=(",", ":")) + "\n")
