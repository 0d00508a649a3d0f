"""The networks of timm that a file of weights may be of, by the names and shapes of its tensors.

Building all of timm takes minutes. So the words in the tensors' names are looked for in the source
of timm's modules, and some networks of the best modules are built without memory, the likeliest
first.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from difflib import SequenceMatcher
from importlib.util import find_spec
from math import log
from pathlib import Path
from typing import NamedTuple

import timm
import torch

LEAST = 0.1  # of a network's tensors fit, for it to be named
MAX_BUILT = 24  # of a module: some seconds
_MODULES = 3  # of timm, looked through
_SHORT = 8  # networks tried by the length of their names; and as many after them at least

Shapes = Mapping[str, tuple[int, ...]]


class Near(NamedTuple):
    """A network, and how many of its tensors are in the file by name and shape."""

    arch: str
    fitting: int
    of: int

    @property
    def score(self) -> int:
        """Fitting tensors less those that are missing: a part of the network scores below it."""
        return 2 * self.fitting - self.of

    @property
    def said(self) -> str:
        return f"{self.arch} ({self.fitting} of {self.of})"


def nearest_archs(shapes: Shapes, said: Sequence[str] = (), count: int = 3) -> list[Near]:
    """The networks that share most tensors with a file, the nearest first.

    Args:
        shapes: by the names in the file, behind whatever prefixes.
        said: what the file says of itself, tried first.
    """
    found: dict[str, Near] = {}
    ends = _ends(shapes)
    for arch in said:
        if timm.is_model(arch) and (near := _near(arch, ends)):
            found[near.arch] = near
    own = [timm.list_models(module=_module(arch)) for arch in found]
    for family in (*own, *_families(shapes)):
        _search(family, ends, found)
        if any(near.fitting == near.of for near in found.values()):
            break
    best = sorted(found.values(), key=lambda near: (-near.score, len(near.arch), near.arch))
    return [near for near in best if near.fitting >= LEAST * near.of][:count]


def _module(arch: str) -> str:
    """The module of timm that a network is in."""
    return str(timm.model_entrypoint(arch).__module__.rpartition(".")[2])


def _search(
    family: list[str], ends: dict[str, set[tuple[int, ...]]], found: dict[str, Near]
) -> None:
    """Build the networks of a module: first the short names, then those like the best so far."""
    left = sorted(family, key=lambda arch: (len(arch), arch))
    tried = 0
    while left and tried < MAX_BUILT:
        best = max((found[arch] for arch in family if arch in found), key=_score, default=None)
        arch = left[0]
        if best and (tried >= _SHORT or best.fitting == best.of):
            if best.fitting == best.of and tried >= 2 * _SHORT:
                break
            arch = max(left, key=lambda one: SequenceMatcher(None, one, best.arch).ratio())
        left.remove(arch)
        tried += 1
        if arch not in found and (near := _near(arch, ends)):
            found[arch] = near


def _score(near: Near) -> int:
    return near.score


def _near(arch: str, ends: dict[str, set[tuple[int, ...]]]) -> Near | None:
    with suppress(Exception), torch.device("meta"):  # not all can be built so
        own = timm.create_model(arch, num_classes=0).state_dict()
        fitting = sum(tuple(value.shape) in ends.get(name, ()) for name, value in own.items())
        return Near(arch, fitting, len(own))
    return None


def _ends(shapes: Shapes) -> dict[str, set[tuple[int, ...]]]:
    """The shapes by every end of a name, for what stands before is not known."""
    ends: dict[str, set[tuple[int, ...]]] = defaultdict(set)
    for name, shape in shapes.items():
        words = name.split(".")
        for i in range(len(words)):
            ends[".".join(words[i:])].add(shape)
    return ends


def _families(shapes: Shapes) -> Iterator[list[str]]:
    """The networks of timm's modules in whose source the words of the names stand, best first."""
    words = {word for name in shapes for word in name.split(".") if not word.isdigit()}
    words -= {"weight", "bias", "running_mean", "running_var", "num_batches_tracked", "module"}
    sources = {}
    for module in timm.list_modules():
        spec = find_spec(f"timm.models.{module}")
        if spec and spec.origin:
            text = Path(spec.origin).read_text("utf-8", "replace")
            sources[module] = set(re.findall(r"\w+", text))
    weights = {
        word: log(len(sources) / holding)
        for word in words
        if (holding := sum(word in source for source in sources.values()))
    }
    ranked = sorted(
        sources,
        key=lambda module: -sum(w for word, w in weights.items() if word in sources[module]),
    )
    for module in ranked[:_MODULES]:
        yield timm.list_models(module=module)
