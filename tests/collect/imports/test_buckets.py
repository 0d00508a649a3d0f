"""`imgcli import s3://…`: the tree of a bucket, and a server that fails in every way."""

import hashlib
import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from imgcli.remote import storage
from imgcli.remote.objects import list_uris
from tests.support.buckets import BUSY, CUT, DENIED, EXPIRED, TOO_MANY, FakeS3, fake_s3, point_to
from tests.support.photos import photo
from tests.support.shell import Shell
from tests.support.trees import TWO_CLASSES, make_tar, make_tree, make_zip, provenance_lines, tree

pytestmark = pytest.mark.usefixtures("here")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[FakeS3, str]]:
    with fake_s3() as found:
        yield found


@pytest.fixture
def s3(
    server: tuple[FakeS3, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[FakeS3]:
    point_to(server[1], monkeypatch, tmp_path / "none")
    yield server[0]
    server[0].clear()


def without_times(out: Path, around: str) -> list[dict[str, object]]:
    """The provenance, but for what is of the day or of the bucket."""
    lines = provenance_lines(out)
    for line in lines:
        line.pop("imported_at")
        line.pop("etag", None)
        line["origin"] = line["origin"].removeprefix(around)
    return lines


def same_as_on_disk(shell: Shell, s3: FakeS3, files: dict[str, bytes], *more: str) -> None:
    """Import a tree from a disk and from a bucket, and compare all that comes of it."""
    make_tree(Path("src"), files)
    uri = s3.put_all(files, "src")
    here = shell.json("import", "src", *more, "--out", "here")
    there = shell.json("import", uri, *more, "--out", "there")
    assert json.loads(json.dumps(there).replace(uri, "src").replace("there", "here")) == here
    assert here["added"] > 0
    assert tree(Path("there")) == tree(Path("here"))
    assert without_times(Path("there"), uri) == without_times(Path("here"), "src")


def test_a_bucket_gives_what_its_folder_gives(shell: Shell, s3: FakeS3) -> None:
    files = {
        **TWO_CLASSES,
        "a/deep/1.png": photo(7),  # of the same name as another
        "a/deep/x y #?ü.png": photo(8),
        "a/readme.txt": b"no photo",
        "b/page.png": b"<html>",
        "b/again.png": photo(1),
        "b/empty.png": b"",
        ".NET/1.png": photo(9),
        ".git/1.png": photo(9),
        "b/Thumbs.db": b"",
        "a/large.jpg": photo(300, "JPEG") + bytes(300_000),  # of more than one block
    }
    same_as_on_disk(shell, s3, files)
    (line, *_) = provenance_lines(Path("there"))
    assert line["origin"] == "s3://bucket/src/a/1.png"
    assert line["etag"] and line["size"] == len(TWO_CLASSES["a/1.png"])


def test_parts_of_a_bucket_are_kept(shell: Shell, s3: FakeS3) -> None:
    files = {f"{part}/{name}": data for part in ("train", "test")
             for name, data in TWO_CLASSES.items()}  # fmt: skip
    s3.put_all(files, "src")
    code, _, err = shell("import", "s3://bucket/src")
    assert code == 2
    assert "To keep that: `imgcli import s3://bucket/src --keep-split`" in err
    assert "train --freeze --data" not in err  # which reads no bucket
    same_as_on_disk(shell, s3, files, "--keep-split")


def test_a_table_in_a_bucket_labels_its_photos(shell: Shell, s3: FakeS3) -> None:
    photos = {f"img/{n}.png": photo(n) for n in range(4)}
    table = "id,breed\n0,boxer\n1,pug\n2,pug\n3,boxer\n9,pug\n"
    files = {**photos, "labels.csv": table.encode()}
    same_as_on_disk(shell, s3, files)
    done = shell.json("import", "s3://bucket/src/labels.csv", "--out", "t")
    assert done["classes"] == {"boxer": 2, "pug": 2}
    Path("mine.csv").write_text("path,label\ns3://bucket/src/img/1.png,x\n")
    code, _, err = shell("import", "mine.csv", "--out", "u")
    assert (code, "--root s3://bucket/src/img" in err) == (1, True)
    done = shell.json("import", "mine.csv", "--root", "s3://bucket/src/img", "--out", "u")
    assert done["classes"] == {"x": 1}


def test_archives_and_parquet_are_read_where_they_are(
    shell: Shell, s3: FakeS3, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for made in (
        make_zip(tmp_path / "p.zip", TWO_CLASSES),
        make_tar(tmp_path / "p.tar", TWO_CLASSES),
        make_tar(tmp_path / "p.tar.gz", TWO_CLASSES, "w:gz"),
    ):
        uri, out = f"s3://bucket/arch/{made.name}", f"of {made.name}"
        s3.put(f"arch/{made.name}", made.read_bytes())
        assert shell.json("import", uri, "--out", out)["added"] == 4
        assert tree(Path(out)) == TWO_CLASSES
        assert provenance_lines(Path(out))[0]["origin"] == f"{uri}!a/1.png"
        done = shell.json("import", uri, "--out", out)
        assert (done["added"], done["skipped"], done["rejected"]) == (0, 4, [])
    for part, at in (("train", 0), ("test", 2)):
        rows = [{"bytes": photo(n), "path": f"{n}.png"} for n in (at, at + 1)]
        file = io.BytesIO()
        pq.write_table(pa.table({"image": rows, "label": ["x", "y"]}), file)
        s3.put(f"pq/data/{part}-00000.parquet", file.getvalue())
    done = shell.json("import", "s3://bucket/pq", "--keep-split", "--out", "pq")
    assert done["parts"] == {"train": 2, "test": 2}
    done = shell.json("import", "s3://bucket/pq/data/tr*.parquet", "--out", "one")
    assert done["classes"] == {"x": 1, "y": 1}


def test_more_objects_than_a_page_holds_are_listed(s3: FakeS3) -> None:
    s3.put_all({f"a/{n}.png": b"." for n in range(1_105)}, "many")
    with storage.connecting():
        found = [one.uri for one in list_uris("s3://bucket/many")]
    assert found == sorted(found) and len(found) == 1_105
    assert s3.asked["GET bucket"] >= 3  # pages


def test_a_server_that_is_busy_or_breaks_off_is_asked_again(shell: Shell, s3: FakeS3) -> None:
    uri = s3.put_all(TWO_CLASSES)
    s3.faults = {
        "max-keys=1": [BUSY, BUSY, BUSY],  # the first request of all
        "prefix=photos/a/": [BUSY],  # a listing
        "photos/a/1.png": [BUSY, TOO_MANY],
        "photos/a/2.png": [CUT],
        "photos/b/1.png": [CUT, BUSY, CUT],
    }
    done = shell.json("import", uri)
    assert (done["added"], done["rejected"]) == (4, [])
    assert tree(Path("raw")) == TWO_CLASSES
    assert s3.asked["GET bucket/photos/b/1.png"] == 4
    assert not any(s3.faults.values())


def test_photos_so_far_stay_where_a_server_gives_up(shell: Shell, s3: FakeS3) -> None:
    uri = s3.put_all(TWO_CLASSES)
    s3.faults = {"photos/b/1.png": [BUSY] * 6}
    code, _, err = shell("import", uri)
    assert code == 1
    assert "The server of 's3://bucket/photos/b/1.png' does not answer as it should" in err
    assert set(tree(Path("raw"))) == {"a/1.png", "a/2.png"}
    s3.asked.clear()
    assert shell.json("import", uri)["added"] == 2
    assert s3.gets() == 2  # those that are here were not fetched
    assert tree(Path("raw")) == TWO_CLASSES


def test_an_object_that_changes_under_the_import_is_refused(shell: Shell, s3: FakeS3) -> None:
    uri = s3.put_all(TWO_CLASSES)
    s3.before["bucket/photos/a/2.png"] = lambda: s3.put("photos/a/2.png", photo(77))
    done = shell.json("import", uri)
    assert done["rejected"] == [
        {
            "path": "s3://bucket/photos/a/2.png",
            "reason": "cannot be read (it has changed while it was imported)",
        }
    ]
    assert set(tree(Path("raw"))) == TWO_CLASSES.keys() - {"a/2.png"}


def test_an_object_that_changed_since_its_import_is_refused(shell: Shell, s3: FakeS3) -> None:
    uri = s3.put_all(TWO_CLASSES)
    shell.json("import", uri)
    s3.put("photos/a/1.png", photo(77))
    s3.asked.clear()
    done = shell.json("import", uri)
    assert (done["added"], done["skipped"], s3.gets()) == (0, 3, 1)
    (rejected,) = done["rejected"]
    assert rejected["path"] == "s3://bucket/photos/a/1.png"
    assert "changed since it was imported as 'a/1.png'" in rejected["reason"]
    assert tree(Path("raw")) == TWO_CLASSES
    Path("raw/a/1.png").unlink()  # as the reason says
    assert shell.json("import", uri)["added"] == 1
    assert Path("raw/a/1.png").read_bytes() == photo(77)


def test_a_photo_moved_to_another_class_is_not_fetched_again(shell: Shell, s3: FakeS3) -> None:
    uri = s3.put_all(TWO_CLASSES)
    shell.json("import", uri)
    digest = hashlib.sha256(TWO_CLASSES["a/1.png"]).hexdigest()
    head = "folder,path,label,new_label,score,reason,sha256"
    Path("plan.csv").write_text(f"{head}\nraw,a/1.png,a,b,,,{digest}\n")
    code, _, err = shell("check", "raw", "--fix", "plan.csv")
    assert code == 0, err
    assert not Path("raw/a/1.png").exists()
    s3.asked.clear()
    assert shell.json("import", uri)["added"] == 0
    assert s3.gets() == 0


def test_one_denied_object_is_listed(shell: Shell, s3: FakeS3) -> None:
    uri = s3.put_all(TWO_CLASSES)
    s3.faults = {"photos/a/1.png": [DENIED]}
    done = shell.json("import", uri)
    reason = {"path": f"{uri}/a/1.png", "reason": "cannot be read (access denied)"}
    assert (done["added"], done["rejected"]) == (3, [reason])


def test_credentials_that_expire_end_in_a_sentence(shell: Shell, s3: FakeS3) -> None:
    uri = s3.put_all(TWO_CLASSES)
    s3.faults = {"photos/b/1.png": [EXPIRED]}
    code, _, err = shell("import", uri)
    assert code == 1
    assert "no valid credentials were found" in err and "AWS_PROFILE" in err
    assert set(tree(Path("raw"))) == {"a/1.png", "a/2.png"}


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://no-such-bucket/x", "There is no 's3://no-such-bucket/x'. Check the name of the"),
        ("s3://bucket/phot", "There is nothing at 's3://bucket/phot'."),
        ("s3://bucket/photos/*.zip", "Nothing matches 's3://bucket/photos/*.zip'"),
        ("s3://bucket/photos/x.zip", "There is nothing at 's3://bucket/photos/x.zip'."),
        ("sftp://host/photos", "sftp:// is not read."),
    ],
)
def test_what_is_not_there_is_said(shell: Shell, s3: FakeS3, uri: str, said: str) -> None:
    s3.put_all(TWO_CLASSES)
    code, out, err = shell("import", uri)
    assert code in (1, 2) and out == ""
    assert said in err and err.count("\n") == 1
    assert not Path("raw").exists()


def test_a_bucket_that_denies_is_said(shell: Shell, s3: FakeS3) -> None:
    uri = s3.put_all(TWO_CLASSES)
    s3.faults = {"list-type": [DENIED] * 9}
    code, _, err = shell("import", uri)
    assert code == 1
    assert f"Access to '{uri}' is denied: the credentials found may not list and read it." in err


def test_a_public_bucket_wants_no_credentials(
    shell: Shell, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = s3.put_all(TWO_CLASSES)
    s3.make_public()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    code, _, err = shell("import", uri)
    assert code == 0, err
    assert err == "No credentials for s3://bucket were found; it is read without.\n"
    assert tree(Path("raw")) == TWO_CLASSES
    s3.faults = {"list-type": [DENIED] * 9}
    code, _, err = shell("import", uri)
    assert code == 1
    assert "no valid credentials were found" in err
    assert "AWS_PROFILE, AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY, or ~/.aws" in err


def test_a_server_that_cannot_be_reached_is_said(
    shell: Shell, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    code, _, err = shell("import", "s3://bucket/photos")
    assert code == 1
    assert "The server of 's3://bucket/photos' cannot be reached" in err
    assert "AWS_ENDPOINT_URL" in err


def test_a_missing_package_is_named(
    shell: Shell, s3: FakeS3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    code, _, err = shell("import", "s3://bucket/photos")
    assert (code, err.count("\n")) == (1, 1)
    assert "pip install 'imgcli[cloud]'" in err


def test_a_password_in_an_address_is_refused_and_not_shown(shell: Shell, s3: FakeS3) -> None:
    code, out, err = shell("import", "s3://key:pass-word@bucket/photos")
    assert code == 2
    assert "'s3://bucket/photos' was given with a user name or password" in err
    assert "pass-word" not in out + err


def test_no_secret_is_stored(shell: Shell, s3: FakeS3) -> None:
    uri = s3.put_all(TWO_CLASSES)
    _, out, err = shell("import", uri)
    text = out + err + Path("raw/provenance.jsonl").read_text()
    assert "a secret" not in text and "X-Amz" not in text
