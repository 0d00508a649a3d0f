"""Two processes of torchrun give what one process gives."""

import csv
import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import imgcli as imgcli_api
from imgcli import __version__
from imgcli.errors import Refused
from imgcli.runs import Run
from imgcli.training import device
from imgcli.training.augment import RECIPES, Share, augment, erase
from tests.support.photos import coloured_photo, write_classes, write_dataset
from tests.support.processes import COMMANDS, Helpers, place_of, torchrun
from tests.support.shell import Shell, imgcli

ONCE = "--precision fp32 --quiet"
# Mixed, smoothed, balanced, with batch norm. The last batch of an
# epoch has one photo, for two processes.
BY_STEPS = (
    "train --arch 8C3V-P2-8C3-P2 --batchnorm --image-size 16 --epochs 2 --lr 0.001 --optimizer sgd "
    "--batch-size 2 --mixup 0.2 --cutmix 0.5 --label-smoothing 0.1 --balance loss --augment strong "
    f"--val-share 0.2 --ema 0.9 --l1 1e-5 --clip-norm 1 {ONCE}"
)
FOLDS = f"evaluate --folds 3 {ONCE.removeprefix('--precision fp32 ')}"
HEAD = (
    "train --arch test_resnet --no-pretrained --freeze --image-size 32 --seed 1 --out frozen "
    f"{ONCE}"
)
SCORE = f"evaluate --run given --data dataset {ONCE.removeprefix('--precision fp32 ')}"
COMMANDS_OF_ALL = [BY_STEPS, FOLDS, HEAD]
# Few photos at once, so that these few are several batches; and what is done together is kept.
FIRST = """
from imgcli.compute.team import Team
from imgcli.training import device, outputs
device.BATCH = outputs.BATCH = 2
call = Team.call
def listed(team, function, *arguments, **own):
    with open("tasks", "a") as file:
        print(function.__name__, file=file)
    return call(team, function, *arguments, **own)
Team.call = listed
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder in which one process did it all, and one in which two did."""
    one, two = (tmp_path_factory.mktemp(name) for name in ("one", "two"))
    write_classes(one / "raw", per_class=11)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(one)
        assert imgcli("split", "raw", "--ratio", "0.85", "--quiet") == 0
        patch.setattr(device, "BATCH", 2)
        shutil.copytree(one, two, dirs_exist_ok=True)
        for words in COMMANDS_OF_ALL:
            assert imgcli(*words.split()) == 0
        for folder in (one, two):
            shutil.copytree((one / "runs/latest").resolve(), folder / "given")
        assert imgcli(*SCORE.split()) == 0
    script = two / "commands.py"
    script.write_text(FIRST + COMMANDS)
    todo = json.dumps([[str(two), words.split()] for words in [*COMMANDS_OF_ALL, SCORE]])
    done = torchrun([str(script), todo], two)
    assert done.returncode == 0, done.stderr
    return one, two


