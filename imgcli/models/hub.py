"""Published weights, fetched from where they are published.

They come from a cache if they were fetched before. Otherwise the host is tried for a second, so
that a machine without network hears at once what to do. torch is imported to fetch, not to refuse.
"""

import os
import socket
import ssl
import threading
from pathlib import Path
from queue import Empty, Queue
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies

from imgcli.errors import ModelError
from imgcli.files import FULL
from imgcli.models.bundled import bundled_archs
from imgcli.models.weights_cache import HUB_FILES, cached_file, hub_cache, is_url, torch_cache
from imgcli.text import reason_of

_ANSWER = 5.0  # seconds in which a host that took the connection must say something
_PATIENCE = 20.0  # seconds without a byte of a file


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
    refuse_unreachable(arch, source)
    return _from_url(source, arch) if is_url(source) else _from_hub(source, arch)


def refuse_unreachable(arch: str, source: str) -> None:
    """Refuse weights that were not fetched before and cannot be now.

    Raises:
        ModelError: they are not cached, and the host cannot be reached.
    """
    if cached_file(source):
        return
    from huggingface_hub import constants

    host, cache = (source, torch_cache()) if is_url(source) else (constants.ENDPOINT, hub_cache())
    if constants.is_offline_mode() or not is_reachable(host):
        raise _cannot_fetch(arch, host, cache, "cannot be reached")


def _from_hub(hub_id: str, arch: str) -> Path:
    from huggingface_hub import constants, hf_hub_download

    try:
        return Path(hf_hub_download(hub_id, HUB_FILES[0]))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise OSError(error.errno, error.strerror, str(hub_cache())) from None
        host = f"{constants.ENDPOINT}/{hub_id}"
        raise _cannot_fetch(arch, host, hub_cache(), reason_of(error)) from None


def _from_url(url: str, arch: str) -> Path:
    import torch

    folder = torch_cache()
    file = folder / Path(urlsplit(url).path).name
    before = socket.getdefaulttimeout()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        socket.setdefaulttimeout(_PATIENCE)  # torch has no limit of its own
        torch.hub.download_url_to_file(url, str(file))
    except OSError as error:
        if error.errno in FULL:
            raise OSError(error.errno, error.strerror, str(file)) from None
        raise _cannot_fetch(arch, url, folder, str(error)) from None
    finally:
        socket.setdefaulttimeout(before)
    return file


def _cannot_fetch(arch: str, host: str, cache: Path, reason: str) -> ModelError:
    installed = bundled_archs()
    instead = f"take weights that are installed, --arch {installed[0]}, " if installed else ""
    return ModelError(
        f"The published weights of '{arch}' are not in the cache ('{cache}') and "
        f"{host} gives none: {reason}. Without network, {instead}give a file with --weights FILE, "
        "copy the cache from a machine that has it, or train from scratch with --no-pretrained."
    )


def is_reachable(url: str, seconds: float = 1.0, answer: float = _ANSWER) -> bool:
    """Whether something answers at the url's host, or at the proxy that leads there.

    Args:
        seconds: that connecting may take.
        answer: seconds that an answer may take after that.
    """
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return False
    target = urlsplit(url)
    proxy = urlsplit(getproxies().get(target.scheme, ""))
    host = proxy.hostname or target.hostname or ""
    port = proxy.port or target.port or (443 if target.scheme == "https" else 80)
    connected: Queue[socket.socket | None] = Queue()

    def try_to_connect() -> None:
        try:
            connected.put(socket.create_connection((host, port), timeout=seconds))
        except OSError:
            connected.put(None)

    # In a thread, because looking a name up has no time limit of its own.
    threading.Thread(target=try_to_connect, daemon=True).start()
    try:
        connection = connected.get(timeout=seconds)
    except Empty:
        return False
    if connection is None:
        return False
    with connection:
        connection.settimeout(answer)
        return bool(proxy.hostname) or _answers(connection, target)


def _answers(connection: socket.socket, target: SplitResult) -> bool:
    """Whether a host says anything, be it a refusal: some connections lead nowhere."""
    try:
        if target.scheme == "https":
            context = ssl.create_default_context()
            # Which certificates are good is for the program that fetches; here nothing is read.
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.wrap_socket(connection, server_hostname=target.hostname).close()
            return True
        connection.sendall(f"HEAD / HTTP/1.0\r\nHost: {target.netloc}\r\n\r\n".encode())
        return bool(connection.recv(1))
    except ssl.SSLError:
        return True
    except OSError:
        return False
