"""Published weights: from the cache, from a hub, or a sentence within a second."""

import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
import timm
from safetensors.torch import save

from imgcli.models.hub import is_reachable
from tests.support.fake_host import FakeHost, Reply

CREATE = (
    "from imgcli.config import ModelConfig\n"
    "from imgcli.models.create import create_network\n"
    "from imgcli.models.network import fingerprint\n"
    "print(fingerprint(create_network(ModelConfig('resnet18'), 3).classifier.backbone))\n"
)


class Hub(BaseHTTPRequestHandler):
    """What the hub answers for `timm/resnet18…/resolve/main/model.safetensors`."""

    weights = b""
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        if not self.path.endswith("model.safetensors"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.weights)))
        self.send_header("ETag", f'"{hashlib.sha256(self.weights).hexdigest()}"')
        self.send_header("X-Repo-Commit", "0" * 40)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(self.weights)

    do_GET = do_HEAD

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.weights = save(timm.create_model("resnet18", num_classes=1000).state_dict())
    Hub.asked = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def create(cache: Path, endpoint: str) -> subprocess.CompletedProcess[str]:
    """Build a pretrained resnet18 in a fresh process whose hub and cache are these."""
    environment = {
        **os.environ,
        "HF_HOME": str(cache),
        "TORCH_HOME": str(cache),
        "HF_ENDPOINT": endpoint,
        "HF_HUB_DISABLE_XET": "1",
        "NO_PROXY": "127.0.0.1",
    }
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CREATE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_weights_are_fetched_once_and_then_come_from_the_cache(hub: str, tmp_path: Path) -> None:
    first = create(tmp_path, hub)
    assert first.returncode == 0, first.stderr
    assert any(line.startswith("GET") for line in Hub.asked)
    Hub.asked.clear()
    again = create(tmp_path, hub)
    assert again.stdout == first.stdout
    assert Hub.asked == []


def test_without_network_the_sentence_names_the_remedies(tmp_path: Path) -> None:
    result = create(tmp_path, "http://127.0.0.1:9")  # nothing listens on the discard port
    message = result.stderr.strip().splitlines()[-1]
    assert "The published weights of 'resnet18' are not in the cache" in message
    assert "--weights FILE" in message and "--no-pretrained" in message
    assert str(tmp_path) in message


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_takes_connections_and_says_nothing_is_not_reached(scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/weights.pth"
        assert not is_reachable(url, answer=0.2)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_host_that_answers_anything_is_reached(scheme: str) -> None:
    with FakeHost({"/": Reply(status=500)}) as host:  # and speaks no TLS
        assert is_reachable(host.url("/weights.pth").replace("http", scheme))


def test_a_host_whose_certificate_is_unknown_is_reached() -> None:
    own = Path(__file__).parents[1] / "http/photos.test.pem"
    with FakeHost(certificate=str(own)) as host:
        assert is_reachable(host.url("/weights.pth"))


def test_a_proxy_is_asked_in_the_place_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", address)
        assert is_reachable("https://hub.invalid/weights.pth")


def test_a_host_that_never_answers_is_given_up_on_in_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    over = threading.Event()

    def hang(*args: object, **kwargs: object) -> None:
        over.wait(30)
        raise OSError("gave up")

    monkeypatch.setattr("socket.create_connection", hang)
    start = time.monotonic()
    assert not is_reachable("http://hub.example")
    assert time.monotonic() - start < 3
    over.set()
