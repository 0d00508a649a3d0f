"""An S3 on loopback that throttles, cuts connections and changes objects when it is told to.

with fake_s3() as s3:
    s3.put("photos/cat/1.jpg", data)
    s3.faults["cat/1.jpg"] = [BUSY, CUT]      what comes before the true answer
    … imgcli import s3://bucket/photos …
    assert s3.asked["GET bucket/photos/cat/1.jpg"] == 3
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

BUCKET = "bucket"
Fault = Callable[[Any, Any], Iterable[bytes]]
App = Callable[[dict[str, Any], Any], Iterable[bytes]]


def _refusal(status: str, code: str) -> Fault:
    body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{code}</Message></Error>"

    def answer(app: App, start: Any) -> Iterable[bytes]:
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))])
        return [body.encode()]

    return answer


BUSY = _refusal("503 Slow Down", "SlowDown")
TOO_MANY = _refusal("429 Too Many Requests", "TooManyRequests")
DENIED = _refusal("403 Forbidden", "AccessDenied")
EXPIRED = _refusal("400 Bad Request", "ExpiredToken")


def CUT(app: App, start: Any) -> Iterable[bytes]:
    """Half of the bytes that were announced."""
    start("206 Partial Content", [("Content-Length", "1000")])
    return [b"\x89PNG" + bytes(400)]


def point_to(url: str, patch: pytest.MonkeyPatch, nothing: Path) -> None:
    """Have s3fs ask that server, with credentials of no one, and wait hardly before it asks again.

    Args:
        nothing: where there is no file.
    """
    values = {
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "a secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",  # which has an address of its own
        "AWS_CONFIG_FILE": str(nothing),
        "AWS_SHARED_CREDENTIALS_FILE": str(nothing),
        "AWS_ENDPOINT_URL": url,
        "NO_PROXY": "127.0.0.1",
    }
    for name, value in values.items():
        patch.setenv(name, value)
    patch.delenv("AWS_PROFILE", raising=False)
    patch.setattr("imgcli.remote.storage.FIRST_PAUSE", 0.01)


class FakeS3:
    """One bucket; `faults` by a part of the path are taken in turn, `asked` counts requests."""

    def __init__(self) -> None:
        from moto.backends import get_backend

        self.faults: dict[str, list[Fault]] = {}
        self.asked: Counter[str] = Counter()
        self.before: dict[str, Callable[[], None]] = {}  # done before a key is read
        self._backend: Any = get_backend("s3")["123456789012"]["aws"]
        if BUCKET in self._backend.buckets:  # of another test file in this process
            self.clear()
        else:
            self._backend.create_bucket(BUCKET, "us-east-1")

    def put(self, key: str, data: bytes) -> None:
        self._backend.put_object(BUCKET, key, data)

    def put_all(self, files: Mapping[str, bytes], under: str = "photos") -> str:
        """Put a tree; its URI."""
        for name, data in files.items():
            self.put(f"{under}/{name}", data)
        return f"s3://{BUCKET}/{under}"

    def make_public(self) -> None:
        """Let anybody read what is here."""
        from moto.s3.models import get_canned_acl

        for key in self._backend.buckets[BUCKET].keys.values():
            key.set_acl(get_canned_acl("public-read"))

    def clear(self) -> None:
        """Forget all objects, faults and requests."""
        for key in list(self._backend.buckets[BUCKET].keys):
            self._backend.delete_object(BUCKET, key)
        self.faults.clear()
        self.before.clear()
        self.asked.clear()

    def gets(self) -> int:
        """How often an object was read."""
        return sum(n for what, n in self.asked.items() if what.startswith(f"GET {BUCKET}/"))

    def wrapped(self, app: App) -> App:
        def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
            path = unquote(environ["PATH_INFO"].encode("latin-1").decode()).strip("/")
            query = unquote(environ.get("QUERY_STRING", ""))
            self.asked[f"{environ['REQUEST_METHOD']} {path}"] += 1
            for part, faults in self.faults.items():
                if part in f"{path}?{query}" and faults:
                    return faults.pop(0)(app, start)
            if path in self.before:
                self.before.pop(path)()
            return app(environ, start)

        return answer


@contextmanager
def fake_s3() -> Iterator[tuple[FakeS3, str]]:
    """An S3 and its address."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    s3 = FakeS3()
    app = s3.wrapped(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield s3, f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