def rows_of(folder: Path) -> list[dict[str, str]]:
    with open(folder / "runs/latest/history.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_training_by_steps_has_the_same_losses(both: tuple[Path, Path]) -> None:
    one, two = map(rows_of, both)
    assert [row["part"] for row in one] == [row["part"] for row in two]
    assert {"batch", "train", "val"} == {row["part"] for row in one}
    assert min(int(row["n"]) for row in one if row["part"] == "batch") == 1
    for alone, shared in zip(one, two, strict=True):
        assert float(shared["loss"]) == pytest.approx(float(alone["loss"]), abs=1e-6)
        for name in ("epoch", "step", "n", "accuracy", "macro_f1", "lr"):
            assert shared[name] == alone[name]


def test_folds_are_the_same_bits(both: tuple[Path, Path]) -> None:
    one, two = (folder / "runs/latest" for folder in both)
    # Of the same run: folds begin with its config alone, so that its weights may differ.
    kept = [sorted(run.glob("folds/*/*.*")) for run in (one, two)]
    assert [path.name for path in kept[0]] == [path.name for path in kept[1]] and len(kept[0]) == 6
    for alone, dealt in zip(*kept, strict=True):
        assert alone.read_bytes() == dealt.read_bytes()
    alone, dealt = (Run(run).load_predictions("predictions-folds.npz") for run in (one, two))
    assert (alone.probs == dealt.probs).all() and alone.paths == dealt.paths


def test_photos_are_scored_in_shares_to_the_same_bits(both: tuple[Path, Path]) -> None:
    one, two = (Run(folder / "given").load_predictions("predictions-test.npz") for folder in both)
    assert (one.probs == two.probs).all() and one.paths == two.paths
    tasks = (both[1] / "tasks").read_text().split()
    assert tasks == [
        *("_fit_together", "_logits_together"),  # train, and its figures on the training photos
        *("_run_each", "_run_each"),  # three folds
        "extract_together",
        "_logits_together",
    ]


def test_features_and_heads_are_the_same_bits(both: tuple[Path, Path]) -> None:
    one, two = both
    stores = [sorted(folder.glob(".imgcli/cache/features/*/*.bin")) for folder in both]
    assert stores[0] and [p.parent.name for p in stores[0]] == [p.parent.name for p in stores[1]]
    for alone, shared in zip(*stores, strict=True):
        assert alone.read_bytes() == shared.read_bytes()
    name = "frozen/latest/model.safetensors"
    assert (one / name).read_bytes() == (two / name).read_bytes()


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_a_share_of_a_batch_is_augmented_as_in_the_whole_batch(name: str) -> None:
    pixels = torch.randint(0, 256, (7, 20, 20, 3), dtype=torch.uint8)
    some = torch.tensor([6, 0, 3]).numpy()
    whole, share = (torch.Generator().manual_seed(5) for _ in range(2))
    images = augment(pixels, RECIPES[name], 16, whole)
    own = augment(pixels[some], RECIPES[name], 16, share, Share(7, some))
    assert torch.equal(own, images[some])
    erased = erase(images, 0.5, whole)
    assert torch.equal(erase(own, 0.5, share, Share(7, some)), erased[some])


# --- processes that do not fit together -----------------------------------------------------------

STEPS = "train --arch 8C3V-P2 --image-size 16 --epochs 3 --lr 0.001 --batch-size 8 --precision fp32"


@pytest.fixture(scope="module")
def helpers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Helpers]:
    made = Helpers(tmp_path_factory.mktemp("helpers"))
    yield made
    made.close()


