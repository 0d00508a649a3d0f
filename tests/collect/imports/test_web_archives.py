"""`imgcli import https://…`: archives of the web, by the polite client, in parts."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.fake_host import FakeHost, Reply
from tests.support.shell import Shell
from tests.support.trees import TWO_CLASSES, make_tar, make_zip, provenance_lines, tree

pytestmark = pytest.mark.usefixtures("here")


def in_parts(host: FakeHost, data: bytes, tags: list[str]) -> Callable[[str], Reply]:
    """A file that is sent by the ranges asked for, under one ETag after another."""

    def answer(_: str) -> Reply:
        first, last = host.log[-1].headers["Range"].removeprefix("bytes=").split("-")
        body = data[int(first) : int(last) + 1]
        tag = tags.pop(0) if len(tags) > 1 else tags[0]
        about = f"bytes {first}-{int(first) + len(body) - 1}/{len(data)}"
        return Reply(206, {"Content-Range": about, "ETag": f'"{tag}"'}, body)

    return answer


def test_an_archive_of_the_web_is_read_in_parts(shell: Shell, tmp_path: Path) -> None:
    made = make_tar(tmp_path / "p.tar.gz", TWO_CLASSES, "w:gz").read_bytes()
    with FakeHost() as host:
        host.answers["/p.tar.gz"] = in_parts(host, made, ["one"])
        url = host.url("/p.tar.gz")
        signed = f"{url}?X-Amz-Signature=0123abcd&X-Amz-Date=20261201"
        code, out, err = shell("import", signed, "--allow-host", host.at)
        assert code == 0, err
        assert tree(Path("raw")) == TWO_CLASSES
        line = provenance_lines(Path("raw"))[0]
        assert (line["origin"], line["etag"]) == (f"{url}!a/1.png", "one")
        kept = out + err + Path("raw/provenance.jsonl").read_text()
        assert "0123abcd" not in kept
        assert all("Signature=0123abcd" in seen.path for seen in host.log)
        assert not host.asked("/robots.txt")  # it was named by a person


def test_a_file_that_comes_only_whole_is_read_once(shell: Shell, tmp_path: Path) -> None:
    made = make_zip(tmp_path / "p.zip", TWO_CLASSES).read_bytes()
    with FakeHost({"/p.zip": made}) as host:
        done = shell.json("import", host.url("/p.zip"), "--allow-host", host.at)
        assert (done["added"], host.asked("/p.zip")) == (4, 1)


def test_an_archive_that_changes_between_two_parts_is_refused(shell: Shell, tmp_path: Path) -> None:
    made = make_zip(tmp_path / "p.zip", TWO_CLASSES).read_bytes()
    with FakeHost() as host:
        host.answers["/p.zip"] = in_parts(host, made, ["one", "two"])
        code, _, err = shell("import", host.url("/p.zip"), "--allow-host", host.at)
        assert code == 1
        assert "it has changed while it was imported" in err
        assert not Path("raw").exists()


def test_what_the_web_refuses_is_said(shell: Shell) -> None:
    with FakeHost({"/x.zip": Reply(403), "/page": b"<html>"}) as host:
        code, _, err = shell("import", host.url("/x.zip"))
        assert code == 1
        assert f"--allow-host {host.at} would permit it" in err
        for path, said in (
            ("/x.zip", "answered 403 Forbidden"),
            ("/none.zip", "There is nothing at"),
            ("/page", "is neither a folder nor a zip or tar"),
        ):
            code, out, err = shell("import", host.url(path), "--allow-host", host.at)
            assert (code, out, err.count("\n")) == (1, "", 1)
            assert said in err
