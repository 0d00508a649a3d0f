"""MLflow: a real server on loopback, read back by MLflow's own client."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from imgcli.commands.evaluate import evaluate
from imgcli.commands.train import train
from imgcli.commands.tune import tune
from imgcli.commands.write_report import write_report
from imgcli.runs import Run
from imgcli.tracking import mlflow as tracker
from imgcli.tracking.session import known_trackers
from imgcli.tracking.tracker import About, Point

TINY = {"image_size": 8, "epochs": 2, "batch_size": 16, "augment": "none", "device": "cpu"}
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",  # further processes
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with an empty database."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", "sqlite:///kept.db", "--artifacts-destination", "artifacts"]
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=folder,
        env={**os.environ, **QUIET},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # it has processes of its own
    )
    try:
        _wait_for(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        assert process.poll() is None, "the server has ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not answer in a minute")


def test_a_server_has_runs_values_folds_trials_and_files(
    here: Path, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The address may hold a password, which no file and no note may.
    address = server.replace("http://", "http://me:hidden-word@")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    made = train("4C3-G", lr=0.01, track="mlflow", **TINY)
    evaluate(2, device="cpu")
    write_report()
    search = tune("4C3-G", search=["lr=0.01,0.02"], trials=2, track="mlflow", **TINY)
    out, err = capsys.readouterr()
    assert out == "" and "--track" not in err and "hidden-word" not in err
    assert not any(b"hidden-word" in path.read_bytes() for path in here.rglob("*.json"))

    from mlflow import MlflowClient

    client: Any = MlflowClient(tracking_uri=server)
    run = client.get_run(known_trackers(made.run)["mlflow"]["run"])
    assert run.info.run_name == made.run.name and run.info.status == "FINISHED"
    assert client.get_experiment(run.info.experiment_id).name == "imgcli"
    assert run.data.params["lr"] == "0.01" and run.data.params["arch"] == "4C3-G"
    losses = client.get_metric_history(run.info.run_id, "batch/loss")
    assert [metric.step for metric in losses] == list(range(1, len(losses) + 1))
    accuracies = client.get_metric_history(run.info.run_id, "val/accuracy")
    assert [metric.step for metric in accuracies] == [len(losses) // 2, len(losses)]
    assert (
        run.data.metrics["final/val/accuracy"]
        == Run(made.run).read_json("model.json")["val"]["accuracy"]
    )
    assert 0 <= run.data.metrics["folds/accuracy"] <= 1
    files = {item.path for item in client.list_artifacts(run.info.run_id)}
    assert {"figures.csv", "classes-folds.csv", "report.html"} <= files
    drawn = {item.path for item in client.list_artifacts(run.info.run_id, "figures")}
    assert "figures/confusion.png" in drawn

    folds = nested(client, run)
    assert sorted(fold.info.run_name for fold in folds) == ["Fold 1 of 2", "Fold 2 of 2"]
    assert all("held/accuracy" in f.data.metrics and f.info.status == "FINISHED" for f in folds)
    top = client.get_run(known_trackers(search.folder)["mlflow"]["run"])
    trials = nested(client, top)
    assert {trial.info.run_name for trial in trials} == {"Trial 0", "Trial 1"}
    assert {t.data.params["lr"] for t in trials} <= {"0.01", "0.02"}
    assert {t.data.metrics["accuracy"] for t in trials} == {t["value"] for t in search.trials}

    # A training that goes on after a kill: the same run, and each value once.
    about = About("killed", here / "killed", "train", {})
    first = tracker.begin(about, {})
    first.log([Point(step, 1.0, {"batch/loss": 3.0}) for step in (1, 2)])
    again = tracker.begin(about, first.address)
    again.log([Point(step, 2.0, {"batch/loss": 3.0}) for step in (2, 3)])
    again.finish("interrupted")
    assert again.address == first.address
    kept = client.get_metric_history(first.address["run"], "batch/loss")
    assert [metric.step for metric in kept] == [1, 2, 3]
    assert client.get_run(first.address["run"]).info.status == "KILLED"


def nested(client: Any, run: Any) -> list[Any]:
    """The runs that are parts of one."""
    wanted = f"tags.mlflow.parentRunId = '{run.info.run_id}'"
    return list(client.search_runs([run.info.experiment_id], wanted))
