import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imgcli.collect.imports.run import import_photos
from imgcli.errors import DataError, ImgcliError, StorageError, WrongUsage
from imgcli.image_types import EMPTY
from tests.support.photos import photo
from tests.support.trees import TWO_CLASSES, make_tar, make_tree, make_zip, recorded, tree


def state(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything of a source that an import could change."""
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.stat().st_mode, name_of(path))
        for path in root.rglob("*")
    }


def name_of(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def test_folder_zip_and_tar_give_the_same_tree(tmp_path: Path) -> None:
    wrapped = {f"photos/{name}": data for name, data in TWO_CLASSES.items()}
    sources = [
        make_tree(tmp_path / "src", TWO_CLASSES),
        make_zip(tmp_path / "x.zip", wrapped),
        make_tar(tmp_path / "x.tgz", wrapped, "w:gz"),
    ]
    for number, source in enumerate(sources):
        out = tmp_path / f"out{number}"
        result = import_photos([source], out)
        assert (result.added, result.skipped, result.rejected) == (4, 0, ())
        assert result.classes == {"a": 2, "b": 2}
        assert tree(out) == TWO_CLASSES


def test_the_source_stays_as_it_was(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", TWO_CLASSES)
    before = state(source)
    import_photos([source], tmp_path / "out")
    assert state(source) == before
    copy = tmp_path / "out/a/1.png"
    assert copy.stat().st_ino != (source / "a/1.png").stat().st_ino  # a copy, not a link


def test_a_second_import_adds_nothing_and_another_source_only_adds(tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = make_zip(tmp_path / "1.zip", TWO_CLASSES)
    second = make_zip(tmp_path / "2.zip", {"a/1.png": photo(50), "c/1.png": photo(51)})
    import_photos([first], out)
    before = state(out)
    result = import_photos([first], out)
    assert (result.added, result.skipped) == (0, 4)
    assert state(out) == before
    result = import_photos([first, second], out)
    assert (result.added, result.skipped) == (2, 4)
    assert result.classes == {"a": 3, "b": 2, "c": 1}
    assert {key: value for key, value in tree(out).items() if key in TWO_CLASSES} == TWO_CLASSES


def test_numbered_folders_stay_the_classes_where_tables_say_the_same(tmp_path: Path) -> None:
    # GTSRB: 00007/ with its GT-00007.csv, whose ClassId is 7
    table = b"Filename;ClassId\n1.ppm;%d\n2.ppm;%d\n"
    files = {
        f"{n:05}/{name}": data
        for n in (0, 7)
        for name, data in {
            "1.ppm": photo(n + 1, "PPM"),
            "2.ppm": photo(n + 2, "PPM"),
            f"GT-{n:05}.csv": table % (n, n),
        }.items()
    }
    result = import_photos([make_tree(tmp_path / "src", files)], tmp_path / "out")
    assert result.classes == {"00000": 2, "00007": 2}


def test_what_is_no_photo_is_listed_and_the_rest_goes_on(tmp_path: Path) -> None:
    others = {"a/page.jpg": b"<html>", "b/empty.png": b"", "README.txt": b"hello"}
    result = import_photos([make_tree(tmp_path / "src", {**TWO_CLASSES, **others})], tmp_path / "o")
    assert result.added == 4
    assert {os.path.relpath(r.path, tmp_path / "src"): r.reason for r in result.rejected} == {
        "a/page.jpg": "an HTML page",
        "b/empty.png": EMPTY,
        "README.txt": "is in no class folder",
    }


def test_the_same_photo_in_two_classes_is_kept_in_both_and_reported(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", {"a/1.png": photo(1), "b/2.png": photo(1)})
    result = import_photos([source], tmp_path / "out")
    assert result.added == 2
    assert result.conflicts == (("a/1.png", "b/2.png"),)


# --- refusals -----------------------------------------------------------------------------------


def test_a_source_that_is_missing_or_without_photos_leaves_no_output(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(DataError, match=r"There is no '.*/gone.zip'. Name a folder"):
        import_photos([tmp_path / "gone.zip"], out)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"No photos in '.*empty'"):
        import_photos([tmp_path / "empty"], out)
    pages = make_tree(tmp_path / "pages", {"a/1.jpg": b"<html>", "b/1.jpg": b"%PDF"})
    with pytest.raises(DataError, match=r"No photo could be taken from '.*pages'.*an HTML page"):
        import_photos([pages], out)
    assert not out.exists()


def test_one_bad_source_is_found_before_anything_is_placed(tmp_path: Path) -> None:
    good = make_tree(tmp_path / "src", TWO_CLASSES)
    with pytest.raises(DataError, match="gone"):
        import_photos([good, tmp_path / "gone"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("src", "src"),
        ("src", "src/raw"),
        ("x/src", "x"),
        ("x/x.zip", "x"),
    ],
)
def test_source_and_output_may_not_contain_each_other(
    tmp_path: Path, source: str, out: str, force: bool
) -> None:
    path = tmp_path / source
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".zip":
        make_zip(path, TWO_CLASSES)
    else:
        make_tree(path, TWO_CLASSES)
    before = state(tmp_path)
    with pytest.raises(WrongUsage, match="is inside"):
        import_photos([path], tmp_path / out, force)
    assert state(tmp_path) == before


def test_a_link_does_not_hide_that_the_output_is_in_the_source(tmp_path: Path) -> None:
    source = make_tree(tmp_path / "src", TWO_CLASSES)
    (tmp_path / "link").symlink_to(source)
    with pytest.raises(WrongUsage, match="is inside"):
        import_photos([source], tmp_path / "link/raw")


def test_the_current_folder_can_be_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_tree(tmp_path / "src", TWO_CLASSES)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    import_photos([source], Path("."))
    assert tree(tmp_path / "here") == TWO_CLASSES


def test_a_disk_that_is_too_small_is_said_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_tree(tmp_path / "src", TWO_CLASSES)

    class Full:
        free = 10

    monkeypatch.setattr(shutil, "disk_usage", lambda _: Full)
    with pytest.raises(StorageError, match=r"The import needs .* are free"):
        import_photos([source], tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- interruptions ------------------------------------------------------------------------------

# Kills itself at the n-th time that the import opens, renames, makes or removes something in its
# output, completes the import, and compares; n = 1, 2, 3 … until an import ends before its n-th.
KILLER = """
    import os, shutil, signal, sys
    from pathlib import Path
    from imgcli.collect import ingest
    from imgcli.collect.imports.run import import_photos
    from imgcli.collect.imports.formats.source import Reading
    from imgcli.progress import be_quiet
    from tests.support.trees import recorded, tree

    source, out, whole = map(Path, sys.argv[1:4])
    reading = Reading(keep_split=sys.argv[4] == "split")
    ingest.BLOCK_PHOTOS = 3
    be_quiet()
    import_photos([source], whole, reading=reading)

    def killed_at(left):
        def watch(event, args):
            nonlocal left
            if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.truncate"):
                left -= any(str(out) in str(arg) for arg in args)
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
        child = os.fork()
        if child == 0:
            sys.addaudithook(watch)
            import_photos([source], out, reading=reading)
            os._exit(0)
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])

    moments = 1
    while killed_at(moments):
        if moments % 3 == 0:
            killed_at(2 * moments)  # and killed again while completing
        import_photos([source], out, reading=reading)
        assert tree(out) == tree(whole), moments
        assert recorded(out) == recorded(whole), moments
        shutil.rmtree(out)
        moments += 1
    print(moments)
