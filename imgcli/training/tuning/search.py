"""Hyper-parameter search by validation or by folds; never by the test part."""

import itertools
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from optuna.exceptions import ExperimentalWarning, TrialPruned
from optuna.pruners import MedianPruner, WilcoxonPruner
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import Trial, TrialState

from imgcli.config import OptimConfig, TrainConfig
from imgcli.errors import DataError, Interrupted, ModelError, Refused, WrongUsage
from imgcli.models.memory import within_memory
from imgcli.photos.dataset import load_dataset
from imgcli.progress import counter, note
from imgcli.text import count
from imgcli.tracking.about import settings_of
from imgcli.tracking.session import NOT_TRACKED, TrackedRun
from imgcli.training.cache_keys import photos_key
from imgcli.training.context import FitSpec, Progress, TrainingContext, make_context
from imgcli.training.cross_validation import (
    FoldFit,
    cross_validate,
    folds_of,
    refuse_known_photos,
)
from imgcli.training.device import choose_device
from imgcli.training.fitting import fit_all, with_rate
from imgcli.training.folds import evaluation_folds, hold_out
from imgcli.training.metrics import Metrics
from imgcli.training.outputs import metrics_by
from imgcli.training.precision import refuse_emulated
from imgcli.training.resolve_defaults import resolve_defaults
from imgcli.training.tuning.search_space import Space, sample
from imgcli.training.tuning.study import (
    DONE,
    importance,
    open_study,
    ranked,
    rows_of,
    try_failed_again,
    without_password,
)

_VAL_SHARE = 0.1  # of the training photos, where the config has no validation
_WARMUP_EPOCHS = 3  # without pruning: they favour high learning rates
# Choices of training alone, beside all of `optim`: trials that differ in nothing else share decoded
# photos, the initial network and features.
_TRAINING_ONLY = (
    *("mixup", "cutmix", "norms", "labels_per_class", "pick", "confidence", "bag", "bag_of"),
)


@dataclass(frozen=True, eq=False)
class Tuned:
    """The trials of a search, and the best config."""

    rows: list[dict[str, Any]]  # of every trial, in the order in which they began
    ranked: list[dict[str, Any]]  # of the finished ones, best first
    config: TrainConfig  # of the best, as it would be asked of `train`
    importance: Mapping[str, float]  # share of the accuracy's variance, by choice


def tune(
    config: TrainConfig,
    space: Space,
    data: Path,
    folder: Path,
    *,
    name: str,
    trials: int,
    minutes: float | None = None,
    folds: int | None = None,
    url: str | None = None,
    device: str = "auto",
    tracked: TrackedRun = NOT_TRACKED,
) -> Tuned:
    """Search until there are `trials` trials, resuming those there are already.

    Choices are proposed by a tree-structured Parzen estimator (Bergstra et al., 2011). A trial is
    pruned when its best validation accuracy so far is below the median of the others' at the same
    epoch; with folds, when it is worse than the best trial's on the same folds by Wilcoxon's
    signed-rank test at 10 %. One seed gives the same trials, however often the search is stopped.

    Args:
        folder: gets the study, unless it is in the database at `url`.
        minutes: after which no new trial begins.
        folds: score by the mean accuracy of so many folds of the train part, instead of by the
            validation photos.
        tracked: the search, which trials are parts of; it decides nothing.

    Raises:
        WrongUsage: too few folds, a study of something else.
        DataError: the dataset cannot serve, or has too few photos to validate on.
        ModelError: none of the trials could be trained.
        Refused: none was finished in the time.
        Interrupted: by Ctrl-C; finished trials are kept.
    """
    if folds is not None and folds < 2:
        raise WrongUsage(
            f"--folds {folds} is too few; use at least 2, or leave it out to score by validation."
        )
    refuse_emulated(config.optim.precision, choose_device(device))
    asked = _asked(config, space, data, folds)
    with warnings.catch_warnings(), counter("Tuning", trials, "trials") as bar:
        warnings.simplefilter("ignore", ExperimentalWarning)
        with open_study(folder, name, url, asked) as study:
            study.pruner = (
                WilcoxonPruner() if folds else MedianPruner(n_warmup_steps=_WARMUP_EPOCHS)
            )
            objective = _Objective(config, space, data, folds, device, tracked)
            end = time.monotonic() + (minutes or 0) * 60 if minutes else float("inf")
            try:
                while (begun := _begun(study)) < trials and time.monotonic() < end:
                    bar.update(begun - bar.n)
                    try_failed_again(study)
                    study.sampler = _sampler(config.seed, begun, shared=url is not None)
                    study.optimize(objective, n_trials=1)
            except KeyboardInterrupt:
                where = folder if url is None else without_password(url)
                raise Interrupted(
                    f"Interrupted. {count(len(rows_of(study)), 'trial')} of {trials} kept in "
                    f"'{where}'; the same command goes on from there."
                ) from None
            return _outcome(study, config)


