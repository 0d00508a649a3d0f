"""What a process knows of the launch that it is of."""

import os
from pathlib import Path

import pytest

from imgcli.compute.interface import choose_interface
from imgcli.compute.launch import is_helper, name_of_launch, processes, shares
from imgcli.config import TrainConfig
from imgcli.run_lookup import run_of_this_launch
from imgcli.runs import new_run

TORCHRUN = {
    "RANK": "0",
    "LOCAL_RANK": "0",
    "WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_RESTART_COUNT": "0",
}


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in TORCHRUN.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_without_torchrun_there_is_one_process(launched: pytest.MonkeyPatch) -> None:
    assert processes() == 2 and not is_helper()
    launched.setenv("RANK", "1")
    assert is_helper()
    launched.delenv("MASTER_PORT")  # a WORLD_SIZE that something else has set
    assert processes() == 1 and not is_helper() and name_of_launch() is None


@pytest.mark.parametrize("words", [["train"], ["tune"], ["evaluate"], ["choose"]])
def test_commands_that_train_or_extract_features_are_shared(words: list[str]) -> None:
    assert shares(words) and not shares(["--help"]) and not shares([])


def test_a_restart_goes_on_with_the_run_that_its_launch_began(
    launched: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = TrainConfig.of(arch="8C3-P2")
    own = new_run(tmp_path / "runs", config, tmp_path)
    launched.setenv("TORCHELASTIC_RUN_ID", "another")
    new_run(tmp_path / "runs", config, tmp_path)
    launched.delenv("TORCHELASTIC_RUN_ID")
    new_run(tmp_path / "elsewhere", config, tmp_path)
    assert run_of_this_launch(tmp_path / "runs") is None  # not restarted
    launched.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    found = run_of_this_launch(tmp_path / "runs")
    assert found is not None and found.folder == own.folder
    (own.folder / "model.json").write_text("{}")  # it has finished
    assert run_of_this_launch(tmp_path / "runs") is None


def test_the_interface_that_leads_to_the_first_host_is_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "")
    choose_interface("127.0.0.1", 29500)
    assert os.environ["GLOO_SOCKET_IFNAME"] in ("lo", "lo0")
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "eth7")
    choose_interface("127.0.0.1", 29500)
    assert os.environ["GLOO_SOCKET_IFNAME"] == "eth7"