"""


@pytest.mark.parametrize("kind", ["classes", "split"])
def test_an_import_killed_at_any_step_completes_to_the_same_tree(
    quick_path: Path, kind: str
) -> None:
    names = ["a/1.png", "a/sub/1.png", "b/1", "a/2.png", "b/x\ny.png", "CON/1.png", "c/1.png"]
    if kind == "split":
        names = [f"{'test' if n % 3 else 'train'}/{name}" for n, name in enumerate(names)]
    source = make_zip(quick_path / "x.zip", {name: photo(n) for n, name in enumerate(names)})
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLER)]
        + [str(path) for path in (source, quick_path / "out", quick_path / "whole", kind)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stderr == ""
    assert int(done.stdout) > 20


# Forks an import and kills it after a random time, MOMENTS times over.
AT_RANDOM = """
    import os, random, shutil, signal, sys, threading, time
    from pathlib import Path
    from tqdm import tqdm
    from imgcli.collect import ingest
    from imgcli.collect.imports.run import import_photos
    from imgcli.progress import be_quiet
    from tests.support.trees import recorded, tree

    source, out, whole = map(Path, sys.argv[1:4])
    ingest.BLOCK_PHOTOS = 20
    tqdm.set_lock(threading.RLock())  # its own is shared with forks, and dies with one for all
    be_quiet()
    began = time.monotonic()
    import_photos([source], whole)
    takes = time.monotonic() - began
    expected, lines = tree(whole), recorded(whole)
    killed = 0
    for moment in range(int(sys.argv[4])):
        child = os.fork()
        if child == 0:
            import_photos([source], out)
            os._exit(0)
        time.sleep(random.Random(moment).uniform(0, takes))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
        if moment % 4:  # every fourth is killed again while it completes
            import_photos([source], out)
            assert tree(out) == expected, moment
            assert recorded(out) == lines, moment
            shutil.rmtree(out)
    print(killed)
