"""A finished run, its dataset and its cache, damaged and replaced in every way."""

import copy
import hashlib
import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcli import reading
from imgcli.commands.check_labels import known_issues
from imgcli.errors import DataError, ImgcliError, RunError
from imgcli.evaluation import predictions_io
from imgcli.evaluation.calibration import temperature_of
from imgcli.files import save_arrays
from imgcli.locations import Location
from imgcli.photos import pipeline, relabel
from imgcli.photos.dataset import load_dataset
from imgcli.photos.decode import Fault
from imgcli.photos.hashing import digest_files
from imgcli.photos.layout import find_photos
from imgcli.photos.merge import undo_merge
from imgcli.photos.merge_spec import read_plan
from imgcli.photos.quarantine import Move, quarantine, restore
from imgcli.photos.views import thumbnail
from imgcli.records import Rejected
from imgcli.report.plots import training
from imgcli.run_lookup import find_run
from imgcli.runs import Run
from imgcli.training.model_io import load_model
from tests.support.photos import coloured_photo, write_classes
from tests.support.shell import imgcli

TRAIN = ("train", "--arch", "4C5-P4", "--image-size", "16", "--epochs", "2", "--precision", "fp32")
COMMANDS = (
    ("split", "raw", "--ratio", "0.6"),
    TRAIN,
    ("evaluate", "--folds", "2"),
    ("evaluate",),
    ("check", "dataset", "--labels"),
    ("suggest-merges",),
    ("check", "raw", "--sheet", "sheet.html"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a dataset, a run that has been judged, and all that commands leave."""
    folder = tmp_path_factory.mktemp("made")
    write_classes(folder / "raw", per_class=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in COMMANDS:
            assert imgcli(*words, "--quiet") == 0
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to be damaged."""
    shutil.copytree(made, tmp_path / "w", symlinks=True)
    monkeypatch.chdir(tmp_path / "w")
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "w"


def told(run: Run) -> str:
    """All that commands read of a run, as text."""
    network, classes, precision = load_model(run)
    weights = {name: value.tolist() for name, value in network.classifier.state_dict().items()}
    of_folds = predictions_io.load([run], "folds")[1][str(run.folder)]
    of_test = predictions_io.load([run], "test")[1][str(run.folder)]
    sides = of_folds.train_confusions
    curves = [training.batch_losses(path).tolist() for path in of_folds.histories]
    return repr(
        [weights, classes, precision, network.preprocess, run.config, run.data, run.asked]
        + [vars(one.predictions) for one in (of_folds, of_test)]
        + [
            None if sides is None else sides.tolist(),
            curves,
            temperature_of(run),
            training.rows(run),
        ]
        + [
            known_issues(run, of_folds.predictions),
            predictions_io.run_json(of_test, of_test.predictions),
        ]
    )


def read_files(run: Run) -> list[str]:
    """The files of a run that decide what is said of it."""
    files = [path.relative_to(run.folder).as_posix() for path in run.folder.rglob("*.*")]
    drawn = ("figures/", "evaluation.json", "merges.json", "report.html")
    return sorted(name for name in files if not name.startswith(drawn))


def test_a_flipped_bit_changes_nothing_or_is_named_with_its_file(here: Path) -> None:
    np.set_printoptions(threshold=1_000_000)
    run = find_run()
    expected, rng, refused = told(run), random.Random(0), 0
    names = read_files(run)
    assert {"config.json", "model.json", "model.safetensors", "history.csv"} <= set(names)
    for name in names:
        file = run.folder / name
        whole = file.read_bytes()
        for _ in range(40):
            bit = rng.randrange(8 * len(whole))
            flipped = bytearray(whole)
            flipped[bit // 8] ^= 1 << bit % 8
            file.write_bytes(flipped)
            try:
                assert told(run) == expected, f"bit {bit} of {name}"
            except RunError as error:
                refused += 1
                message = str(error)
                assert Path(name).stem.replace("history-", "fold-") in message, message
                assert any(word in message for word in ("Restore", "Train", "Remove")), message
        file.write_bytes(whole)
    assert refused > 20 * len(names) and told(run) == expected


# --- one value at a time ------------------------------------------------------------------------

VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 2**63, 10**30, float("nan"), float("inf"), 1e308),
    *("", "x", "\0", "\ud800", "/etc/passwd", "../x", [], {}, [[]], {"x": 1}),
)


def places(document: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, of a list its first and last item's alone."""
    if at:
        yield at
    if isinstance(document, dict):
        for key in document:
            yield from places(document[key], (*at, key))
    elif isinstance(document, list) and document:
        for index in {0, len(document) - 1}:
            yield from places(document[index], (*at, index))


def mutations(document: Any, seed: int, each: int = 4) -> Iterator[Any]:
    """The document with one value replaced or removed, at every place, by some of VALUES."""
    rng = random.Random(seed)
    for at in places(document):
        for value in (*rng.sample(VALUES, each), "remove"):
            changed = copy.deepcopy(document)
            inner = changed
            for step in at[:-1]:
                inner = inner[step]
            if value == "remove":
                del inner[at[-1]]
            else:
                inner[at[-1]] = value
            yield changed


def survives(read: Callable[[], object]) -> bool:
    """Whether something is read, or refused in a sentence; any other exception is not caught."""
    try:
        read()
    except ImgcliError as error:
        assert "\n" not in str(error), str(error)
        return False
    return True


@pytest.mark.parametrize("name", ["config.json", "model.json", "calibration.json", "labels.json"])
def test_documents_of_a_run_with_one_value_changed_are_read_or_refused(
    here: Path, name: str
) -> None:
    run = find_run()
    file = run.folder / name
    document = json.loads(file.read_text())
    del document["sha256"]  # as of a run made before there were hashes
    document["format"] = 1
    for changed in mutations(document, seed=1):
        file.write_text(json.dumps(changed))
        survives(lambda: told(run))


JUNK = {
    "empty": b"",
    "deep": b"[" * 100_000,
    "deep object": b'{"format": 1, "config": ' + b'{"a":' * 100_000,
    "not UTF-8": b'{"format": 1, "\xff": 1}',
    "a list": b"[]",
    "many digits": b'{"format": 1, "seconds": ' + b"9" * 10_000 + b"}",
    "infinite": b'{"format": 1, "seconds": 1e999}',
    "zip": b"PK\x03\x04",
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_in_place_of_any_file_of_a_run_is_a_sentence(here: Path, junk: bytes) -> None:
    run = find_run()
    for name in read_files(run):
        file = run.folder / name
        whole = file.read_bytes()
        file.write_bytes(junk)
        assert not survives(lambda: told(run)), name
        file.unlink()
        file.mkdir()
        survives(lambda: told(run))
        file.rmdir()
        file.write_bytes(whole)


def test_a_marked_document_is_read(here: Path) -> None:
    file = find_run().folder / "config.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert find_run().config.model.arch == "4C5-P4"


@pytest.mark.parametrize("name", ["dataset/split.json", "merged/merge.json"])
def test_documents_of_folders_with_one_value_changed_are_read_or_refused(
    here: Path, name: str
) -> None:
    assert imgcli("merge", "blue+red", "dataset", "--out", "merged", "--quiet") == 0
    document = json.loads(Path(name).read_text())
    for number, changed in enumerate(mutations(document, seed=2, each=3)):
        Path(name).write_text(json.dumps(changed))
        if name.startswith("dataset"):
            survives(lambda: load_dataset(Path("dataset")))
        else:
            survives(partial(undo_merge, Path("merged"), Path(f"again-{number}")))
    assert {path.name for path in here.parent.iterdir()} == {"w"}


def test_a_journal_and_a_plan_with_one_value_changed_are_followed_or_refused(here: Path) -> None:
    plan = {"merges": [{"classes": ["blue", "red"], "name": "both"}], "data": "dataset"}
    for changed in mutations(plan, seed=3):
        Path("plan.json").write_text(json.dumps(changed))
        survives(lambda: read_plan(Path("plan.json")))
    names = ("blue/00.png", "red/01.png")
    shutil.copytree("raw", "raw-before")
    batch = quarantine(Path("raw"), [Move(name, "small", "is small") for name in names]).batches[0]
    journal = json.loads((batch / "journal.json").read_text())
    for changed in mutations(journal, seed=4):
        shutil.rmtree("raw")
        shutil.copytree("raw-before", "raw")
        for name in names:
            (batch / name).parent.mkdir(parents=True, exist_ok=True)
            Path("raw", name).rename(batch / name) if not (batch / name).exists() else None
        (batch / "journal.json").write_text(json.dumps(changed))
        survives(lambda: restore(Path("quarantine")))
    assert {path.name for path in here.parent.iterdir()} == {"w"}


@pytest.mark.parametrize(
    ("shape", "what"),
    [((10**9, 10**9), "huge"), ((-1, 3), "negative"), ((10**20,), "beyond 64 bits")],
)
def test_arrays_of_an_absurd_shape_take_no_memory(
    here: Path, shape: tuple[int, ...], what: str
) -> None:
    import io
    import zipfile

    run = find_run()
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    with zipfile.ZipFile(run.folder / "predictions-folds.npz", "w") as archive:
        archive.writestr("probs.npy", header.getvalue() + bytes(8))
    with pytest.raises(RunError, match=r"predictions-folds\.npz' cannot be read"):
        run.load_predictions("predictions-folds.npz")


def test_probabilities_that_are_none_are_refused(here: Path) -> None:
    run = find_run()
    good = run.load_predictions("predictions-test.npz")
    bad: dict[str, Any] = {
        "probs": np.full_like(good.probs, np.nan),
        "targets": good.targets + 7,
        "indices": good.indices.astype(float),
        "paths": np.array(["../x"] * len(good)),
        "classes": np.array(["b", "a", "c"]),
        "on": np.array("nowhere"),
        "groups": good.groups[1:],
    }
    for name, values in bad.items():
        save_arrays(run.folder / "predictions-test.npz", {**vars(good), name: values})
        with pytest.raises(RunError, match=r"predictions-test.*Remove it"):
            run.load_predictions("predictions-test.npz")


# --- what is no file ----------------------------------------------------------------------------


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """An error in place of waiting for a pipe without end."""

    def give_up(*_: object) -> None:
        raise AssertionError("it waits for a pipe")

    before = signal.signal(signal.SIGALRM, give_up)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def test_a_pipe_in_place_of_any_file_is_never_waited_for(here: Path, no_waiting: None) -> None:
    run = find_run()
    folders = [run.folder, Path("dataset"), Path(".imgcli/cache")]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 40
    for file in files:
        if file.suffix == ".png" and file.name != "00.png":
            continue
        whole = file.read_bytes()
        file.unlink()
        os.mkfifo(file)
        signal.alarm(60)
        survives(lambda: told(run))
        survives(lambda: load_dataset(Path("dataset")))
        assert imgcli("merge", "--plan", str(file), "dataset", "--out", "m") in (1, 2)
        if file.exists():
            file.unlink()
        file.write_bytes(whole)


@pytest.mark.parametrize(
    "words",
    [
        ("import", "pipe", "--out", "out"),
        ("import", "pipe.csv", "--out", "out"),
        ("import", "pipe.zip", "--out", "out"),
        ("import", "raw", "--rename", "pipe.json", "--out", "out"),
        ("import", "raw", "--out", "taken"),
        ("scrape", "urls", "pipe.csv", "--out", "out"),
        ("scrape", "openverse", "--labels", "pipe", "--out", "out"),
        ("credits", "taken"),
        ("split", "taken", "--out", "out", "--update"),
        ("check", "raw", "--fix", "pipe.csv"),
        ("merge", "--plan", "pipe", "dataset"),
        ("train", "--arch", "4C5-P4", "--weights", "pipe.safetensors", "--epochs", "1"),
        ("report", "--out", "pipe"),
        ("restore", "quarantine"),
    ],
)
def test_a_pipe_in_place_of_what_is_named_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], no_waiting: None, words: tuple[str, ...]
) -> None:
    for folder in ("taken", "out", "quarantine/raw-1"):
        Path(folder).mkdir(parents=True)
    for name in ("pipe", "pipe.csv", "pipe.zip", "pipe.json", "pipe.safetensors"):
        os.mkfifo(name)
    for name in ("taken/provenance.jsonl", "taken/split.json", "out/split.json"):
        os.mkfifo(name)
    os.mkfifo("quarantine/raw-1/journal.json")
    if words[0] in ("import", "scrape"):
        shutil.rmtree("out")
    signal.alarm(60)
    capsys.readouterr()
    code = imgcli(*words)
    said = capsys.readouterr().err
    assert code in (1, 2) and "mistake in imgcli" not in said, said


def test_a_photo_of_more_bytes_than_are_decoded_is_not_even_hashed(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("raw/red/vast.jpg", "wb") as file:
        file.truncate(5 << 30)
    os.symlink("/dev/zero", "raw/red/endless.jpg")
    read = hashlib.file_digest
    monkeypatch.setattr(hashlib, "file_digest", lambda *_: pytest.fail("it is hashed"))
    (reason,) = digest_files([Path("raw/red/vast.jpg")], here / "c")
    assert isinstance(reason, Rejected) and "5,369 MB, the limit is 1,074 MB" in reason.reason
    monkeypatch.setattr(hashlib, "file_digest", read)
    rejected = {item.path: item.reason for item in find_photos(Path("raw")).rejected}
    assert rejected["red/endless.jpg"] == "neither a file nor a folder"


# --- what is not the run's to show --------------------------------------------------------------


def strangers_run(paths: list[str]) -> Run:
    """A run whose predictions are of these paths."""
    run = find_run()
    shutil.rmtree(run.folder / "folds")
    for name in ("predictions-folds.npz", "predictions-test.npz"):
        made = reading.read_arrays(run.folder / name)
        told = np.array([*paths, *made["paths"].tolist()[len(paths) :]])
        save_arrays(run.folder / name, {**made, "paths": told})
    return run


@pytest.fixture
def secret(here: Path) -> Path:
    """A picture of the user's own, that no dataset holds."""
    file = here.parent / "private" / "secret.png"
    file.parent.mkdir()
    coloured_photo((250, 10, 250), 7).save(file)
    return file


@pytest.mark.parametrize("manifest", [True, False])
@pytest.mark.parametrize("way", ["absolute", "up", "through a link", "beside the parts"])
def test_a_strangers_run_shows_no_picture_from_outside_the_dataset(
    here: Path,
    secret: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    way: str,
    manifest: bool,
) -> None:
    if not manifest:
        Path("dataset/split.json").unlink()
    os.symlink(secret.parent, "dataset/link")
    os.symlink(secret.parent, "dataset/train/blue/link")
    shutil.copy(secret, "dataset/secret.png")
    path = {
        "absolute": str(secret),
        "up": "../../private/secret.png",
        "through a link": "train/blue/link/secret.png",
        "beside the parts": "link/secret.png",
    }[way]
    strangers_run([path, "secret.png"] if way == "beside the parts" else [path])
    thumbnail_of_it = thumbnail(secret, 24)
    opened: list[str] = []
    read = pipeline.read_photos

    def noted(files: Iterable[Location]) -> Iterator[bytes | Fault]:
        for file in files:
            opened.append(str(file))
            yield from read([file])

    monkeypatch.setattr(pipeline, "read_photos", noted)
    code = imgcli("report", "--out", "r.html", "--quiet")
    assert thumbnail_of_it is not None
    assert not any("secret" in file for file in opened)
    if way in ("absolute", "up"):
        assert code == 1 and "a path that leaves the dataset" in capsys.readouterr().err
    else:
        assert code == 0 and opened


def test_labels_of_a_strangers_run_are_looked_for_in_the_dataset_alone(
    here: Path, secret: Path
) -> None:
    Path("dataset/split.json").unlink()
    os.symlink(secret.parent, "dataset/link")
    with pytest.raises(DataError, match=r"'link/secret.png' is not in 'dataset'"):
        relabel.origins(Path("dataset"), ["link/secret.png"])


@pytest.mark.parametrize("side", ["folder", "quarantine"])
def test_restoring_moves_nothing_through_a_link_that_leaves_the_folder(
    here: Path, secret: Path, side: str
) -> None:
    batch = Path("quarantine/raw-1")
    batch.mkdir(parents=True)
    outside = secret.parent
    if side == "quarantine":  # would be taken from outside
        os.symlink(outside, batch / "cat")
    else:  # would be put outside
        (batch / "cat").mkdir()
        (batch / "cat/secret.png").write_bytes(b"other")
        secret.unlink()
        os.symlink(outside, "raw/cat")
    move = {"path": "cat/secret.png", "kind": "", "reason": ""}
    document = {"format": 1, "folder": "raw", "moves": [move]}
    (batch / "journal.json").write_text(json.dumps(document))
    done = restore(Path("quarantine"))
    assert done.done == () and "is a link to elsewhere" in done.left[0].reason
    assert secret.exists() == (side == "quarantine")
