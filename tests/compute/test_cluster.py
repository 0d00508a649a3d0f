"""A Ray cluster of two nodes gives what this process gives, also where one of them dies."""

import json
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.cluster_utils import Cluster

from imgcli.compute import engine, holders, nodes
from imgcli.compute.cluster import connected, on_cluster
from imgcli.compute.local import cores
from imgcli.errors import Refused, WrongUsage
from imgcli.photos import pipeline
from imgcli.photos.pipeline import Photo, Transform, derive
from imgcli.photos.row_cache import RowStore
from imgcli.reading import pixel_limit, pixels_up_to
from tests.support.cluster import NODE, RAY_WARNS, simulated
from tests.support.photos import photo, write_classes
from tests.support.shards import as_shards, named_apart
from tests.support.shell import Shell

pytestmark = RAY_WARNS


@pytest.fixture(scope="module")
def head() -> Iterator[Cluster]:
    """A cluster whose head has one CPU; tests add a second node."""
    with simulated(1) as made:
        yield made


def with_second(head: Cluster) -> Any:
    """A second node, to be removed; this process is connected to the head before it is there."""
    assert connected()
    node = head.add_node(**NODE)
    head.wait_for_nodes()
    return node


def places() -> Transform:
    """Derives where it runs, how many cores it may use there, and what it has read.

    A function in a function travels as code: nodes cannot import tests.
    """

    def apply(photo: Photo) -> tuple[str, int, int]:
        time.sleep(0.005)  # so that a node dies in the middle of a block
        return ray.get_runtime_context().get_node_id(), cores(), len(photo.data)

    return Transform(apply)


def files_in(folder: Path, n: int) -> list[str]:
    folder.mkdir()
    for i in range(n):
        (folder / f"{i}.png").write_bytes(photo(i) + b"." * i)
    return [f"{folder.name}/{i}.png" for i in range(n)]


def test_a_node_that_dies_costs_its_blocks_and_no_result(here: Path, head: Cluster) -> None:
    files = files_in(here / "many", 700)
    sizes = [os.path.getsize(file) for file in files]
    with on_cluster(head.address):
        second = with_second(head)
        with closing(derive([places()], files, None)) as derived:
            found = [next(derived) for _ in range(100)]
            head.remove_node(second, allow_graceful=False)
            found += derived
    assert [i for i, _ in found] == list(range(700))
    made: list[tuple[str, int, int]] = [one[0] for _, one in found if isinstance(one, dict)]
    assert [size for _, _, size in made] == sizes
    assert len({node for node, _, _ in made}) > 1 and {n for _, n, _ in made} == {1}
    assert not ray.is_initialized()


def test_an_actor_that_dies_is_replaced(head: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "PATIENCE", 2.0)

    def make() -> Callable[[int], tuple[str, int]]:
        node = ray.get_runtime_context().get_node_id()

        def square(i: int) -> tuple[str, int]:
            time.sleep(0.05)
            return node, i * i

        return square

    with on_cluster(head.address):
        second = with_second(head)
        with closing(engine.by_holders(make, range(60), threads=1, gpu=False)) as results:
            found = [next(results) for _ in range(10)]
            head.remove_node(second, allow_graceful=False)
            found += results
    assert [square for _, square in found] == [i * i for i in range(60)]
    assert len({node for node, _ in found}) > 1


def test_what_work_raises_comes_as_it_was(head: Cluster) -> None:
    def refuse(number: int) -> int:
        if number == 30:
            raise Refused("30 is too much.")
        return number

    with on_cluster(head.address):
        with pytest.raises(Refused, match="30 is too much"):
            list(engine.in_order(refuse, range(100)))
        with pytest.raises(Refused, match="No node of the cluster has a GPU; use --device cpu"):
            list(engine.by_holders(lambda: refuse, range(3), threads=1, gpu=True))


