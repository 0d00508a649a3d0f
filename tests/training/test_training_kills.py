"""A training killed at any call that changes the disk, and its next start; two at once."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgcli.config import TrainConfig
from imgcli.errors import DataError, RunError, StorageError
from imgcli.files import locked, sweep_temporaries, temporary_name, write_atomic
from imgcli.latest_run import finish_run
from imgcli.run_lookup import find_run, sweep, unfinished_run
from imgcli.runs import CHECKPOINT, Run, finished_runs, new_run, training
from imgcli.training.bagging import train_bag
from imgcli.training.pipeline import train_run

CONFIG = TrainConfig.of(
    arch="4C3-G", image_size=8, epochs=2, batch_size=36, lr=0.01, augment="none", precision="fp32"
)

KILLS = """
import builtins, contextlib, hashlib, importlib, os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from imgcli import progress, run_lookup
from imgcli.training.pipeline import train_run
from imgcli.runs import CHECKPOINT, Run
from tests.training.test_training_kills import CONFIG

progress.be_quiet()
CHANGES = ("mkdir", "rename", "replace", "unlink", "symlink", "fsync", "rmdir")


def start(runs):
    try:
        left = run_lookup.unfinished_run(None, runs)
    except Exception:
        return train_run(CONFIG, Path("dataset"), runs, "cpu").run
    return train_run(left.config, left.data, runs, "cpu", resume=left).run


def import_what_training_imports():
    # In this process, so that its children need not: most of their time would go there.
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        start(Path("imports"))
        os.write(writer, " ".join(sys.modules).encode())
        os._exit(0)
    os.close(writer)
    with open(reader) as names:
        for name in names.read().split():
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    assert os.waitpid(child, 0)[1] == 0


def in_a_child(work):
    if (child := os.fork()) == 0:
        try:
            work()
            os._exit(0)
        except BaseException as error:
            print(repr(error), file=sys.stderr)
            os._exit(1)
    return os.waitpid(child, 0)[1]


def counted(limit):
    \"\"\"Count the calls that change the disk, and die at the one after `limit`.\"\"\"
    calls = 0

    def wrapped(call, counts):
        def after_counting(*words, **more):
            nonlocal calls
            if counts(words, more):
                calls += 1
                if calls > limit:
                    os.kill(os.getpid(), signal.SIGKILL)
            return call(*words, **more)

        return after_counting

    for name in CHANGES:
        setattr(os, name, wrapped(getattr(os, name), lambda words, more: True))
    os.open = wrapped(os.open, lambda words, more: (words[1:2] or (0,))[0] & os.O_CREAT)
    builtins.open = wrapped(
        builtins.open, lambda words, more: set("wax+") & set(str(more.get("mode", words[1:2])))
    )


def bits(run):
    return [
        hashlib.sha256((run.folder / name).read_bytes()).hexdigest()
        for name in ("model.safetensors", "history.csv")
    ]


def main():
    import_what_training_imports()
    in_a_child(lambda: start(Path("whole")))
    expected = bits(run_lookup.find_run("latest", Path("whole")))
    killed, limit = True, 0
    while killed:
        runs = Path(f"runs-{limit}")

        def training():
            counted(limit)
            start(runs)

        killed = os.WIFSIGNALED(in_a_child(training))
        assert in_a_child(lambda: start(runs)) == 0, f"after {limit} calls"
        found = sorted(runs.rglob("*"))
        assert not [path for path in found if path.suffix == ".tmp"], f"after {limit}: {found}"
        folders = [path for path in runs.iterdir() if path.is_dir() and not path.is_symlink()]
        assert all(Run(folder).finished and Run(folder).begun for folder in folders), found
        assert not [path for path in found if path.name == CHECKPOINT], found
        assert all(bits(Run(folder)) == expected for folder in folders), f"after {limit} calls"
        assert bits(run_lookup.find_run("latest", runs)) == expected
        limit += 1
    print(limit)


main()
"""


def test_a_training_killed_anywhere_is_made_whole_by_the_next_start(here: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLS],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20  # calls


BEGINNING = """
import sys; from pathlib import Path; from imgcli.config import TrainConfig
from imgcli.latest_run import finish_run; from imgcli.run_lookup import sweep
from imgcli.runs import new_run
for seed in range(10):
    config = TrainConfig.of(arch="tiny", seed=10 * int(sys.argv[1]) + seed)
    sweep(Path("runs"))
    finish_run(new_run(Path("runs"), config, Path("d")), {})
