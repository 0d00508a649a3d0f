"""Trainings on a Ray cluster of two nodes, one of which is removed in the middle."""

import csv
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from ray.cluster_utils import Cluster

from imgcli.compute.workers import FAILURES_NAME, max_failures
from imgcli.errors import WrongUsage
from tests.support.cluster import NODE, RAY_WARNS, simulated
from tests.support.photos import write_classes
from tests.support.shell import Shell, imgcli

pytestmark = RAY_WARNS

# With batch norm; the loss of its first epochs stays the same but for rounding.
STEPS = (
    "train --arch 8C3V-P2 --batchnorm --image-size 16 --epochs 40 --lr 0.001 --optimizer sgd "
    "--batch-size 8 --precision fp32 --val-share 0.2"
)
FOLDS = "evaluate --folds 4 --on all"


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Cluster]:
    with simulated(2) as made:
        yield made


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which this process has trained, and evaluated by folds."""
    folder = tmp_path_factory.mktemp("alone")
    write_classes(folder / "raw")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in ("split raw --ratio 0.8", STEPS):
            assert imgcli(*words.split(), "--quiet") == 0
        shutil.copytree(folder, folder.with_name("before"))
        assert imgcli(*FOLDS.split(), "--quiet") == 0
    torch.set_num_threads(threads)
    return folder


@pytest.fixture
def elsewhere(alone: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same folder before the folds, for commands that take one CPU."""
    folder = alone.with_name("before")
    monkeypatch.chdir(folder)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield folder
    torch.set_num_threads(threads)


def removing(cluster: Cluster, when: Callable[[], bool]) -> "threading.Thread":
    """Remove the second node once something is so; a thread that ends then."""
    if not cluster.worker_nodes:  # a test before has removed it
        cluster.add_node(**NODE)
        cluster.wait_for_nodes()
    (second,) = cluster.worker_nodes

    def wait() -> None:
        while not when():
            time.sleep(0.01)
        cluster.remove_node(second, allow_graceful=False)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


def test_folds_are_the_same_bits_though_a_node_dies(
    alone: Path, elsewhere: Path, two_nodes: Cluster, shell: Shell
) -> None:
    (run,) = elsewhere.glob("runs/2*")
    removal = removing(two_nodes, lambda: bool([*run.glob("folds/*/fold-00.npz")]))
    code, _, err = shell(*FOLDS.split(), "--cluster", two_nodes.address)
    assert code == 0, err
    assert "On the cluster: 2 trainings at once, 1 CPU each." in err
    assert not removal.is_alive() and len(two_nodes.worker_nodes) == 0
    (own,) = alone.glob("runs/2*")
    kept = [sorted(one.glob("folds/*/*.*")) for one in (own, run)]
    assert [path.name for path in kept[0]] == [path.name for path in kept[1]] and len(kept[0]) == 8
    for one, other in zip(*kept, strict=True):
        assert one.read_bytes() == other.read_bytes()
    (line,) = (elsewhere / "runs/test-ledger.jsonl").read_text().splitlines()
    assert json.loads(line)["run"] == run.name
    figures = [json.loads((one / "evaluation.json").read_text()) for one in (own, run)]
    assert figures[0]["accuracy"] == figures[1]["accuracy"]


def rows_of(run: Path) -> list[dict[str, str]]:
    with open(run / "history.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_training_goes_on_without_the_node_that_dies(
    alone: Path,
    elsewhere: Path,
    two_nodes: Cluster,
    shell: Shell,
) -> None:
    out = ("--out", "shared")
    removal = removing(two_nodes, lambda: bool([*elsewhere.glob("shared/2*/checkpoint.*")]))
    code, _, err = shell(*STEPS.split(), *out, "--cluster", two_nodes.address)
    assert code == 0, err
    assert "On the cluster: training by 2 workers, 1 CPU each." in err
    assert not removal.is_alive()
    assert "Going on after epoch " in err  # here: what is left is no more than this process
    (run,) = elsewhere.glob("shared/2*")
    (own,) = alone.glob("runs/2*")
    one, two = rows_of(own), rows_of(run)
    assert [(r["part"], r["epoch"], r["step"], r["n"]) for r in one] == [
        (r["part"], r["epoch"], r["step"], r["n"]) for r in two
    ]
    for mine, shared in zip(one, two, strict=True):
        assert float(shared["loss"]) == pytest.approx(float(mine["loss"]), abs=1e-6)
    assert not (run / "checkpoint.safetensors").exists()


def test_a_number_of_failures_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert max_failures() == 3
    monkeypatch.setenv(FAILURES_NAME, "0")
    assert max_failures() == 0
    monkeypatch.setenv(FAILURES_NAME, "often")
    with pytest.raises(WrongUsage, match="IMGCLI_MAX_FAILURES=often is no number of failures"):
        max_failures()