def test_nodes_read_photos_in_shards(here: Path, shell: Shell, head: Cluster) -> None:
    as_shards(named_apart(write_classes(here / "raw")), here / "shards", per_shard=7)
    shell.json("split", "shards", "--out", "a")
    shutil.rmtree(here / ".imgcli")
    words = ("--arch", "test_resnet", "--no-pretrained", "--freeze", "--image-size", "32")
    with on_cluster(head.address):
        assert connected()  # once for all three, whose nodes then import imgcli once
        shell.json("split", "shards", "--out", "b", "--cluster", head.address)
        shell.json("train", "--data", "b", *words, "--cluster", head.address)
        found = shell.json("predict", "b", "--cluster", head.address)
    assert (here / "a/split.json").read_bytes() == (here / "b/split.json").read_bytes()
    shutil.rmtree(here / ".imgcli")
    assert shell.json("predict", "b") == found and len(found["predictions"]) == 36


COMMANDS = (
    "check raw",
    "split raw --ratio 0.8",
    "train --arch test_resnet --no-pretrained --freeze --image-size 32 --seed 1",
    "evaluate",
    "predict raw/red raw/broken.jpg",
)
CHANGES = ("run", "seconds", "images_per_second")  # from one run to the next


def documents_of(shell: Shell) -> list[dict[str, Any]]:
    """What the commands print, but for what no two runs share."""
    found = [shell.json(*words.split()) for words in COMMANDS]
    return [{k: v for k, v in one.items() if k not in CHANGES} for one in found]


def rows_in(folder: Path) -> dict[str, bytes]:
    cache = folder / ".imgcli/cache"
    return {str(file.relative_to(cache)): file.read_bytes() for file in cache.glob("*/*/rows.bin")}