def _asked(config: TrainConfig, space: Space, data: Path, folds: int | None) -> dict[str, Any]:
    """What decides the trials: a study is resumed only with the same."""
    searched = {name: axis.describe() for name, axis in space.items()}
    samples = load_dataset(data, config=config.data).samples
    photos = photos_key(samples, np.arange(len(samples)))
    about = {"search": searched, "data": str(data), "folds": folds, "photos": photos}
    return {**config.to_json(), **about}


def _begun(study: Study) -> int:
    """How many trials are done, or being done by another process."""
    return len(study.get_trials(deepcopy=False, states=(*DONE, TrialState.RUNNING)))


def _sampler(seed: int, begun: int, *, shared: bool) -> TPESampler:
    """What proposes the next trial: the same after a stop as without one.

    Processes that share a study have to propose different trials, so theirs follow from no seed,
    and keep away from what is being tried.
    """
    own_seed = int(np.random.SeedSequence([seed, begun]).generate_state(1)[0])
    return TPESampler(seed=None if shared else own_seed, multivariate=True, constant_liar=shared)


def _outcome(study: Study, config: TrainConfig) -> Tuned:
    rows = rows_of(study)
    if best_first := ranked(rows):
        best = config.with_(**best_first[0]["choices"])
        return Tuned(rows, best_first, best, importance(study, config.seed))
    reasons = [row["reason"] for row in rows if row["reason"]]
    if reasons:
        raise ModelError(f"None of {count(len(rows), 'trial')} could be trained. {reasons[-1]}")
    raise Refused("No trial was finished in that time. Give a longer --timeout, or fewer --epochs.")


