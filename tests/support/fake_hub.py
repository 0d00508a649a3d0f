"""A Hugging Face hub on loopback: what huggingface_hub asks to create, commit to and read from.

    with FakeHub() as hub:
        … HfApi(hub.endpoint).create_repo("lab/owls") …
        hub.repos["lab/owls"].head["config.json"]
        hub.faults["preupload"] = 503

Large files go by LFS, as there. `faults` names what is refused, and how: a status, or "cut" for a
connection that is closed without a word, or "hang".
"""

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import pytest

TOKEN = "hf_of_the_test"
_LARGE = (".safetensors", ".onnx", ".bin")


@dataclass
class Repo:
    """A repository: its commits, the oldest first, each a tree of files."""

    private: bool = False
    gated: bool = False
    commits: list[dict[str, bytes]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def head(self) -> dict[str, bytes]:
        return self.commits[-1] if self.commits else {}

    def commit(self, files: dict[str, bytes], message: str = "by hand") -> str:
        self.commits.append({**self.head, **files})
        self.messages.append(message)
        return oid(len(self.commits) - 1)

    def at(self, revision: str) -> int | None:
        """The number of the commit that a revision names."""
        known = {oid(i): i for i in range(len(self.commits))}
        return len(self.commits) - 1 if revision == "main" else known.get(revision)


def oid(number: int) -> str:
    return hashlib.sha1(f"commit {number}".encode()).hexdigest()


class FakeHub:
    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.large: dict[str, bytes] = {}  # by SHA-256
        self.faults: dict[str, int | str] = {}  # by what is asked: see `_Handler.WAYS`
        self.log: list[str] = []  # method and path of each request
        self.tokens: list[str] = []  # that came with them
        self.ended = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.hub = self
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: FakeHub

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is nothing to print."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    WAYS = (  # what is asked: the method, the path, who answers
        ("alive", "HEAD", r"/", "_alive"),
        ("create", "POST", r"/api/repos/create", "_create"),
        ("yaml", "POST", r"/api/validate-yaml", "_yaml"),
        ("preupload", "POST", r"/api/models/([^/]+/[^/]+)/preupload/[^/]+", "_preupload"),
        ("lfs", "POST", r"/(.+)\.git/info/lfs/objects/batch", "_batch"),
        ("upload", "PUT", r"/large/([0-9a-f]{64})", "_upload"),
        ("commit", "POST", r"/api/models/([^/]+/[^/]+)/commit/([^/]+)", "_commit"),
        ("info", "GET", r"/api/models/([^/]+/[^/]+)", "_info"),
        ("dataset", "GET", r"/api/(datasets/[^/]+/[^/]+)(?:/revision/([^/]+))?", "_dataset"),
        ("tree", "GET", r"/api/(datasets/[^/]+/[^/]+)/tree/([^/]+)(?:/(.+))?", "_tree"),
        ("file", "GET", r"/(datasets/[^/]+/[^/]+)/resolve/([^/]+)/(.+)", "_file"),
        ("resolve", "HEAD", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "_resolve"),
        ("download", "GET", r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", "_resolve"),
    )

    def _any(self) -> None:
        hub, (path, _, _) = self.server.hub, self.path.partition("?")
        hub.log.append(f"{self.command} {path}")
        hub.tokens.append(self.headers.get("Authorization", ""))
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        for name, method, pattern, answer in self.WAYS:
            match = re.fullmatch(pattern, path)
            if match and method == self.command:
                fault = hub.faults.get(name)
                if fault is None:
                    getattr(self, answer)(*match.groups())
                elif isinstance(fault, int):
                    self._say({"error": "refused"}, fault)
                else:
                    if fault == "hang":
                        hub.ended.wait(30)
                    self.close_connection = True
                return
        self._say({"error": "no such place"}, 404)

    do_GET = do_HEAD = do_POST = do_PUT = _any

    def _say(self, data: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _may_write(self) -> bool:
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            return True
        self._say({"error": "Invalid username or password."}, 401)
        return False

    def _alive(self) -> None:
        self._say(b"")

    def _create(self) -> None:
        if not self._may_write():
            return
        asked = json.loads(self.body)
        name = f"{asked.get('organization') or 'me'}/{asked['name']}"
        url = {"url": f"{self.server.hub.endpoint}/{name}"}
        if name in self.server.hub.repos:
            self._say({"error": "You already created this model repo", **url}, 409)
            return
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        self.server.hub.repos[name] = Repo(private)
        self._say(url)

    def _yaml(self) -> None:
        text = json.loads(self.body)["content"]
        fault = {"errors": [{"message": '"license" is required'}], "warnings": []}
        good = text.startswith("---\n") and "license:" in text
        self._say({"errors": [], "warnings": []} if good else fault, 200 if good else 400)

    def _preupload(self, repo: str) -> None:
        if repo not in self.server.hub.repos:
            self._say({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
            return
        files = [
            {
                "path": one["path"],
                "uploadMode": "lfs" if one["path"].endswith(_LARGE) else "regular",
                "shouldIgnore": False,
            }
            for one in json.loads(self.body)["files"]
        ]
        self._say({"files": files})

    def _batch(self, repo: str) -> None:
        base = f"{self.server.hub.endpoint}/large/"
        objects = [
            {**one, "actions": {"upload": {"href": base + one["oid"]}}}
            for one in json.loads(self.body)["objects"]
        ]
        self._say({"transfer": "basic", "objects": objects})

    def _upload(self, digest: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == digest
        self.server.hub.large[digest] = self.body
        self._say(b"")

    def _commit(self, repo: str, revision: str) -> None:
        if not self._may_write():
            return
        hub, files, message = self.server.hub, {}, ""
        for line in map(json.loads, self.body.splitlines()):
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                files[value["path"]] = hub.large[value["oid"]]
        found = hub.repos[repo].commit(files, message)
        self._say({"commitOid": found, "commitUrl": f"{hub.endpoint}/{repo}/commit/{found}"})

    def _info(self, name: str) -> None:
        repo = self.server.hub.repos.get(name)
        if repo is None:
            self._say({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})
            return
        self._say({"id": name, "private": repo.private, "sha": None, "siblings": []})

    def _resolve(self, name: str, revision: str, path: str) -> None:
        repo = self.server.hub.repos.get(name)
        allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repo is None or (repo.private and not allowed):
            self._say({"error": "no"}, 401, {"X-Error-Code": "RepoNotFound"})
        elif (number := repo.at(revision)) is None:
            self._say({"error": "no"}, 404, {"X-Error-Code": "RevisionNotFound"})
        elif (content := repo.commits[number].get(path)) is None:
            codes = {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": oid(number)}
            self._say({"error": "no"}, 404, codes)
        else:
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            self._say(content, 200, {"ETag": etag, "X-Repo-Commit": oid(number)})

    def _dataset(self, name: str, revision: str | None) -> None:
        """What a data set is at a revision; `repos` has it as "datasets/owner/name"."""
        repo = self.server.hub.repos.get(name)
        allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        if repo is None or (repo.private and not allowed):
            self._say({"error": "no"}, 401, {"X-Error-Code": "RepoNotFound"})
        elif repo.gated and not allowed:
            self._say({"error": "ask first"}, 403, {"X-Error-Code": "GatedRepo"})
        elif (number := repo.at(revision or "main")) is None:
            self._say({"error": "no"}, 404, {"X-Error-Code": "RevisionNotFound"})
        else:
            about = {"id": name.removeprefix("datasets/"), "sha": oid(number), "siblings": []}
            self._say({**about, "private": repo.private, "downloads": 0, "likes": 0, "tags": []})

    def _tree(self, name: str, revision: str, folder: str | None) -> None:
        repo = self.server.hub.repos[name]
        number = repo.at(revision)
        assert number is not None
        around = f"{unquote(folder)}/" if folder else ""
        found: dict[str, dict[str, Any]] = {}
        for path, data in repo.commits[number].items():
            step, _, deeper = path.removeprefix(around).partition("/")
            if path.startswith(around):
                content = hashlib.sha1(data).hexdigest()
                what = {"type": "directory"} if deeper else {"type": "file", "size": len(data)}
                found[step] = {**what, "path": around + step, "oid": content}
        if found:
            self._say(list(found.values()))
        else:
            self._say({"error": "no"}, 404, {"X-Error-Code": "EntryNotFound"})

    def _file(self, name: str, revision: str, path: str) -> None:
        repo = self.server.hub.repos[name]
        number = repo.at(revision)
        assert number is not None
        data = repo.commits[number][unquote(path)]
        part = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if part is None:
            self._say(data)
        else:
            self._say(data[int(part[1]) : int(part[2]) + 1], 206)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def asked_by(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[FakeHub]:
    """A hub that huggingface_hub asks in this process, with its token and an empty cache."""

    with FakeHub() as hub:
        use(monkeypatch, hub.endpoint, cache)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield hub


def use(monkeypatch: pytest.MonkeyPatch, endpoint: str, cache: Path) -> None:
    """Let huggingface_hub ask an address, and wait for nothing long."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
