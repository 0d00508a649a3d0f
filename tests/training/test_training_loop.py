"""The training loop: learns, stops, resumes to the same bits, and says when it cannot."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from imgcli.config import TrainConfig
from imgcli.errors import Interrupted, ModelError
from imgcli.models.network import Classifier
from imgcli.runs import CHECKPOINT
from imgcli.training.checkpoint import State
from imgcli.training.inputs import FeatureInputs, logits_of
from imgcli.training.metrics import compute_metrics
from imgcli.training.training_loop import (
    READ_EVERY,
    Mix,
    backward,
    balanced_weights,
    batch_size_in,
    new_state,
    optimizer_step,
    set_train_mode,
    train,
)

CONFIG = TrainConfig.of(
    arch="any",
    optimizer="adamw",
    epochs=4,
    batch_size=16,
    schedule="cosine",
    lr=0.05,
    precision="fp32",
)
ROWS, VAL = np.arange(60), np.arange(60, 90)


def problem() -> tuple[FeatureInputs, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(90) % 3
    features = torch.randn(90, 5, generator=generator)
    features[torch.arange(90), targets] += 3
    return FeatureInputs(features), targets


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3)
    )


def fit(module: nn.Module, config: TrainConfig = CONFIG, **options: object) -> State:
    inputs, targets = problem()
    return train(module, inputs, targets, config, rows=ROWS, watched={"val": VAL}, **options)  # type: ignore[arg-type]


def same(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_it_trains_and_keeps_history_per_batch_and_per_epoch() -> None:
    state = fit(network())
    batches = [row for row in state.history if row["part"] == "batch"]
    val = [row for row in state.history if row["part"] == "val"]
    assert len(batches) == 4 * 4 and sum(row["n"] for row in batches) == 4 * len(ROWS)
    assert len(val) == 4 and val[-1]["accuracy"] > 0.8
    assert val[-1]["loss"] < val[0]["loss"]


def halves(images: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Each photo and the next one, in equal shares."""
    shares = functional.one_hot(targets, 3).float()
    return (images + images.roll(1, 0)) / 2, (shares + shares.roll(1, 0)) / 2


@pytest.mark.parametrize(
    ("config", "mix"), [(CONFIG, halves), (CONFIG.with_(balance="sample"), None)]
)
def test_train_metrics_are_of_the_photos_where_batches_are_mixed(
    config: TrainConfig, mix: Mix | None
) -> None:
    inputs, targets = problem()
    module = network()
    state = train(module, inputs, targets, config, rows=ROWS, watched={}, mix=mix)
    told = [row for row in state.history if row["part"] == "train"]
    expected = compute_metrics(logits_of(module, inputs, ROWS, "fp32"), targets[ROWS])
    assert len(told) == 4
    assert told[-1] == {"epoch": 4, "part": "train", **expected.to_json()}
    assert expected.n == len(ROWS) and expected.accuracy > 0.9


# The last four count steps in numbers that are no tensors, or for all weights at once.
@pytest.mark.parametrize(
    "optimizer", ["sgd", "adam", "adamw", "nmuon", "lamb", "laprop", "adan", "radamlegacy"]
)
@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_resumed_training_ends_bit_for_bit_as_an_uninterrupted_one(
    tmp_path: Path, optimizer: str, stop_after: int
) -> None:
    config = CONFIG.with_(optimizer=optimizer)
    whole = network()
    expected = fit(whole, config)

    def stop(state: State) -> None:
        if state.epoch == stop_after:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match=rf"{stop_after} finished epochs? kept\. Go on"):
        fit(network(), config, checkpoint=tmp_path / CHECKPOINT, after_epoch=stop)
    torch.manual_seed(99)
    resumed = nn.Sequential(*network().children())
    nn.init.ones_(resumed[0].weight)
    state = fit(resumed, config, checkpoint=tmp_path / CHECKPOINT)
    assert same(whole, resumed)
    assert state.history == expected.history


@pytest.mark.parametrize(
    "choices",
    [
        {"ema": 0.9},
        {"grow_batch": 40, "optimizer": "sgd", "momentum": 0.9},
        {"schedule": "plateau", "decay_every": 1.0, "decay_factor": 0.3},
        {"balance": "sample", "l1": 1e-3, "clip_norm": 0.5},
    ],
)
def test_a_checkpoint_holds_the_whole_state(tmp_path: Path, choices: dict[str, object]) -> None:
    config = CONFIG.with_(**choices)
    whole, resumed = network(), network()
    expected = fit(whole, config)

    def stop(state: State) -> None:
        if state.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted):
        fit(network(), config, checkpoint=tmp_path / CHECKPOINT, after_epoch=stop)
    assert fit(resumed, config, checkpoint=tmp_path / CHECKPOINT).history == expected.history
    assert same(whole, resumed)