@pytest.fixture
def dataset(
    both: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder with a dataset, in which this process is process 0 of two, without torchrun."""
    shutil.copytree(both[0] / "dataset", tmp_path / "dataset")
    for name, value in {**place_of(0), "GLOO_SOCKET_IFNAME": ""}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    handlers = [signal.getsignal(number) for number in numbers]
    yield tmp_path
    for number, handler in zip(numbers, handlers, strict=True):  # a process ends ignoring them
        signal.signal(number, handler)


def test_other_versions_are_refused_with_both(
    dataset: Path, helpers: Helpers, shell: Shell
) -> None:
    older = "import imgcli; imgcli.__version__ = '0.0.9'"
    helpers.start(*STEPS.split(), folder=dataset, first=older)
    code, out, err = shell(*STEPS.split())
    assert (code, out) == (1, "") and helpers.ended() == (1, "", "")
    assert "has imgcli 0.0.9, and process 0 on" in err and f"has imgcli {__version__}." in err


def test_a_process_that_does_not_join_is_named(
    dataset: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGCLI_JOIN_SECONDS", "1")
    monkeypatch.setenv("WORLD_SIZE", "5")
    code, out, err = shell(*STEPS.split())
    assert (code, out) == (1, "")
    assert "Of 5 processes, number 1 and 2 and 2 more did not join within 1 s." in err


@pytest.mark.parametrize(
    ("name", "value", "code", "said"),
    [
        ("MASTER_PORT", "port", 1, "cannot reach '127.0.0.1:port'"),
        ("IMGCLI_JOIN_SECONDS", "long", 2, "IMGCLI_JOIN_SECONDS=long is no number of seconds."),
    ],
)
def test_a_place_to_meet_that_is_none_is_refused(
    dataset: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    value: str,
    code: int,
    said: str,
) -> None:
    monkeypatch.setenv(name, value)
    assert imgcli(*STEPS.split()) == code
    assert said in capfd.readouterr().err


def test_photos_that_a_process_cannot_see_are_refused(
    dataset: Path, helpers: Helpers, shell: Shell
) -> None:
    elsewhere = dataset / "elsewhere"
    elsewhere.mkdir()
    helpers.start(*STEPS.split(), folder=elsewhere)
    code, out, err = shell(*STEPS.split())
    assert (code, out) == (1, "") and helpers.ended() == (1, "", "")
    assert f"Process 1 of 2: there is no folder '{elsewhere}/dataset'." in err


def test_a_photo_too_large_for_process_0_is_so_for_all(
    dataset: Path, helpers: Helpers, shell: Shell
) -> None:
    write_dataset(dataset / "plain", train=4, test=1)
    coloured_photo((200, 50, 40), seed=7, size=60).save(dataset / "plain/train/red/00.png")
    elsewhere = dataset / "elsewhere"  # without the decoded photos of process 0
    shutil.copytree(dataset / "plain", elsewhere / "plain")
    words = [
        *STEPS.replace("epochs 3", "epochs 1").split(),
        *"--data plain --max-pixels 900".split(),
    ]
    helpers.start(*words, folder=elsewhere)
    code, _, err = shell(*words)
    assert (code, *helpers.ended()) == (0, 0, "", ""), err
    assert "60×60" in err or "3,600" in err


def test_a_script_that_does_not_share_is_told_how(dataset: Path) -> None:
    with pytest.raises(Refused, match=r"with imgcli\.together\(\):"):
        imgcli_api.train("8C3V-P2", image_size=16, epochs=1)
    assert not [*dataset.glob("runs/*")]


DIES = """
import os
from imgcli.compute.team import Team
own, calls = Team.own, []
def own_until_then(self, n):
    calls.append(n)
    return own(self, n) if len(calls) < 6 else os._exit(9)
Team.own = own_until_then
"""


FAILS = f"""
from imgcli.compute import helping
helping.PATIENCE = 0.5
{DIES.replace("os._exit(9)", "exec('raise MemoryError')")}
"""


def test_why_a_process_failed_is_said(dataset: Path, helpers: Helpers, shell: Shell) -> None:
    helpers.start(*STEPS.split(), folder=dataset, first=f"exec({FAILS!r})")
    code, out, err = shell(*STEPS.split())
    assert (code, out) == (1, "") and helpers.ended() == (1, "", "")
    assert "imgcli: Process 1 of 2: There is not enough memory. " in err
    assert "n epoch 2 of 3; 1 finished epoch kept. Go on with " in err


def test_the_death_of_a_process_leaves_a_run_to_resume(
    dataset: Path, helpers: Helpers, shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    helpers.start(*STEPS.split(), folder=dataset, first=f"exec({DIES!r})")
    code, out, err = shell(*STEPS.split())
    assert (code, out) == (1, "") and helpers.ended() == (9, "", "")
    assert "Of 2 processes, the other process has ended or cannot be reached any more." in err
    assert "This was in epoch 2 of 3; 1 finished epoch kept. Go on with `imgcli train " in err
    assert err.count("imgcli: ") == 1
    monkeypatch.delenv("WORLD_SIZE")
    assert shell.json("train", "--resume")["epochs"] == 3


def test_commands_that_share_nothing_run_once(
    dataset: Path, helpers: Helpers, shell: Shell
) -> None:
    words = ["check", "dataset"]
    helpers.start(*words, folder=dataset)
    assert shell.json(*words) and helpers.ended() == (0, "", "")
