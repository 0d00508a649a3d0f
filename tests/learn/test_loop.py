"""The training loop: learns, stops, resumes to the same bits, and says when it cannot."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from imgcli.errors import Interrupted, ModelError
from imgcli.learn.inputs import FeatureInputs
from imgcli.learn.loop import CHECKPOINT, State, train
from imgcli.records import TrainConfig

CONFIG = TrainConfig(
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


def test_it_learns_and_keeps_history_per_batch_and_per_epoch() -> None:
    state = fit(network())
    batches = [row for row in state.history if row["part"] == "batch"]
    val = [row for row in state.history if row["part"] == "val"]
    assert len(batches) == 4 * 4 and sum(row["n"] for row in batches) == 4 * len(ROWS)
    assert len(val) == 4 and val[-1]["accuracy"] > 0.8
    assert val[-1]["loss"] < val[0]["loss"]


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "nmuon"])
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


def test_the_best_epoch_by_validation_is_kept_and_patience_ends_the_training() -> None:
    config = CONFIG.with_(
        epochs=50, patience=2, lr=1.0, optimizer="sgd", schedule="cosine", momentum=0.9
    )
    state = fit(network(), config)
    val = [row["loss"] for row in state.history if row["part"] == "val"]
    assert state.best_epoch == 1 + int(np.argmin(val))
    assert len(val) == state.best_epoch + 2 < 50


def test_a_loss_that_is_no_number_stops_with_the_step_and_the_remedy() -> None:
    with pytest.raises(ModelError, match=r"The loss became nan in epoch 1, step \d.*smaller --lr"):
        inputs, targets = problem()
        inputs.features[3] = torch.nan
        train(network(), inputs, targets, CONFIG, rows=ROWS, watched={})


def test_what_is_watched_decides_nothing() -> None:
    inputs, targets = problem()
    alone, watched = network(), network()
    train(alone, inputs, targets, CONFIG, rows=ROWS, watched={"val": VAL})
    both = {"val": VAL, "test": np.arange(85, 90)}
    train(watched, inputs, targets, CONFIG, rows=ROWS, watched=both)
    assert same(alone, watched)