def test_the_resume_command_names_the_run_and_its_folder(tmp_path: Path) -> None:
    def stop(state: State) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "studies" / "20260101-000000-mlp"
    run.mkdir(parents=True)
    go_on = rf"`imgcli train --resume --run {run.name} --out {run.parent}`"
    with pytest.raises(Interrupted, match=go_on):
        fit(network(), checkpoint=run / CHECKPOINT, after_epoch=stop)


def test_batches_grow_by_the_same_factor_to_the_size_asked_for() -> None:
    config = CONFIG.with_(epochs=3, batch_size=10, grow_batch=40)
    assert [batch_size_in(epoch, config.optim) for epoch in (1, 2, 3)] == [10, 20, 40]
    sizes = [row["n"] for row in fit(network(), config).history if row["part"] == "batch"]
    assert sizes == [10] * 6 + [20] * 3 + [30] * 2  # 60 photos in two batches of at most 40


def test_l1_shrinks_weights_and_is_not_counted_in_the_loss() -> None:
    plain, sparse = network(), network()
    fit(plain, CONFIG)
    state = fit(sparse, CONFIG.with_(l1=0.05, weight_decay=0.0))
    assert sparse[0].weight.abs().sum() < 0.5 * plain[0].weight.abs().sum()
    assert state.history[0]["loss"] == fit(network(), CONFIG).history[0]["loss"]


def test_a_clipped_gradient_moves_the_weights_no_further_than_its_norm() -> None:
    config = CONFIG.with_(
        optimizer="sgd", momentum=0.0, epochs=1, batch_size=60, clip_norm=1e-3, schedule="constant"
    )
    before, after = network(), network()
    fit(after, config)
    moved = [a - b for a, b in zip(after.parameters(), before.parameters(), strict=True)]
    length = torch.cat([m.flatten() for m in moved]).norm().item()
    assert length == pytest.approx(config.optim.lr * 1e-3, rel=1e-3)  # type: ignore[operator]


def test_the_moving_average_is_evaluated_and_kept() -> None:
    averaged, plain = network(), network()
    state = fit(averaged, CONFIG.with_(ema=0.99))
    fit(plain, CONFIG)
    assert not same(averaged, plain)
    val = [row for row in state.history if row["part"] == "val"]
    inputs, targets = problem()
    logits = logits_of(averaged, inputs, VAL, "fp32")
    assert compute_metrics(logits, targets[VAL]).loss == min(row["loss"] for row in val)


@pytest.mark.parametrize("balance", ["loss", "sample"])
def test_balanced_a_rare_class_is_still_predicted(balance: str) -> None:
    generator = torch.Generator().manual_seed(0)
    targets = (torch.arange(400) % 20 == 0).long()  # one in twenty
    features = torch.randn(400, 2, generator=generator) + 1.0 * targets[:, None]
    config = CONFIG.with_(epochs=30, batch_size=50)

    def recall(config: TrainConfig) -> float:
        torch.manual_seed(0)
        head = nn.Linear(2, 2)
        rows = np.arange(400)
        train(head, FeatureInputs(features), targets, config, rows=rows, watched={})
        found = head(features).argmax(1) == 1
        return float(found[targets == 1].float().mean())

    assert recall(config) < 0.3
    assert recall(config.with_(balance=balance)) > 0.6


@pytest.mark.parametrize("balance", ["loss", "sample"])
def test_classes_that_a_sample_lacks_do_not_matter_to_its_balance(balance: str) -> None:
    inputs, targets = problem()
    rows = np.flatnonzero(targets.numpy()[:60] % 3 < 2)[:-9]  # a third class, and uneven ones
    weights = balanced_weights(targets, rows)[targets[rows]]
    assert weights.sum() == pytest.approx(len(rows))
    assert weights[targets[rows] == 0].sum() == pytest.approx(len(rows) / 2)
    config = CONFIG.with_(balance=balance, label_smoothing=0.1)  # reaches the class that lacks
    module = network()
    state = train(module, inputs, targets, config, rows=rows, watched={"val": VAL})
    assert state.epoch == CONFIG.optim.epochs
    assert all(values.isfinite().all() for values in module.state_dict().values())


def test_a_batch_that_does_not_fit_is_taken_in_micro_batches_to_the_same_weights(
    capsys: pytest.CaptureFixture[str],
) -> None:
    class Small(nn.Linear):
        most = 1000

        def forward(self, features: torch.Tensor) -> torch.Tensor:
            if self.training and len(features) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(features)

    def head() -> Small:
        torch.manual_seed(0)
        return Small(5, 3)

    roomy, tight = head(), head()
    fit(roomy)
    tight.most = 4
    state = fit(tight)
    torch.testing.assert_close(tight.weight, roomy.weight)
    assert state.micro_batches == 4
    told = capsys.readouterr().err
    assert "batches of 15 are now taken in micro-batches of 8" in told and "of 4" in told
    tight.most = 0
    with pytest.raises(ModelError, match="not enough memory to train on a single photo"):
        fit(tight)


