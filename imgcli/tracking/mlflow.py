"""MLflow: a run on the server of MLFLOW_TRACKING_URI or, without it, in a database right here.

Parts are nested runs. The experiment is that of MLFLOW_EXPERIMENT_NAME, by default "imgcli".
"""

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import time
from typing import Any

from imgcli.progress import note
from imgcli.text import csv_text
from imgcli.tracking.secrets import without_secrets
from imgcli.tracking.tracker import About, Address, Point, Status

_EXPERIMENT = "imgcli"
_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # it would ask the network
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
}
_STATUS = {"finished": "FINISHED", "failed": "FAILED", "interrupted": "KILLED", "pruned": "KILLED"}
_MAX_METRICS, _MAX_PARAMS, _MAX_PARAM = 1000, 100, 6000  # of one request; characters


def load() -> None:
    """Import MLflow, and let it be quiet; what the user has set stays."""
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mlflow
        import mlflow.tracking
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    for module in ("mlflow", "alembic", "sqlalchemy", "pydantic"):
        warnings.filterwarnings("ignore", module=module)
    if not _is_set():
        place = mlflow.get_tracking_uri().removeprefix("sqlite:///").removeprefix("file://")
        note(
            f"--track mlflow: MLFLOW_TRACKING_URI is not set, so the run is kept in '{place}'. "
            "To look at it: mlflow ui"
        )


def begin(about: About, known: Address) -> "MlflowTracker":
    """A new run, or the known one where the same server, or file, still has it."""
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    uri = _uri(known)
    client = MlflowClient(tracking_uri=uri)
    if known.get("uri") == without_secrets(uri):
        try:
            client.get_run(known["run"])
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
        else:
            return _gone_on_with(client, uri, about, known["run"])
    return _created(client, uri, _experiment(client), about, None)


def _uri(known: Address) -> str:
    """The server that is set, else the file that the run is in, else MLflow's default."""
    import mlflow

    uri: str = mlflow.get_tracking_uri()
    file = known.get("uri", "").removeprefix("sqlite:///").removeprefix("file://")
    return known["uri"] if not _is_set() and file and Path(file).exists() else uri


def _is_set() -> bool:
    import mlflow

    found: bool = mlflow.is_tracking_uri_set()  # type: ignore[no-untyped-call]
    return found


def _experiment(client: Any) -> str:
    if known := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return known
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or _EXPERIMENT
    found = client.get_experiment_by_name(name)
    return str(found.experiment_id if found else client.create_experiment(name))


def _gone_on_with(client: Any, uri: str, about: About, run: str) -> "MlflowTracker":
    if about.adds:
        return MlflowTracker(client, uri, about, run)
    client.update_run(run, status="RUNNING")
    last = {
        name: max(metric.step for metric in client.get_metric_history(run, name))
        for name in client.get_run(run).data.metrics
    }
    return MlflowTracker(client, uri, about, run, last)


def _created(
    client: Any, uri: str, experiment: str, about: About, parent: str | None
) -> "MlflowTracker":
    from mlflow.entities import Param

    tags = {"mlflow.source.name": "imgcli", "mlflow.source.type": "LOCAL", "kind": about.kind}
    if parent:
        tags["mlflow.parentRunId"] = parent
    began = int(1000 * (about.started or time()))
    new = client.create_run(experiment, start_time=began, tags=tags, run_name=about.name)
    run = new.info.run_id
    params = [Param(name, str(value)[:_MAX_PARAM]) for name, value in about.config.items()]
    for some in _parts(params, _MAX_PARAMS):
        client.log_batch(run, params=some)
    return MlflowTracker(client, uri, about, run, new=True)


class MlflowTracker:
    """One run of MLflow's."""

    def __init__(
        self,
        client: Any,
        uri: str,
        about: About,
        run: str,
        last: Mapping[str, int] | None = None,
        *,
        new: bool = False,
    ) -> None:
        self._client = client
        self._uri = uri
        self._about = about
        self._run = run
        self._last = last or {}  # step of each value that is there
        self._step = 0
        self._new = new

    @property
    def address(self) -> Address:
        return {"uri": without_secrets(self._uri), "run": self._run}

    def log(self, points: Sequence[Point]) -> None:
        from mlflow.entities import Metric

        self._step = max(self._step, points[-1].step)
        metrics = [
            Metric(name, float(value), int(1000 * point.time), point.step)
            for point in points
            for name, value in point.values.items()
            if point.step > self._last.get(name, -1)
        ]
        for some in _parts(metrics, _MAX_METRICS):
            self._client.log_batch(self._run, metrics=some)

    def summary(self, values: Mapping[str, float]) -> None:
        self.log([Point(self._step, time(), values)])

    def figure(self, name: str, file: Path) -> None:
        self._client.log_artifact(self._run, str(file), "figures")

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        self._client.log_text(self._run, csv_text([columns, *rows]), f"{name}.csv")

    def artefact(self, file: Path) -> None:
        self._client.log_artifact(self._run, str(file))

    def child(self, about: About) -> "MlflowTracker":
        experiment = self._client.get_run(self._run).info.experiment_id
        return _created(self._client, self._uri, experiment, about, self._run)

    def finish(self, status: Status) -> None:
        if self._about.adds and not self._new:
            return  # it has ended
        self._client.set_tag(self._run, "status", status)
        self._client.set_terminated(self._run, _STATUS[status])


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[first : first + size] for first in range(0, len(items), size))
