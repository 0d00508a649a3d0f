"""`imgcli import gs://…`, from a host on loopback that answers as Google's storage does."""

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.support.fake_host import FakeHost, Reply
from tests.support.shell import Shell
from tests.support.trees import TWO_CLASSES, provenance_lines, tree

pytestmark = pytest.mark.usefixtures("here")
BUCKET = "/storage/v1/b/pics"


class FakeGoogle:
    """The bucket "pics"; `host.answers` has its objects by their paths."""

    def __init__(self, host: FakeHost) -> None:
        self.host = host
        self.objects: dict[str, bytes] = {}
        host.answers[BUCKET] = json.dumps({"kind": "storage#bucket", "name": "pics"}).encode()
        host.answers[f"{BUCKET}/o"] = self._listed

    def put(self, name: str, data: bytes) -> None:
        self.objects[name] = data
        self.host.answers[f"{BUCKET}/o/{quote(name, safe='')}"] = json.dumps(self._about(name))\
            .encode()  # fmt: skip
        self.host.answers[self.path_of(name)] = data

    def path_of(self, name: str) -> str:
        """Where an object's bytes are."""
        return f"/download{BUCKET}/o/{quote(name, safe='')}"

    def _about(self, name: str) -> dict[str, object]:
        size = str(len(self.objects[name]))
        return {"kind": "storage#object", "name": name, "size": size, "generation": "1700000000"}

    def _listed(self, path: str) -> Reply:
        asked = parse_qs(urlsplit(path).query)
        prefix, delimiter = asked.get("prefix", [""])[0], asked.get("delimiter", [""])[0]
        items, folders = [], set()
        for name in sorted(self.objects):
            rest = name.removeprefix(prefix)
            if name.startswith(prefix) and delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
            elif name.startswith(prefix):
                items.append(self._about(name))
        page = {"kind": "storage#objects", "items": items, "prefixes": sorted(folders)}
        return Reply(body=json.dumps(page).encode())


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeGoogle]:
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with FakeHost() as host:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", host.url("").rstrip("/"))
        google = FakeGoogle(host)
        for name, data in TWO_CLASSES.items():
            google.put(f"photos/{name}", data)
        yield google


def test_a_bucket_of_google_gives_its_class_folders(shell: Shell, google: FakeGoogle) -> None:
    name = "photos/a/2.png"
    google.host.answers[google.path_of(name)] = [Reply(503), TWO_CLASSES["a/2.png"]]
    done = shell.json("import", "gs://pics/photos")
    assert (done["added"], done["rejected"]) == (4, [])
    assert tree(Path("raw")) == TWO_CLASSES
    line = provenance_lines(Path("raw"))[0]
    assert (line["origin"], line["etag"]) == ("gs://pics/photos/a/1.png", "1700000000")
    reads = [seen.path for seen in google.host.log if seen.path.startswith("/download")]
    assert len(reads) == 5 and all("generation=1700000000" in path for path in reads)
    assert shell.json("import", "gs://pics/photos")["skipped"] == 4
    assert sum(seen.path.startswith("/download") for seen in google.host.log) == 5


def test_an_object_of_another_generation_is_listed(shell: Shell, google: FakeGoogle) -> None:
    google.host.answers[google.path_of("photos/b/1.png")] = Reply(404)
    done = shell.json("import", "gs://pics/photos")
    reason = "cannot be read (replaced or removed since it was listed)"
    assert done["rejected"] == [{"path": "gs://pics/photos/b/1.png", "reason": reason}]


def test_what_google_refuses_is_said(shell: Shell, google: FakeGoogle) -> None:
    code, _, err = shell("import", "gs://nope/photos")
    assert (code, err.count("\n")) == (1, 1)
    assert "There is no 'gs://nope/photos'." in err
    google.host.answers[BUCKET] = google.host.answers[f"{BUCKET}/o"] = Reply(
        401, body=b'{"error": {"code": 401, "message": "Anonymous caller does not have access"}}'
    )
    code, _, err = shell("import", "gs://pics/photos")
    assert (code, err.count("\n")) == (1, 1)
    assert "no valid credentials were found" in err and "GOOGLE_APPLICATION_CREDENTIALS" in err