"""


def test_trainings_that_begin_at_once_have_a_folder_each(here: Path) -> None:
    started = [
        subprocess.Popen([sys.executable, "-c", BEGINNING, str(number)]) for number in range(4)
    ]
    assert [process.wait() for process in started] == [0] * 4
    runs = finished_runs()
    assert sorted(run.config.seed for run in runs) == list(range(40))
    assert find_run("latest").folder in {run.folder for run in runs}
    assert not list(Path("runs").rglob(".*"))


def test_a_run_is_resumed_by_one_at_a_time(here: Path) -> None:
    run = new_run(Path("runs"), CONFIG, Path("dataset"))
    with training(run):
        with pytest.raises(StorageError, match=r"Another imgcli .*training\.lock'"):
            train_run(CONFIG, Path("dataset"), Path("runs"), "cpu", resume=run)
    assert train_run(CONFIG, Path("dataset"), Path("runs"), "cpu", resume=run).run.finished
    with pytest.raises(RunError, match="has been finished by another imgcli"):
        train_run(CONFIG, Path("dataset"), Path("runs"), "cpu", resume=run)


def test_a_bag_is_gone_on_with_by_one_at_a_time(here: Path) -> None:
    config = CONFIG.with_(bag_of=2)
    first = train_run(config.with_(bag=0), Path("dataset"), Path("runs"), "cpu").run
    with locked(first.folder / ".bag.lock"), pytest.raises(StorageError, match="Another"):
        train_bag(config, Path("dataset"), Path("runs"), "cpu", first)
    documents, _ = train_bag(config, Path("dataset"), Path("runs"), "cpu", first)
    assert len(documents) == len(finished_runs()) == 2


def test_a_training_that_is_refused_leaves_no_run(here: Path) -> None:
    shutil.rmtree("dataset/test")
    with pytest.raises(DataError, match="--track-test: 'dataset' has no test part"):
        train_run(CONFIG.with_(track_test=True), Path("dataset"), Path("runs"), "cpu")
    assert not Path("runs").exists()


def test_no_run_is_seen_without_its_config(tmp_path: Path) -> None:
    run = new_run(tmp_path, CONFIG, Path("d"))
    run.folder.rename(tmp_path / temporary_name())  # as while it is made
    with pytest.raises(RunError, match="No unfinished run"):
        unfinished_run(None, tmp_path)


DEAD, OTHER = 2**22 + 1, "0" * 8  # no process has such a number; no machine is called so


def left_by(name: str, folder: Path) -> Path:
    """A temporary with parts of its name replaced: `machine`, `process` or `life`."""
    path = folder / name
    path.write_text("half")
    return path


def test_only_what_the_dead_have_left_is_swept(tmp_path: Path) -> None:
    mine = temporary_name()
    parts = re.fullmatch(r"\.imgcli-(\w+)-(\d+)-(\w+)-(\d+)\.tmp", mine)
    assert parts is not None
    machine, process, life, number = parts.groups()
    with subprocess.Popen(["sleep", "60"]) as alive:
        kept = [
            mine,
            f".imgcli-{machine}-{alive.pid}-{life}-{number}.tmp",
            f".imgcli-{OTHER}-{DEAD}-{life}-{number}.tmp",  # of another machine, just now
            ".imgcli-notes.tmp",  # somebody's own
        ]
        swept = [
            f".imgcli-{machine}-{DEAD}-{life}-{number}.tmp",
            f".imgcli-{machine}-{DEAD}-{life}-b{number}.tmp",  # of a batch
            f".imgcli-{machine}-{process}-{OTHER}-{number}.tmp",  # our number in an earlier life
            ".imgcli-1-0.tmp",  # of an earlier version
        ]
        old = f".imgcli-{OTHER}-{DEAD}-{life}-7.tmp"
        for name in [*kept, *swept, old]:
            left_by(name, tmp_path)
        os.utime(tmp_path / old, (time.time() - 2 * 86_400,) * 2)
        folder = tmp_path / swept[0].replace(f"-{number}.", "-77.")
        folder.mkdir()
        left_by("config.json", folder)
        sweep_temporaries(tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(kept)
        alive.kill()


def test_the_next_writer_in_a_folder_sweeps_it(tmp_path: Path) -> None:
    name = temporary_name().replace(f"-{os.getpid()}-", f"-{DEAD}-")
    left_by(name, tmp_path)
    write_atomic(tmp_path / "report.html", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_what_a_finished_run_needs_no_more_is_swept(tmp_path: Path) -> None:
    run, going_on = (new_run(tmp_path, CONFIG, Path("d")) for _ in range(2))
    for one in (run, going_on):
        (one.folder / CHECKPOINT).write_text("weights")
    finish_run(run, {})
    sweep(tmp_path)
    assert not (run.folder / CHECKPOINT).exists() and (going_on.folder / CHECKPOINT).exists()


def test_a_kill_before_a_run_is_whole_leaves_no_earlier_one_as_the_latest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (new_run(tmp_path, CONFIG, Path("d")) for _ in range(2))
    finish_run(first, {})
    replace = os.replace

    def stop(source: Path, target: Path) -> None:
        if Path(target).name == "model.json":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        finish_run(second, {})
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(RunError, match=rf"--resume --run '?{second.folder.name}|latest"):
        find_run("latest", tmp_path)
    assert Run(first.folder).finished