"""
MOMENTS = 12  # 200 were tried


def test_an_import_killed_at_random_moments_completes_to_the_same_tree(quick_path: Path) -> None:
    source = make_zip(quick_path / "x.zip", {f"{n % 4}/{n}.png": photo(n) for n in range(150)})
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(AT_RANDOM)]
        + [str(path) for path in (source, quick_path / "out", quick_path / "whole", MOMENTS)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert done.stderr == ""
    assert int(done.stdout) > MOMENTS // 4


# A file system of its own, in a name space of mounts that ends with the command.
SMALL_DISK = """
    mount -t tmpfs -o size=8m,nr_inodes={inodes} tmpfs {disk}
    {python} -m imgcli import {source} --out {disk}/raw -q; echo "code $?"
    mount -o remount,nr_inodes=1000{mode} tmpfs {disk}
    {python} -m imgcli import {source} --out {disk}/raw -q >&2; echo "code $?"
    {mend}
    {python} -m imgcli import {source} --out {disk}/raw -q --json
"""


def on_a_small_disk(tmp_path: Path, inodes: int, mode: str, mend: str) -> tuple[str, str]:
    """Import 60 photos thrice: what the commands print on stdout and stderr."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("only root may mount a small disk")
    source = make_zip(tmp_path / "x.zip", {f"{n % 3}/{n}.png": photo(n) for n in range(60)})
    (tmp_path / "disk").mkdir()
    names = {"python": sys.executable, "source": source, "disk": tmp_path / "disk"}
    script = textwrap.dedent(SMALL_DISK).format(inodes=inodes, mode=mode, mend=mend, **names)
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, cwd=tmp_path
    )
    if "mount:" in done.stderr:
        pytest.skip(f"no small disk here: {done.stderr}")
    return done.stdout, done.stderr


def test_a_disk_that_fills_up_is_one_line_and_a_rerun_completes(tmp_path: Path) -> None:
    out, err = on_a_small_disk(tmp_path, 30, "", "true")
    assert err.startswith("imgcli: No space left to write '")
    assert err.count("imgcli:") == 1 and "Traceback" not in err
    first, second, document = out.split("\n", 2)
    assert (first, second) == ("code 1", "code 0")
    assert json.loads(document)["classes"] == {"0": 20, "1": 20, "2": 20}


