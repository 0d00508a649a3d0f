"""Weights: written and read without ever unpickling objects, fetched where they are published.

Published weights come from the hub's cache if they were fetched before. Otherwise the host is tried
for a second, so that a machine without network hears at once what to do.
"""

import hashlib
import os
import socket
import threading
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from imgcli.errors import ModelError
from imgcli.files import FULL, atomic_file
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


def published_file(arch: str, hub_id: str | None, url: str | None) -> Path:
    """The file with an arch's published weights, from the cache or fetched.

    Args:
        hub_id: repository on the Hugging Face hub; tried before `url`.

    Raises:
        ModelError: none are published, or they are not cached and the host cannot be reached.
    """
    if hub_id:
        return _from_hub(hub_id, arch)
    if url:
        return _from_url(url, arch)
    raise ModelError(
        f"No weights are published for '{arch}'. Train from scratch with --no-pretrained, "
        "or give your own with --weights FILE."
    )


def _from_hub(hub_id: str, arch: str) -> Path:
    from huggingface_hub import constants, hf_hub_download, try_to_load_from_cache

    names = ("model.safetensors", "pytorch_model.bin")
    for name in names:
        cached = try_to_load_from_cache(hub_id, name)
        if isinstance(cached, str):
            return Path(cached)
    cache = Path(constants.HF_HUB_CACHE)
    if constants.is_offline_mode() or not is_reachable(constants.ENDPOINT):
        raise _cannot_fetch(arch, constants.ENDPOINT, cache, "cannot be reached")
    try:
        return Path(hf_hub_download(hub_id, names[0]))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise OSError(error.errno, error.strerror, str(cache)) from None
        host = f"{constants.ENDPOINT}/{hub_id}"
        raise _cannot_fetch(arch, host, cache, reason_of(error)) from None


def _from_url(url: str, arch: str) -> Path:
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / Path(urlsplit(url).path).name
    if file.is_file():
        return file
    if not is_reachable(url):
        raise _cannot_fetch(arch, url, folder, "cannot be reached")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(url, str(file))
    except OSError as error:
        if error.errno in FULL:
            raise OSError(error.errno, error.strerror, str(file)) from None
        raise _cannot_fetch(arch, url, folder, str(error)) from None
    return file


def _cannot_fetch(arch: str, host: str, cache: Path, reason: str) -> ModelError:
    return ModelError(
        f"The published weights of '{arch}' are not in the cache ('{cache}') and "
        f"{host} gives none: {reason}. Give a file with --weights FILE, copy the cache from a "
        "machine that has it, or train without with --no-pretrained."
    )


def is_reachable(url: str, seconds: float = 1.0) -> bool:
    """Whether something answers at the url's host, or at the proxy that leads there."""
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return False
    target = urlsplit(url)
    proxy = urlsplit(getproxies().get(target.scheme, ""))
    host = proxy.hostname or target.hostname or ""
    port = proxy.port or target.port or (443 if target.scheme == "https" else 80)
    answered = threading.Event()

    def try_to_connect() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
            answered.set()
        except OSError:
            pass

    # In a thread, because looking a name up has no time limit of its own.
    thread = threading.Thread(target=try_to_connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return answered.is_set()


def reason_of(error: Exception) -> str:
    """The first line of what a library says, for a sentence."""
    text = str(error).strip()
    return text.splitlines()[0].rstrip(".!") if text else type(error).__name__


def _bare(name: str) -> str:
    for prefix in _PREFIXES:
        name = name.removeprefix(prefix)
    return name