def test_commands_give_the_same_figures_and_rows_though_a_node_dies(
    here: Path, head: Cluster, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_classes(here / "one/raw")
    (here / "one/raw/broken.jpg").write_bytes(photo(1, "JPEG")[:200])
    shutil.copytree(here / "one", here / "two")
    monkeypatch.chdir(here / "one")
    alone = documents_of(shell)
    monkeypatch.chdir(here / "two")
    monkeypatch.setattr(engine, "CHUNKS", 1)
    monkeypatch.setattr(pipeline, "BLOCK", 8)
    append = RowStore.append
    left: list[Any] = []

    def appended(store: RowStore, *rows: Any) -> None:
        append(store, *rows)
        if left:  # in the middle of a pass over the photos
            head.remove_node(left.pop(), allow_graceful=False)

    monkeypatch.setattr(RowStore, "append", appended)
    with on_cluster(head.address):
        left.append(with_second(head))
        assert documents_of(shell) == alone
    assert not left
    assert rows_in(here / "two") == rows_in(here / "one")
    (line,) = (here / "two/runs/test-ledger.jsonl").read_text().splitlines()
    assert json.loads(line)
    assert not (here / "two/raw/provenance.jsonl").exists()


def test_work_depends_on_what_surrounds_the_command(here: Path, head: Cluster) -> None:
    def work(_: int) -> tuple[str, int]:
        return os.getcwd(), pixel_limit()

    with on_cluster(head.address):
        with pixels_up_to(77):
            assert set(engine.in_order(work, range(40))) == {(str(here), 77)}
        assert {limit for _, limit in engine.in_order(work, range(40))} == {pixel_limit()}


def test_a_file_that_a_node_cannot_read_is_read_here(here: Path, head: Cluster) -> None:
    def size(name: str) -> int:
        on_a_node = ray.get_runtime_context().get_task_id() is not None
        return -1 if on_a_node and name == "b" else 1

    with on_cluster(head.address):
        found = engine.in_order(size, ["a", "b", "c"] * 20, unsure=lambda size: size < 0)
        assert list(found) == [1] * 60


def test_nodes_that_differ_are_refused_with_both_versions(
    here: Path, head: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = nodes.of_this_machine(())
    other = {**own.looked, "host": "b", "versions": {**own.looked["versions"], "torch": "1.0"}}
    with pytest.raises(Refused, match=r"Node 'b' .* has torch 1.0, and '.*', which"):
        own.refuse_other(other)
    del other["versions"]["torch"]
    other["versions"]["torch"] = None
    with pytest.raises(Refused, match="has no torch"):
        own.refuse_other(other)
    (here / "photo.jpg").write_bytes(b"here")
    with pytest.raises(Refused, match=r"Node 'b' .* sees no file '/.*/photo.jpg'\. Put"):
        seen = nodes.of_this_machine(["photo.jpg"])
        seen.refuse_other({**seen.looked, "host": "b", "sizes": {"photo.jpg": None}})
    with on_cluster(head.address):
        cluster = connected()
        assert cluster and cluster.cpus >= 1 and cluster.gpus == 0
        cluster.need(["photo.jpg"])
        monkeypatch.setattr("imgcli.compute.cluster.of_this_machine", lambda _: nodes.Own(other))
        with pytest.raises(Refused, match=r"has torch [0-9.+a-z]*, and 'b', which .* has no torch"):
            cluster.need(["photo.jpg", "photo.jpg"])


def test_auto_starts_a_cluster_where_there_is_none_and_leaves_nothing(
    quick_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(quick_path))
    with on_cluster("auto"):
        assert list(engine.in_order(abs, iter([]))) == [] and not ray.is_initialized()
        assert list(engine.in_order(abs, [-2, 1])) == [2, 1] and ray.is_initialized()
    assert not ray.is_initialized() and not list(quick_path.iterdir())


# --- no cluster ---------------------------------------------------------------------------------


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a program that takes connections and says something else than Ray."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    one = server.accept()[0]
                except OSError:
                    return
                one.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                one.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("address", "code", "sentence"),
    [
        ("nowhere", 2, "--cluster 'nowhere' is no address of a cluster, such as auto, ray://HOST"),
        ("", 2, "--cluster '' is no address"),
        ("host:99999", 2, "is no address"),
        ("127.0.0.1:1", 1, "No cluster answers at '127.0.0.1:1' (Connection refused)."),
        ("ray://127.0.0.1:1", 1, "No cluster answers at 'ray://127.0.0.1:1' (Connection refused)."),
        ("127.0.0.1:PORT", 1, "(something else listens there). Start one with `ray start --head`"),
    ],
)
def test_an_address_without_a_cluster_is_refused(
    here: Path, shell: Shell, mute: int, address: str, code: int, sentence: str
) -> None:
    write_classes(here / "raw", per_class=1)
    typed = shell("check", "raw", "--cluster", address.replace("PORT", str(mute)))
    assert typed.code == code and sentence in typed.err
    assert typed.err.count("\n") == 1 and not typed.out


def test_none_turns_off_the_cluster_of_the_environment(
    here: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_classes(here / "raw", per_class=1)
    monkeypatch.setenv("IMGCLI_CLUSTER", "127.0.0.1:1")
    assert shell("check", "raw").code == 1
    assert shell("check", "raw", "--cluster", "none").code == 0


def test_a_dead_cluster_of_the_environment_is_named(
    here: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_classes(here / "raw", per_class=1)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    assert "No cluster answers at '127.0.0.1:1'" in shell("check", "raw", "--cluster", "auto").err


def test_without_ray_its_extra_is_named(
    here: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_classes(here / "raw", per_class=1)
    monkeypatch.setitem(sys.modules, "ray", None)
    typed = shell("check", "raw", "--cluster", "auto")
    assert (typed.code, typed.err) == (
        1,
        "imgcli: --cluster auto needs Ray. Get it with: pip install 'imgcli[cluster]'\n",
    )


def test_torchrun_and_a_cluster_exclude_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "x"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_PORT", "1")
    with pytest.raises(WrongUsage, match="torchrun has started 2 processes, and --cluster auto"):
        with on_cluster("auto"):
            pass
