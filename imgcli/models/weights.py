"""Weights: written and read without ever unpickling objects."""

import functools
import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from imgcli.errors import ModelError
from imgcli.files import atomic_file
from imgcli.models.foreign import what_it_is, would_run
from imgcli.models.inert import Refusal, Stored, arch_names, class_names, flatten, read_tree
from imgcli.models.transformers_names import in_timms_names, not_of_timm, other_than_timms
from imgcli.models.weights_cache import FOLDER_FILES
from imgcli.progress import note_once
from imgcli.reading import open_regular
from imgcli.text import listed, reason_of

# Of several copies of a network in a checkpoint, an average is the better one.
_AVERAGE = re.compile(r"(^|[._])(ema|swa|averaged?|avg|teacher|shadow)([._]|$)")
_AUXILIARY = ("aux", "Aux")  # classifiers beside the network's, for its training only
_COUNTER = "num_batches_tracked"
CLASSES = "classes"  # the metadata of what we write: their names as JSON
_NOTES = "imgcli"  # the one note that we write, with all others in it
_HASH = "imgcli_sha256"  # the metadata of what we write: of all that is in the file


def write_state(
    path: Path, state: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write tensors by name as a `.safetensors` file, all or nothing."""
    # It takes no tensor whose values are in another order, as channels_last has them.
    plain = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    notes = metadata or {}
    with atomic_file(path) as temporary:
        # In one note: of several, safetensors writes the order by chance, and so other bytes.
        own = json.dumps({**notes, _HASH: _hash_of(plain, notes)}, sort_keys=True)
        save_file(plain, temporary, {_NOTES: own})


def write_plain(path: Path, state: Mapping[str, Tensor]) -> None:
    """Write tensors as other programs do, all or nothing: with the one note that they look for."""
    plain = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    with atomic_file(path) as temporary:
        save_file(plain, temporary, {"format": "pt"})


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a `.safetensors` file and its metadata, as `write_state` was given them.

    Raises:
        OSError: no such file, or not a regular one.
        SafetensorError: it is damaged.
        ValueError: it has changed since `write_state` wrote it.
    """
    open_regular(path).close()
    with safe_open(path, framework="pt") as file:
        notes = dict(file.metadata() or {})
        if _NOTES in notes:
            notes = {str(key): str(value) for key, value in json.loads(notes[_NOTES]).items()}
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    expected = notes.pop(_HASH, None)
    if expected is not None and expected != _hash_of(tensors, notes):
        raise ValueError("its content has changed since it was written")
    return tensors, notes


def _hash_of(tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> str:
    """SHA-256 over the metadata and the tensors' names, types, shapes and values."""
    digest = hashlib.sha256(repr(sorted(notes.items())).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a file or folder of weights holds; tensors are read when they are asked for."""

    path: Path
    tensors: Mapping[str, Stored]  # by dotted names, of all networks and optimizers in it
    classes: tuple[tuple[str, ...], ...] = ()  # that may be those of its outputs
    archs: tuple[str, ...] = ()  # what may be the network's name
    config: Any = None  # what config.json says beside it


class Head(NamedTuple):
    """The classifier of a checkpoint: `weight (K, D)`, `bias (K,)` and its classes by name."""

    weight: Tensor
    bias: Tensor | None
    classes: tuple[str, ...] | None


def is_checkpoint_folder(folder: Path) -> bool:
    """Whether a folder holds weights as Hugging Face lays them out, and is no run."""
    return not (folder / "model.json").exists() and any((folder / f).exists() for f in FOLDER_FILES)


def read_checkpoint(path: Path) -> Checkpoint:
    """What is in a file of weights, or in a folder with config.json and such a file.

    Raises:
        ModelError: no such file, or nothing in it that is weights.
    """
    of_folder = path.is_dir() and is_checkpoint_folder(path)
    found = _of_folder(path) if of_folder else _read(path)
    return replace(found, tensors=in_timms_names(found.tensors) or found.tensors)


def _read(path: Path) -> Checkpoint:
    """What is in a file of weights, under the names that are in it."""
    if not path.is_file():
        raise ModelError(
            f"No weights '{path}'. Give --weights a .safetensors or .pth file, or a run's folder."
        )
    try:
        checkpoint = _of_file(path)
    except Exception as error:  # of many kinds
        what = would_run([str(error)]) if isinstance(error, Refusal) else what_it_is(path)
        raise ModelError(
            f"'{path}' cannot be read as weights: it is {what}. Give --weights a "
            ".safetensors file, or a .pth of the network's state_dict alone."
        ) from None
    if not checkpoint.tensors:
        raise ModelError(f"'{path}' holds no weights by name. Save the network's state_dict there.")
    return checkpoint


def _of_file(path: Path) -> Checkpoint:
    with open_regular(path) as file:
        tensors_alone = file.read(9)[8:] == b"{"
    if not tensors_alone:
        tree = read_tree(path)
        classes, archs = tuple(class_names(tree)), tuple(arch_names(tree))
        return Checkpoint(path, flatten(tree), classes, archs)
    tensors, notes = read_tensors(path)
    classes = ()
    with suppress(ValueError, TypeError):  # what others write under that name
        classes = (tuple(map(str, json.loads(notes[CLASSES]))),) if CLASSES in notes else ()
    stored = {
        name: Stored(tuple(value.shape), functools.partial(_itself, value))
        for name, value in tensors.items()
    }
    return Checkpoint(path, stored, classes)


def _itself(value: Tensor) -> Tensor:
    return value


def _of_folder(folder: Path) -> Checkpoint:
    """A folder of Hugging Face's layout: its config names the classes, maybe the network."""
    file = next(folder / name for name in FOLDER_FILES if (folder / name).exists())
    files = [file]
    config: Any = {}
    try:
        if file.suffix == ".json":  # of several files
            places = json.loads(file.read_bytes())["weight_map"].values()
            files = [folder / Path(str(name)).name for name in dict.fromkeys(places)]
        if (folder / "config.json").exists():
            config = json.loads((folder / "config.json").read_bytes())
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(f"'{folder}' cannot be read as weights: {reason_of(error)}.") from None
    parts = [_read(file) for file in files]
    tensors = {name: value for part in parts for name, value in part.tensors.items()}
    classes = (*class_names(config), *(names for part in parts for names in part.classes))
    return Checkpoint(folder, tensors, classes, tuple(arch_names(config)), config)


def load_backbone(
    backbone: nn.Module, checkpoint: Checkpoint, head_names: Iterable[str]
) -> Head | None:
    """Put a checkpoint's network into `backbone`, every tensor or none.

    Which of several networks in it, and behind which prefix of names, is decided by the tensors
    that fit: the most win and, among equals, a moving average of the weights, which is said.

    Args:
        head_names: the modules of the full network that the checkpoint's head belongs to.

    Returns:
        Its head, where it has one.

    Raises:
        ModelError: names or shapes that do not fit, with the first layers concerned.
    """
    if why := other_than_timms(checkpoint.config):
        raise ModelError(f"The weights '{checkpoint.path}' do not fit: {why}.")
    own, heads = backbone.state_dict(), [*head_names]
    prefix, others = best_prefix(checkpoint, {n: tuple(t.shape) for n, t in own.items()})
    under = {
        name.removeprefix(prefix): value
        for name, value in checkpoint.tensors.items()
        if name.startswith(prefix)
    }
    not_of_it = (*(f"{name}." for name in heads), *_AUXILIARY)
    given = {
        n: _as_convolution(v, tuple(own[n].shape)) if n in own else v
        for n, v in under.items()
        if n in own or not n.startswith(not_of_it)
    }
    if faults := _misfits(own, given):
        if why := not_of_timm(checkpoint.config):
            raise ModelError(f"The weights '{checkpoint.path}' do not fit: {why}.")
        raise ModelError(
            f"The weights '{checkpoint.path}' do not fit: {', and '.join(faults)}. "
            f"Name the --arch and --model-arg they were made with{_nearest(checkpoint)}."
        )
    try:
        fitting = {n for n in own if n in given and given[n].shape == tuple(own[n].shape)}
        backbone.load_state_dict(
            {name: given[name].load() if name in fitting else own[name] for name in own}
        )
        head = _head(checkpoint, prefix, heads)
    except Exception:
        raise ModelError(
            f"'{checkpoint.path}' cannot be read as weights: it is damaged, or cut short. "
            "Copy or download it again."
        ) from None
    if others:
        taken = "a moving average of the weights, " if _AVERAGE.search(prefix) else ""
        note_once(
            f"'{checkpoint.path}' holds {1 + len(others)} sets of weights that fit; {taken}"
            f"'{_shown(prefix)}', is taken, not {listed([_shown(one) for one in others], 3)}."
        )
    return head


def _as_convolution(stored: Stored, shape: tuple[int, ...]) -> Stored:
    """A dense layer (K, D) as the convolution (K, D, 1, 1), which computes the same; or back."""
    if stored.shape == shape or not {len(stored.shape), len(shape)} == {2, 4}:
        return stored
    longer = max(stored.shape, shape, key=len)
    if longer[2:] != (1, 1) or stored.shape[:2] != shape[:2]:
        return stored
    return Stored(shape, lambda: stored.load().reshape(shape))


def _misfits(own: Mapping[str, Tensor], given: Mapping[str, Stored]) -> list[str]:
    """What is wrong with weights for a network, in words."""
    # Older files lack the counters of batch norm; nothing here has a use for them.
    missing = [n for n in own if n not in given and not n.endswith(_COUNTER)]
    unknown = [n for n in given if n not in own and not n.endswith(_COUNTER) and given[n].shape]
    shapes = [
        f"{n}: {given[n].shape} in the file, {tuple(own[n].shape)} in the network"
        for n in own
        if n in given and given[n].shape != tuple(own[n].shape) and not n.endswith(_COUNTER)
    ]
    faults = []
    if shapes:
        faults.append(f"shapes differ ({'; '.join(shapes[:3])}{'; …' if len(shapes) > 3 else ''})")
    if missing:
        faults.append(
            f"{len(missing)} of {len(own)} layers are missing from it ({listed(missing, 3)})"
        )
    if unknown:
        faults.append(f"{len(unknown)} layers in it are unknown here ({listed(unknown, 3)})")
    return faults


def best_prefix(
    checkpoint: Checkpoint, own: Mapping[str, tuple[int, ...]]
) -> tuple[str, list[str]]:
    """What stands before a network's names in a checkpoint, and the others that fit as well."""
    fits: Counter[str] = Counter({"": 0})
    for name, value in checkpoint.tensors.items():
        at = 0
        while True:  # every end of the name that begins with a whole word
            if own.get(name[at:]) == value.shape:
                fits[name[:at]] += 1
            if (at := name.find(".", at) + 1) == 0:
                break
    most = max(fits.values())
    best = [prefix for prefix in fits if fits[prefix] == most]
    chosen = max(best, key=lambda prefix: bool(_AVERAGE.search(prefix)))
    return chosen, [prefix for prefix in best if prefix != chosen and most == len(own)]


def _shown(prefix: str) -> str:
    return prefix.rstrip(".") or "the outermost"


def _head(checkpoint: Checkpoint, prefix: str, heads: Sequence[str]) -> Head | None:
    # In a run of layer notation the network is `backbone.`, and `head.` stands beside it.
    outer = prefix.removesuffix("backbone.")
    places = [
        *(f"{prefix}{name}" for name in heads),
        *([f"{outer}head"] if outer != prefix else []),
    ]
    for place in places:
        weight = checkpoint.tensors.get(f"{place}.weight")
        if weight is not None and len(weight.shape) >= 2:
            bias = checkpoint.tensors.get(f"{place}.bias")
            k = weight.shape[0]
            names = next((c for c in checkpoint.classes if len(c) == k == len({*c})), None)
            return Head(weight.load().reshape(k, -1), None if bias is None else bias.load(), names)
    return None


def _nearest(checkpoint: Checkpoint) -> str:
    from imgcli.models.nearest import nearest_archs  # builds networks

    near = nearest_archs({n: v.shape for n, v in checkpoint.tensors.items()}, checkpoint.archs)
    if not near:
        return ""
    return f"; by their shapes they are nearest to {listed([one.said for one in near])} of timm"


def own_head(head: Head, layer: nn.Linear, classes: Sequence[str]) -> bool:
    """Put a checkpoint's head into `layer` if it is of the same classes, whatever their order."""
    fits = head.weight.shape == layer.weight.shape and head.classes is not None
    if not fits or sorted(head.classes or ()) != sorted(classes):
        return False
    order = [(head.classes or ()).index(name) for name in classes]
    with torch.no_grad():
        layer.weight.copy_(head.weight[order])
        layer.bias.zero_() if head.bias is None else layer.bias.copy_(head.bias[order])
    return True
