"""No room to write: one sentence with the path that was to be written, and nothing half-written."""

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from imgcli.batch import Batch, append_lines
from imgcli.collect.ingest import open_store
from imgcli.errors import StorageError
from imgcli.files import atomic_file, save_arrays, write_atomic, write_json, writing
from imgcli.models.weights import write_state
from imgcli.photos.merge import merge_classes
from imgcli.photos.merge_spec import Merge
from imgcli.photos.split import split_folder
from imgcli.report.plots import style
from imgcli.training.predict import Predicted
from imgcli.training.tuning.study import open_study
from tests.support.disk import small_files
from tests.support.photos import photo
from tests.support.trees import labelled_photo, make_tree

ROOM = 4096  # bytes that a file may have
NOISE = np.random.default_rng(0).bytes(4 * ROOM)


def figure(path: Path) -> None:
    drawn, axes = style.canvas(2, 2)
    axes.imshow(np.frombuffer(NOISE, np.uint8).reshape(128, 128))
    style.save(drawn, path)


WRITERS: dict[str, Callable[[Path], None]] = {
    "a page": lambda path: write_atomic(path, NOISE),
    "JSON": lambda path: write_json(path, {"a": NOISE.hex()}),
    "arrays": lambda path: save_arrays(path, {"a": np.frombuffer(NOISE, np.uint8)}),
    "weights": lambda path: write_state(path, {"w": torch.zeros(ROOM)}),
    "a figure": lambda path: figure(path),
    "CSV": lambda path: Predicted(("c",), ["p" * ROOM], np.ones((1, 1)), []).write_csv(path, 1),
    "a photo": lambda path: Batch(path.parents[1]).add(path.parent.name, path.name, NOISE),
}


@pytest.mark.usefixtures("rendered")
@pytest.mark.parametrize("kind", WRITERS)
def test_what_fails_is_said_of_the_file_that_was_to_be_written(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "out" / "file.png"
    path.parent.mkdir()
    with small_files(ROOM), pytest.raises(OSError) as caught:
        WRITERS[kind](path)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert list(path.parent.iterdir()) == []
    WRITERS[kind](path)  # with room again


def test_an_error_that_is_of_another_file_stays_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, atomic_file(tmp_path / "a") as file:
        os.link(tmp_path / "gone", file)
    assert caught.value.filename == str(tmp_path / "gone")
    with pytest.raises(ValueError, match="other"), writing(tmp_path):
        raise ValueError("other")


def test_lines_are_added_all_or_none(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    append_lines(path, [{"n": 1}])
    with small_files(ROOM), pytest.raises(OSError) as caught:
        append_lines(path, ({"n": n} for n in range(ROOM)))
    assert caught.value.filename == str(path)
    assert path.read_text() == '{"n": 1}\n'


def big_photos(folder: Path) -> Path:
    return make_tree(folder, {f"{'ab'[n % 2]}/{n}.png": photo(n) + NOISE for n in range(8)})


def test_copies_name_the_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw, out = big_photos(tmp_path / "raw"), tmp_path / "dataset"

    def no_link(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "another file system")

    monkeypatch.setattr(os, "link", no_link)
    for copy, target in (
        (lambda: split_folder(raw, out, cache=tmp_path / "c"), out),
        (lambda: merge_classes(raw, [Merge(("a", "b"), "c")], tmp_path / "m"), tmp_path / "m"),
    ):
        with small_files(ROOM), pytest.raises(OSError) as caught:
            copy()
        assert caught.value.errno == errno.EFBIG
        assert Path(caught.value.filename).is_relative_to(target)
        assert sorted(path.name for path in tmp_path.iterdir() if path.name != "c") == ["raw"]


def test_an_import_that_finds_no_room_keeps_what_it_has(tmp_path: Path) -> None:
    out = tmp_path / "raw"
    with small_files(ROOM), pytest.raises(OSError) as caught, open_store(out) as store:
        store.place(labelled_photo("a", "1.png", photo(1)))
        store.place(labelled_photo("a", "2.png", photo(2) + NOISE))
    assert caught.value.filename == str(out / "a/2.png")
    assert sorted(path.name for path in out.rglob("*")) == ["1.png", "a", "provenance.jsonl"]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("database", [False, True])
def test_a_study_that_finds_no_room_goes_on_later(tmp_path: Path, database: bool) -> None:
    url = f"sqlite:///{tmp_path}/study.db" if database else None

    def search(trials: int) -> int:
        with open_study(tmp_path, "s", url, {}) as study:
            study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=trials)
            return len(study.trials)

    search(3)
    room = (tmp_path / ("study.db" if database else "trials.log")).stat().st_size + 100
    with pytest.raises((OSError, StorageError)) as caught:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            search(200)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(tmp_path) in str(caught.value)
    assert search(1) >= 4


def test_the_command_says_it_in_one_sentence(tmp_path: Path) -> None:
    big_photos(tmp_path / "photos")
    program = (
        "import resource as r; r.setrlimit(r.RLIMIT_FSIZE, (4096, 4096)); "
        "from imgcli.cli.main import main; main()"
    )
    child = subprocess.run(
        [sys.executable, "-c", program, "import", "photos", "--out", "raw"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert child.returncode == 1
    assert child.stderr.startswith("imgcli: No space left to write 'raw/a/0.png': ")
    assert child.stderr.count("\n") == 1