class _Objective:
    """The objective of the study: train what a trial proposes, and return its accuracy."""

    def __init__(
        self,
        config: TrainConfig,
        space: Space,
        data: Path,
        folds: int | None,
        device: str,
        tracked: TrackedRun,
    ) -> None:
        self.config = config
        self.space = space
        self.data = data
        self.folds = folds
        self.device = device
        self.tracked = tracked
        self.context: TrainingContext | None = None  # of the last trial
        self.precision = config.optim.precision  # as chosen for the first trial, then for all
        self.noted: set[str] = set()

    def __call__(self, trial: Trial) -> float:
        config = sample(self.space, self.config, trial)
        fields = {axis.field for axis in self.space.values()}
        if config.model.arch != self.config.model.arch:
            fields.add("arch")
        trial.set_user_attr("choices", {name: config.get(name) for name in sorted(fields)})
        settings = settings_of(config)
        with self.tracked.child(f"Trial {trial.number}", "trial", settings, sorted(fields)) as part:
            try:
                accuracy, loss = self._figures(config, trial, part)
            except TrialPruned:
                part.finish("pruned")
                raise
            part.summary({"accuracy": accuracy, "loss": loss})
            return accuracy

    def _figures(
        self, config: TrainConfig, trial: Trial, tracked: TrackedRun
    ) -> tuple[float, float]:
        """The accuracy and the loss of a config on the photos held out."""
        try:
            with within_memory():
                context = with_rate(self._context_for(config))
                evaluate = self._by_folds if self.folds else self._by_val
                metrics = evaluate(context, trial, tracked)
        except (WrongUsage, ModelError) as error:
            # Pruned and not failed, so that the sampler learns to keep away from it.
            trial.set_user_attr("reason", str(error))
            if str(error) not in self.noted:
                note(f"Trial {trial.number}: {error}")
            self.noted.add(str(error))
            raise TrialPruned from None
        trial.set_user_attr("n", sum(m.n for m in metrics))
        loss = float(np.mean([m.loss for m in metrics]))
        trial.set_user_attr("loss", loss)
        return float(np.mean([m.accuracy for m in metrics])), loss

    def _context_for(self, config: TrainConfig) -> TrainingContext:
        """The last trial's context by another config, or a new one for other photos or weights."""
        resolved = resolve_defaults(config.with_(precision=self.precision))
        context = self.context
        if context is None or _without_training(context.config) != _without_training(resolved):
            context = make_context(resolved, self.data, self.device)
        self.precision = context.config.optim.precision
        self.context = replace(context, config=resolved.with_(precision=self.precision))
        return self.context

    def _by_val(self, context: TrainingContext, trial: Trial, tracked: TrackedRun) -> list[Metrics]:
        """On the dataset's val part, or a share of its train part, the same for every trial."""
        if context.dataset.split.val is not None:
            rows, held = context.rows("train"), context.rows("val")
        else:
            share = context.config.data.val_share or _VAL_SHARE
            rows, held = hold_out(context, context.rows("train"), share)
        if not len(held):
            raise DataError(
                f"'{context.dataset.samples.root}' has too few photos to validate on, "
                "near-duplicates counted once. Add photos, or use --folds 2."
            )
        # A config without validation is evaluated as it is: by its last weights.
        blind = context.dataset.split.val is None and context.config.data.val_share == 0

        epochs = itertools.count(1)  # counts on over a second fit

        def report(state: Progress) -> None:
            epoch = [row for row in state.history if row["epoch"] == state.epoch]
            accuracy = next(r["accuracy"] for r in epoch if r["part"] in ("val", "held"))
            _report(trial, accuracy, next(epochs), last=state.epoch == context.config.optim.epochs)

        spec = FitSpec(
            rows,
            held[:0] if blind else held,
            watched={"held": held} if blind else {},
            label=f"Trial {trial.number}",
            after_epoch=report,
            tracked=tracked,
        )
        (fitted,) = fit_all(context, [spec])
        return [metrics_by(context, fitted.module, held)]

    def _by_folds(
        self, context: TrainingContext, trial: Trial, tracked: TrackedRun
    ) -> list[Metrics]:
        """On each fold of the train part, by a network trained on the others."""
        assert self.folds is not None
        refuse_known_photos(context)
        rows = context.rows("train")
        fold = evaluation_folds(context, rows, self.folds, self.config.seed)
        folds = folds_of(rows, fold, f"Trial {trial.number}, fold")
        metrics = []
        for f, own in enumerate(cross_validate(context, folds, FoldFit.metrics, tracked)):
            metrics.append(own)
            _report(trial, own.accuracy, f, last=f == self.folds - 1)
        return metrics


def _report(trial: Trial, accuracy: float, step: int, *, last: bool) -> None:
    """Tell the pruner how the trial does, which may end it unless that is its end already."""
    trial.report(accuracy, step)
    if not last and trial.should_prune():
        raise TrialPruned


def _without_training(config: TrainConfig) -> TrainConfig:
    """The choices that decide a context, as a config without all others."""
    return replace(config.with_(**dict.fromkeys(_TRAINING_ONLY)), optim=OptimConfig())
