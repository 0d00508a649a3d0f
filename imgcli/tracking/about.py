"""What trackers are told of a run before it begins."""

from typing import Any

from imgcli import __version__
from imgcli.config import TrainConfig
from imgcli.runs import Run
from imgcli.tracking.secrets import without_secrets
from imgcli.tracking.tracker import About


def about_run(run: Run, *, adds: bool = False) -> About:
    """What trackers are told of a training before it begins.

    Args:
        adds: it has ended, and results are added to it.
    """
    config = settings_of(run.config)
    about = {"data": str(run.data), "imgcli": __version__}
    return About(run.folder.name, run.folder, "train", {**config, **about}, adds=adds)


def settings_of(config: TrainConfig) -> dict[str, Any]:
    """The choices of a config as trackers keep them, by their flat names; none is None."""
    return {
        name: without_secrets(value) if isinstance(value, str) else value
        for name, value in config.to_json().items()
        if value not in (None, {}, [])
    }
