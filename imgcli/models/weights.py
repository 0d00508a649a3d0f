"""Weights: written and read without ever unpickling objects."""

import hashlib
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from imgcli.errors import ModelError
from imgcli.files import atomic_file
from imgcli.models.foreign import what_it_is
from imgcli.reading import open_regular
from imgcli.text import listed

# What training programs wrap a state dict in, and what wrappers put before its names.
_WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.")
_COUNTER = "num_batches_tracked"
_HASH = "imgcli_sha256"  # the metadata of what we write: of all that is in the file


def write_state(
    path: Path, state: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write tensors by name as a `.safetensors` file, all or nothing."""
    # It takes no tensor whose values are in another order, as channels_last has them.
    plain = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    notes = metadata or {}
    with atomic_file(path) as temporary:
        save_file(plain, temporary, {**notes, _HASH: _hash_of(plain, notes)})


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


def read_state(path: Path) -> dict[str, Tensor]:
    """Tensors by name from a `.safetensors` file, or a `.pth` read with weights_only.

    Raises:
        ModelError: no such file, or nothing in it that is weights.
    """
    if not path.is_file():
        raise ModelError(
            f"No weights '{path}'. Give --weights a .safetensors or .pth file, or a run's folder."
        )
    try:
        if path.suffix == ".safetensors":
            state: Any = read_tensors(path)[0]
        else:
            with warnings.catch_warnings(action="ignore"):  # of formats that are refused anyway
                state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # many kinds, with advice to load without a check
        raise ModelError(
            f"'{path}' cannot be read as weights: it is {what_it_is(path)}. Give --weights a "
            ".safetensors file, or a .pth of the network's state_dict alone."
        ) from None
    for wrapper in _WRAPPERS:
        if isinstance(state, Mapping) and isinstance(state.get(wrapper), Mapping):
            state = state[wrapper]
    if not isinstance(state, Mapping) or not any(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(f"'{path}' holds no weights by name. Save the network's state_dict there.")
    return {_bare(name): value for name, value in state.items() if isinstance(value, Tensor)}


def load_backbone(
    backbone: nn.Module, state: Mapping[str, Tensor], head_names: Iterable[str], source: object
) -> None:
    """Put `state` into `backbone`, every tensor or none; the old head's are left aside.

    Args:
        head_names: the modules of the full network that the state's head belongs to.

    Raises:
        ModelError: names or shapes that do not fit, with the first layers concerned.
    """
    heads = tuple(f"{name}." for name in head_names)
    own = backbone.state_dict()
    given = {
        name: value for name, value in state.items() if name in own or not name.startswith(heads)
    }
    # Older files lack the counters of batch norm; nothing here has a use for them.
    missing = [n for n in own if n not in given and not n.endswith(_COUNTER)]
    unknown = [n for n in given if n not in own and not n.endswith(_COUNTER)]
    shapes = [
        f"{n}: {tuple(given[n].shape)} in the file, {tuple(own[n].shape)} in the network"
        for n in own
        if n in given and given[n].shape != own[n].shape
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
    if faults:
        raise ModelError(
            f"The weights '{source}' do not fit: {', and '.join(faults)}. "
            "Name the --arch and --model-arg they were made with."
        )
    backbone.load_state_dict({name: given.get(name, value) for name, value in own.items()})


def reason_of(error: Exception) -> str:
    """The first line of what a library says, for a sentence."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".!") if text else type(error).__name__


def _bare(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name
