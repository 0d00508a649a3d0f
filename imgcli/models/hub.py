"""Published weights, fetched from where they are published.

They come from the hub's cache if they were fetched before. Otherwise the host is tried for a
second, so that a machine without network hears at once what to do.
"""

import os
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch

from imgcli.errors import ModelError
from imgcli.files import FULL
from imgcli.models.bundled import bundled_archs
from imgcli.models.weights import reason_of
from imgcli.models.weights_cache import HUB_FILES, cached_file, hub_cache, is_url, torch_cache

_PATIENCE = 20.0  # seconds without a byte from a host that took the connection


def published_file(arch: str, source: str | None) -> Path:
    """The file with an arch's published weights, from the cache or fetched.

    Args:
        source: a repository on the Hugging Face hub, or a URL; None: there is none.

    Raises:
        ModelError: none are published, or they are not cached and the host cannot be reached.
    """
    if source is None:
        raise ModelError(
            f"No weights are published for '{arch}'. Train from scratch with --no-pretrained, "
            "or give your own with --weights FILE."
        )
    if file := cached_file(source):
        return file
    return _from_url(source, arch) if is_url(source) else _from_hub(source, arch)


def _from_hub(hub_id: str, arch: str) -> Path:
    from huggingface_hub import constants, hf_hub_download

    cache = hub_cache()
    if constants.is_offline_mode() or not is_reachable(constants.ENDPOINT):
        raise _cannot_fetch(arch, constants.ENDPOINT, cache, "cannot be reached")
    try:
        return Path(hf_hub_download(hub_id, HUB_FILES[0]))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise OSError(error.errno, error.strerror, str(cache)) from None
        host = f"{constants.ENDPOINT}/{hub_id}"
        raise _cannot_fetch(arch, host, cache, reason_of(error)) from None


def _from_url(url: str, arch: str) -> Path:
    folder = torch_cache()
    file = folder / Path(urlsplit(url).path).name
    if not is_reachable(url):
        raise _cannot_fetch(arch, url, folder, "cannot be reached")
    patience = socket.getdefaulttimeout()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(_PATIENCE)  # torch waits for ever
        torch.hub.download_url_to_file(url, str(file))
    except OSError as error:
        if error.errno in FULL:
            raise OSError(error.errno, error.strerror, str(file)) from None
        raise _cannot_fetch(arch, url, folder, str(error)) from None
    finally:
        socket.setdefaulttimeout(patience)
    return file


def _cannot_fetch(arch: str, host: str, cache: Path, reason: str) -> ModelError:
    installed = bundled_archs()
    instead = f"take weights that are installed, --arch {installed[0]}, " if installed else ""
    return ModelError(
        f"The published weights of '{arch}' are not in the cache ('{cache}') and "
        f"{host} gives none: {reason}. Without network, {instead}give a file with --weights FILE, "
        "copy the cache from a machine that has it, or train without with --no-pretrained."
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
