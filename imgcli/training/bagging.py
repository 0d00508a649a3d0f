"""Bagging (Breiman, Bagging Predictors, 1996): networks on bootstrap samples, a run for each."""

from contextlib import nullcontext, suppress
from pathlib import Path
from shlex import quote
from typing import Any

from imgcli.config import TrainConfig
from imgcli.errors import Interrupted, RunError
from imgcli.files import locked
from imgcli.runs import Run, finished_runs
from imgcli.tracking.session import NO_TRACKERS, Trackers
from imgcli.training.pipeline import Trained, check_precision, document_of, train_run


def train_bag(
    config: TrainConfig,
    data: Path,
    runs: Path,
    device: str = "auto",
    resume: Run | None = None,
    trackers: Trackers = NO_TRACKERS,
) -> tuple[list[dict[str, Any]], Trained]:
    """Train `config.bag_of` networks, each on a bootstrap sample, or resume that.

    Returns:
        The documents of all of them, and the last training.

    Raises:
        StorageError: another imgcli resumes this bag.
    """
    assert config.data.bag_of
    check_precision(config, device, resume)
    documents = []
    with locked(resume.folder / ".bag.lock") if resume else nullcontext():
        done = _finished_until(resume, runs) if resume else {}
        asked = resume.asked if resume else None
        for number in range(config.data.bag_of):
            if number in done:
                documents.append(document_of(done[number]))
                continue
            begun = resume if resume and resume.config.data.bag == number else None
            try:
                trained = train_run(
                    config.with_(bag=number), data, runs, device, begun, asked, trackers
                )
            except KeyboardInterrupt:  # before training began, which says by itself how to resume
                if not documents:
                    raise
                raise Interrupted(
                    f"Interrupted between networks; {len(documents)} of {config.data.bag_of} are "
                    f"kept. Continue with `imgcli train --resume --out {quote(str(runs))}`."
                ) from None
            documents.append(trained.document)
    return documents, trained


def _finished_until(resume: Run, runs: Path) -> dict[int, Run]:
    """The finished networks of a bag, up to the one to resume, by their numbers."""
    config, found = resume.config, dict[int, Run]()
    own = {"bag": config.data.bag, "lr": config.optim.lr, "precision": config.optim.precision}
    assert config.data.bag is not None
    for run in finished_runs(runs):  # the newest comes last
        with suppress(RunError):  # a damaged one
            bag = run.config.data.bag
            same = run.photos == resume.photos if resume.photos else run.data == resume.data
            belongs = run.config.with_(**own) == config and same
            if bag is None or not belongs:
                continue
            if bag < config.data.bag or run.folder == resume.folder:
                found[bag] = run
    return found
