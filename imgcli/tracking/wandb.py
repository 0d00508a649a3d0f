"""Weights & Biases: a run of the project WANDB_PROJECT, by default "imgcli".

A run and its parts, such as trials and folds, are one group; their job types tell them apart.
Without an API key it stays on this machine, in wandb's offline mode.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from imgcli.progress import note
from imgcli.tracking.tracker import About, Address, Point, Status

_PROJECT = "imgcli"
_EXIT_CODES = {"finished": 0, "pruned": 0, "failed": 1, "interrupted": 130}
_PATIENCE = 20.0  # seconds, for a server to begin or to end a run
_KEYS = ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")


def load() -> None:
    """Import wandb, quietly."""
    os.environ.setdefault("WANDB_SILENT", "true")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import wandb  # noqa: F401
    warnings.filterwarnings("ignore", module="wandb")
    if _mode() is not None and "WANDB_MODE" not in os.environ:
        note(
            "--track wandb: no API key is set, so the run is kept in wandb/ here, offline. To "
            "upload it: wandb login && wandb sync"
        )


def _mode() -> str | None:
    """ "offline" where nobody has logged in; None leaves it to the environment."""
    if os.environ.get("WANDB_MODE") or any(os.environ.get(name) for name in _KEYS):
        return None
    from wandb.sdk import wandb_setup
    from wandb.sdk.lib.wbauth import read_netrc_auth

    host = wandb_setup.singleton().settings.base_url
    return None if read_netrc_auth(host=host) else "offline"


def begin(about: About, known: Address) -> "WandbTracker":
    """A run; the known one goes on, or gets what is added."""
    return _begun(about, known.get("id"), known.get("project"))


def _begun(about: About, known: str | None, project: str | None) -> "WandbTracker":
    import wandb

    more: dict[str, Any] = {"mode": mode} if (mode := _mode()) else {}
    if known:
        more |= {"run_id": known, "resume": "allow"}
    settings = wandb.Settings(
        project=os.environ.get("WANDB_PROJECT") or project or _PROJECT,
        run_name=about.name,
        run_group=os.environ.get("WANDB_RUN_GROUP") or about.group or None,
        run_job_type=about.kind,
        reinit="create_new",  # a run's parts run beside it
        silent=True,
        console="off",
        # Of the command line and the repository nothing is recorded: passwords may be in them.
        x_disable_meta=True,
        disable_git=True,
        disable_code=True,
        init_timeout=_PATIENCE,
        finish_timeout=_PATIENCE,
        **more,
    )
    return WandbTracker(wandb.init(settings=settings, config=dict(about.config)), about)


class WandbTracker:
    """One run of Weights & Biases'."""

    def __init__(self, run: Any, about: About) -> None:
        self._run = run
        self._about = about

    @property
    def address(self) -> Address:
        return {"id": str(self._run.id), "project": str(self._run.project)}

    def log(self, points: Sequence[Point]) -> None:
        for point in points:
            if self._about.adds:  # its own steps have ended
                self._run.log(dict(point.values))
            else:
                self._run.log(dict(point.values), step=point.step)

    def summary(self, values: Mapping[str, float]) -> None:
        self._run.summary.update(dict(values))

    def figure(self, name: str, file: Path) -> None:
        import wandb

        self._run.log({name: wandb.Image(str(file))})

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        import wandb

        self._run.log({name: wandb.Table(columns=[*columns], data=[[*row] for row in rows])})

    def artefact(self, file: Path) -> None:
        self._run.save(str(file), base_path=str(file.parent), policy="now")

    def child(self, about: About) -> "WandbTracker":
        return _begun(about, None, self._run.project)

    def finish(self, status: Status) -> None:
        self._run.summary["status"] = status
        self._run.finish(exit_code=_EXIT_CODES[status])