def test_a_failed_attempt_leaves_no_trace_in_batch_norm_or_in_the_draw() -> None:
    # The whole batch fails first, then the second of two; the trace would be in the four that fit.
    inputs, targets = problem()

    def trained(failing: bool) -> nn.Module:
        module = network()

        class Twice(nn.Module):
            calls = 0

            def forward(self, features: torch.Tensor) -> torch.Tensor:
                self.calls += 1
                if failing and self.calls in (1, 3):
                    raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED")
                return features

        module.append(Twice())
        state = new_state(module, CONFIG.optim)
        state.micro_batches = 1 if failing else 4
        set_train_mode(module, CONFIG.model, 1)
        torch.manual_seed(1)
        weights = balanced_weights(targets, ROWS)
        backward(state, CONFIG.optim, inputs.batch(ROWS[:15]), targets[ROWS[:15]], weights)
        optimizer_step(state, CONFIG.optim)
        assert state.micro_batches == 4
        return module

    assert same(trained(failing=True), trained(failing=False))


@pytest.mark.parametrize("size", [2, 3, 5, 15])
def test_batch_norm_gets_two_photos_at_least_in_a_micro_batch(size: int) -> None:
    inputs, targets = problem()
    sizes: list[int] = []

    class Tight(nn.Module):
        def forward(self, features: torch.Tensor) -> torch.Tensor:
            sizes.append(len(features))
            if len(features) > 3:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return features

    module = network().append(Tight())
    set_train_mode(module, CONFIG.model, 1)
    images, labels = inputs.batch(ROWS[:size]), targets[ROWS[:size]]
    shares = nn.functional.one_hot(labels, 3).float()  # as mixed
    for these in (labels, shares):
        state, weights = new_state(module, CONFIG.optim), balanced_weights(targets, ROWS)
        loss, logits = backward(state, CONFIG.optim, images, these, weights)
        assert len(logits) == size and loss.isfinite()
    assert min(sizes) >= 2


def test_other_failures_are_not_taken_for_a_lack_of_memory() -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        fit(nn.Linear(4, 3))


def test_a_frozen_backbone_keeps_even_its_norms_until_it_is_unfrozen() -> None:
    def classifier() -> Classifier:
        torch.manual_seed(0)
        return Classifier(nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8)), nn.Linear(8, 3))

    start, seen = classifier(), []
    module = classifier()

    def look(state: State) -> None:
        backbone = module.backbone.state_dict()
        seen.append(
            all(torch.equal(backbone[k], v) for k, v in start.backbone.state_dict().items())
        )

    fit(module, CONFIG.with_(freeze=True, unfreeze_after=2), after_epoch=look)
    assert seen == [True, True, False, False]


@pytest.mark.parametrize(("norms", "changed"), [("batch", True), ("kept", False)])
def test_frozen_batch_norm_statistics_do_not_change(norms: str, changed: bool) -> None:
    module = network()
    fit(module, CONFIG.with_(norms=norms))
    assert module[1].running_mean.any().item() is changed
    assert not torch.equal(module[1].weight, network()[1].weight)  # they learn all the same


def test_the_best_epoch_by_validation_is_kept_and_patience_ends_the_training() -> None:
    config = CONFIG.with_(
        epochs=50, patience=2, lr=1.0, optimizer="sgd", schedule="cosine", momentum=0.9
    )
    state = fit(network(), config)
    val = [row["loss"] for row in state.history if row["part"] == "val"]
    assert state.best_epoch == 1 + int(np.argmin(val))
    assert len(val) == state.best_epoch + 2 < 50


def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_remedy() -> None:
    with pytest.raises(ModelError, match=r"The loss became nan in epoch 1, step \d.*smaller --lr"):
        inputs, targets = problem()
        inputs.features[3] = torch.nan
        train(network(), inputs, targets, CONFIG, rows=ROWS, watched={})
    with pytest.raises(ModelError) as told:
        high = CONFIG.with_(optimizer="sgd", lr=1e9, precision="fp32")
        train(network(), inputs, targets, high, rows=ROWS, watched={})
    assert "such as 0.01, or auto) or --clip-norm 1." in str(told.value)


def test_a_divergence_is_reported_with_its_step_though_losses_are_read_later() -> None:
    inputs, targets = problem()
    config = CONFIG.with_(batch_size=10, warmup=0.0, schedule="constant")
    inputs.features[ROWS[3]] = torch.nan
    order = np.random.default_rng([config.seed, 1]).permutation(ROWS)
    step = 1 + int(np.flatnonzero(order == ROWS[3])[0]) // 10
    assert step <= 6 < READ_EVERY
    with pytest.raises(ModelError, match=rf"became nan in epoch 1, step {step}, at .* rate 0.05"):
        train(network(), inputs, targets, config, rows=ROWS, watched={})


def test_watched_parts_decide_nothing() -> None:
    inputs, targets = problem()
    alone, watched = network(), network()
    train(alone, inputs, targets, CONFIG, rows=ROWS, watched={"val": VAL})
    both = {"val": VAL, "test": np.arange(85, 90)}
    train(watched, inputs, targets, CONFIG, rows=ROWS, watched=both)
    assert same(alone, watched)
