"""`imgcli.train` as a function."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from imgcli.commands.train import train
from imgcli.commands.training_config import training_config
from imgcli.errors import RunError, WrongUsage
from tests.support.photos import write_dataset
from tests.support.shell import Printed, Shell, as_printed

TINY: dict[str, Any] = {
    "arch": "4C3S2-G",
    "image_size": 8,
    "epochs": 2,
    "augment": "none",
    "precision": "fp32",
    "device": "cpu",
}
TYPED = "train --arch 4C3S2-G --image-size 8 --epochs 2 --augment none --precision fp32"
TIMED = ("run", "seconds", "images_per_second")

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def here(here: Path) -> Path:
    write_dataset(here / "dataset", train=8, test=2, classes=2)
    return here


def untimed(document: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in TIMED}


@pytest.mark.usefixtures("rendered")
def test_the_result_is_the_document_of_the_command(
    here: Path, capsys: Capture, printed: Printed
) -> None:
    result = train(**TINY, lr=0.01)
    assert capsys.readouterr().out == ""
    assert result.run.parent == Path("runs") and (result.run / "model.json").is_file()
    assert result.epochs == 2 and result.arch == "4C3S2-G" and result.bag == ()
    assert result.history == result.run / "figures/history.png" and result.history.is_file()
    document = as_printed(result.to_json())
    assert document["run"] == str(result.run) and document["train"] == result.train
    typed = printed(*TYPED.split(), "--device", "cpu", "--lr", "0.01")
    assert list(typed) == list(document)
    assert untimed(typed) == untimed(document)
    assert str(result.run) in repr(result) and "accuracy" in repr(result)
    assert "<table>" in result._repr_html_()


def test_a_bag_is_one_result_with_its_networks(here: Path, printed: Printed) -> None:
    result = train(**TINY, bag=2)
    assert [one.to_json() for one in result.bag] == result.to_json()["bag"]
    assert len({one.run for one in result.bag}) == 2 and result.run == result.bag[-1].run
    typed = printed(*TYPED.split(), "--device", "cpu", "--bag", "2")
    assert list(map(untimed, typed["bag"])) == [
        untimed(as_printed(one.to_json())) for one in result.bag
    ]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({}, WrongUsage, "Name a network with --arch"),
        ({"arch": "x", "batchsize": 3}, TypeError, "did you mean 'batch_size'"),
        ({"arch": "x", "seed_": 3}, TypeError, "'seed_' is no choice of a training"),
        ({"arch": "x", "epochs": "3"}, WrongUsage, "--epochs '3' is of the wrong type; use int"),
        ({"arch": "x", "epochs": True}, WrongUsage, "--epochs True is of the wrong type"),
        ({"arch": "x", "freeze": 1}, WrongUsage, "--freeze 1 is of the wrong type; use bool"),
        ({"arch": "x", "run": "y"}, WrongUsage, "--run y goes with --resume"),
        ({"arch": "x", "bag": 1}, WrongUsage, "--bag 1 has nothing to average"),
        ({"resume": True, "lr": 0.1}, WrongUsage, "--lr does not go with --resume"),
        ({"resume": True, "freeze": True}, WrongUsage, "--freeze does not go with --resume"),
        ({"resume": True}, RunError, "No unfinished run to resume in 'runs/'"),
    ],
)
def test_mistakes_are_sentences(
    tmp_path: Path,
    monkeypatch: Patch,
    given: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=message):
        train(**given)


def test_values_are_stored_as_plain_types() -> None:
    config = training_config(
        arch="x", epochs=np.int64(3), lr=np.float64(0.5), weights=Path("a.pth"), momentum=0
    )
    assert json.loads(json.dumps(config.to_json()))["lr"] == 0.5
    assert (config.optim.epochs, config.model.weights) == (3, "a.pth")
    assert training_config(arch="x", lr="auto", channels=1, batchnorm=None).optim.lr == "auto"
    assert training_config(arch="x", model_args={"a": 1}).model.model_args == {"a": 1}


def test_the_functions_import_nothing_heavy() -> None:
    modules = ", ".join(
        f"imgcli.commands.{name}"
        for name in (
            "train",
            "evaluate",
            "predict",
            "tune",
            "learning_curve",
            "bench",
            "archs",
            "describe_arch",
        )
    )
    code = (
        f"import sys, {modules}\n"
        "heavy = {'torch', 'numpy', 'timm', 'matplotlib', 'PIL', 'typer'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_place_that_cannot_be_written_is_refused_before_any_photo_is_read(
    here: Path, monkeypatch: pytest.MonkeyPatch, shell: Shell
) -> None:
    write_dataset(here / "dataset")
    kept = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode & os.W_OK == 0 and kept(path, mode))
    for words in (("train",), ("tune",), ("train", "--out", "far/away")):
        code, _, err = shell(*words, "--arch", "8C3-P2")
        assert code == 1 and "No permission to use" in err and "Extracting" not in err
    assert not (here / ".imgcli").exists()