def test_a_disk_that_may_only_be_read_is_one_line_and_a_rerun_completes(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    out, err = on_a_small_disk(tmp_path, 30, ",ro", f"mount -o remount,rw tmpfs {disk}")
    lines = err.strip().split("\n")
    assert len(lines) == 2 and "No space left" in lines[0]
    assert lines[1].startswith("imgcli: No permission to use '")
    assert "Read-only file system" in lines[1]
    first, second, document = out.split("\n", 2)
    assert (first, second) == ("code 1", "code 1")
    assert json.loads(document)["classes"] == {"0": 20, "1": 20, "2": 20}


@pytest.mark.parametrize("photos", [1, 150, 299])
def test_a_command_killed_from_outside_completes_to_the_same_tree(
    tmp_path: Path, photos: int
) -> None:
    files = {f"{n % 3}/{n}.png": photo(n) + bytes(20_000) for n in range(300)}
    source, out = make_zip(tmp_path / "x.zip", files, 0), tmp_path / "out"
    command = [sys.executable, "-m", "imgcli", "import", str(source), "--out", str(out), "-q"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while running.poll() is None and time.monotonic() < deadline:
        if sum(len(list(out.glob(f"{label}/.imgcli-*"))) for label in range(3)) >= photos:
            running.send_signal(signal.SIGKILL)
            break
    running.wait()
    import_photos([source], out)
    assert tree(out) == files
    assert set(recorded(out)) == set(files)


@given(data=st.data())
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_a_damaged_archive_is_a_sentence_or_a_list(tmp_path: Path, data: st.DataObject) -> None:
    files = {f"a/{n}.png": photo(n) for n in range(3)}
    make = data.draw(st.sampled_from([make_zip, make_tar]))
    raw = bytearray(make(tmp_path / "x", files).read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "x").write_bytes(raw[: data.draw(st.integers(1, len(raw)))])
    try:
        result = import_photos([tmp_path / "x"], tmp_path / "out", force=True)
    except ImgcliError:
        return
    assert result.added + result.skipped + len(result.rejected) > 0


# --- real photos --------------------------------------------------------------------------------


@pytest.mark.shared
def test_caltech30_comes_in_whole(tmp_path: Path, shared: Path) -> None:
    result = import_photos([shared / "data/caltech30.zip"], tmp_path / "raw")
    assert (result.added, result.skipped, result.rejected) == (2056, 0, ())
    assert len(result.classes) == 30
    assert result.classes["crab"] == 73


@pytest.mark.shared
def test_every_awkward_file_is_placed_skipped_or_listed(tmp_path: Path, shared: Path) -> None:
    result = import_photos([shared / "data/awkward-images.zip"], tmp_path / "raw")
    assert result.added + result.skipped + len(result.rejected) == 389
    assert result.added == len(tree(tmp_path / "raw"))


@pytest.mark.parametrize("kind", ["folder", "zip", "tar"])
def test_hidden_folders_with_photos_are_listed_with_their_number(tmp_path: Path, kind: str) -> None:
    files = {
        f"logos/{name}/{n}.png": photo(n + k)
        for k, name in enumerate((".NET", "Java", "C#", ".git"))
        for n in range(3)
    }
    files["logos/Java/.DS_Store"] = b"x"
    source = {"folder": make_tree, "zip": make_zip, "tar": make_tar}[kind](
        tmp_path / {"folder": "src", "zip": "x.zip", "tar": "x.tar"}[kind], files
    )
    result = import_photos([source], tmp_path / "out")
    assert set(result.classes) == {"Java", "C#"}
    (listed,) = result.rejected
    assert listed.path.endswith("logos/.NET")
    assert listed.reason.startswith("a hidden folder with 3 photos; if it is a class")
