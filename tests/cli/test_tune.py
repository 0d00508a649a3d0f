"""`imgcli tune` as it is typed, and the command that it ends with."""

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from imgcli.commands.training_config import train_command
from imgcli.config import TrainConfig
from imgcli.errors import Refused
from imgcli.training.tuning.search_space import searchable
from tests.support.photos import write_dataset
from tests.support.shell import imgcli

QUICK = shlex.split(
    "tune --arch 4C3S2-{4,8} --image-size 8 --epochs 2 --augment none --precision fp32 "
    "--device cpu --trials 4"
)


@pytest.fixture(autouse=True)
def dataset(here: Path) -> Path:
    return write_dataset(here / "dataset")


def config_typed(monkeypatch: pytest.MonkeyPatch, command: str) -> tuple[TrainConfig, Path, Path]:
    """The config, the dataset and the runs folder that `imgcli train` reads from a command."""
    read: list[tuple[TrainConfig, Path, Path]] = []

    def refuse(config: TrainConfig, data: Path, runs: Path, *_: Any, **__: Any) -> None:
        read.append((config, data, runs))
        raise Refused("Only read.")

    monkeypatch.setattr("imgcli.commands.train.refuse_missing_files", lambda *_: None)
    monkeypatch.setattr("imgcli.training.pipeline.train_run", refuse)
    program, *words = shlex.split(command)
    assert program == "imgcli" and imgcli(*words) == 1
    return read[0]


def test_a_search_ends_with_its_best_as_a_command(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imgcli(*QUICK, "--name", "first", "--folds", "2") == 0
    out, err = capsys.readouterr()
    assert "Searching lr: 3e-05..0.003:log" in err and "Searching {4,8} at 7: 4,8" in err
    assert "4 finished. The best was chosen by its accuracy on the same 36 photos in" in out
    assert "run `imgcli evaluate`" in out.replace("\n", " ")
    command = out.splitlines()[-1].removeprefix("Next:   ")
    folder = here / "runs/tune-first"
    assert command == (folder / "best.sh").read_text().splitlines()[-1]
    files = {path.name for path in folder.iterdir() if path.suffix != ".svg"}
    files -= {"importance.png"}  # there if trials differ
    assert files == {"trials.log", "trials.csv", "history.png", "best.sh"}
    config, _, _ = config_typed(monkeypatch, command)
    assert (
        config.model.arch in ("4C3S2-4", "4C3S2-8") and config.optim.lr and config.optim.batch_size
    )


@pytest.mark.usefixtures("rendered")
def test_json_is_one_document(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*QUICK, "--json", "--search", "lr=1e-7..0.1", "--seed", "3", "--folds", "2"]
    assert imgcli(*words) == 0
    document = json.loads(capsys.readouterr().out)
    assert set(document) == {
        *("study", "folder", "trials", "best", "command", "importance"),
    }
    assert len(document["trials"]) == 4
    best = document["best"]
    assert best["value"] == max(row["value"] for row in document["trials"])
    config, _, _ = config_typed(monkeypatch, document["command"])
    assert {name: config.get(name) for name in best["choices"]} == best["choices"]
    assert config.seed == 3
    assert set(document["importance"]) == {"lr", "{4,8} at 7"}
    assert (Path(document["folder"]) / "importance.png").is_file()
    assert imgcli(*words) == 0  # the same command: the same study, all done
    assert json.loads(capsys.readouterr().out)["trials"] == document["trials"]


@pytest.mark.parametrize(
    "config",
    [
        TrainConfig.of(
            arch="8C3 - [P2-16]", lr=1e-05, batch_size=64, optimizer="sgd", nesterov=False
        ),
        TrainConfig.of(
            arch="resnet18", pretrained=False, freeze=True, weights="some file.safetensors"
        ),
        TrainConfig.of(
            arch="mobilenetv2_100", model_args={"pad_type": "same", "a": "1", "b": 2, "c": None}
        ),
        TrainConfig.of(
            arch="x", fit="crop", test_flip=True, lr="auto", val_share=0.0, dropout=0.1 + 0.2
        ),
        TrainConfig.of(arch="x", batchnorm=False, precision="bf16", schedule="one-cycle", seed=7),
    ],
)
def test_the_command_of_a_config_gives_the_same_config(
    monkeypatch: pytest.MonkeyPatch, config: TrainConfig
) -> None:
    data, out = Path("my photos/dataset"), Path("other")
    assert config_typed(monkeypatch, train_command(config, data, out)) == (config, data, out)


def test_defaults_are_not_typed() -> None:
    command = train_command(TrainConfig.of(arch="8C3-16"), Path("dataset"), Path("runs"))
    assert command == "imgcli train --arch 8C3-16"


def test_every_choice_of_numbers_words_or_switches_can_be_searched() -> None:
    options = searchable()
    found = {name: (choice.name, choice.kinds) for name, choice in options.items()}
    assert found["lr"] == ("lr", (float, ("auto",)))
    assert found["batch-size"] == ("batch_size", (int,))
    assert found["freeze"] == ("freeze", (bool,))
    assert found["optimizer"] == ("optimizer", (str,))
    assert found["fit"] == ("fit", (("squash", "crop", "pad"),))
    assert found["augment"] == ("augment", (("none", "shift", "small", "photo", "strong"),))
    assert "model-arg" not in options


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--search rate=1..2", 2, "no choice 'rate'; use arch"),
        ("--search lr=1..0.1", 2, "--search lr=1..0.1 is empty"),
        ("--track-test", 2, "--track-test does not go with tune: the test part is sealed"),
        ("--lr 0.1 --search lr=0.1..1", 2, "--lr 0.1 is fixed and --search names lr"),
        ("--search arch=4C3-8,8C3-8", 2, "is fixed and --search names arch"),
        ("--folds 1", 2, "--folds 1 is too few"),
        ("--name a/b", 2, "--name 'a/b' must be a name for a folder"),
        ("--data nowhere", 1, "No dataset 'nowhere'"),
        ("--storage nowhere", 2, "--storage nowhere is no address"),
    ],
)
def test_what_cannot_be_done_is_a_sentence(
    here: Path, capsys: pytest.CaptureFixture[str], words: str, code: int, message: str
) -> None:
    assert imgcli(*QUICK, *shlex.split(words)) == code
    assert message in capsys.readouterr().err


def test_archs_can_be_searched_by_name(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [word for word in QUICK if word not in ("--arch", "4C3S2-{4,8}")]
    assert imgcli(*words, "--json", "--search", "arch=4C3S2-8,{4,8}C3S2-4-4") == 0
    archs = {row["choices"]["arch"] for row in json.loads(capsys.readouterr().out)["trials"]}
    assert archs <= {"4C3S2-8", "4C3S2-4-4", "8C3S2-4-4"} and len(archs) > 1


def test_without_optuna_one_sentence_says_what_to_install(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert imgcli(*QUICK) == 1
    error = capsys.readouterr().err
    assert error == "imgcli: imgcli tune needs Optuna. Get it with: pip install 'imgcli[tune]'\n"


def test_nothing_else_loads_optuna() -> None:
    import subprocess

    code = (
        "import sys, imgcli.cli.main, imgcli.cli.tune\n"
        "assert not {'optuna', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
