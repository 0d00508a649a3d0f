"""Whatever computes goes on with less memory, to the same answer, or says that it cannot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from imgcli.config import ModelConfig, TrainConfig
from imgcli.errors import ModelError
from imgcli.models.create import create_network
from imgcli.models.describe import describe
from imgcli.photos.layout import new_photos
from imgcli.training.benchmark import measure_speeds
from imgcli.training.pipeline import train_run
from imgcli.training.predict import predict_photos
from imgcli.training.scoring import score_folds, score_test

CONFIG = TrainConfig.of(
    arch="8C3S2-P2-16", image_size=16, epochs=2, batch_size=12, lr=0.01, augment="none",
    precision="fp32",
)  # fmt: skip
DATA, RUNS = Path("dataset"), Path("runs")
Limit = Callable[[int], None]


@pytest.fixture
def room_for(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Lets dense layers run out of memory above so many photos."""
    whole = nn.Linear.forward

    def limit(most: int) -> None:
        def forward(self: nn.Linear, images: Tensor) -> Tensor:
            if len(images) > most:
                raise RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublas`")
            return whole(self, images)

        monkeypatch.setattr(nn.Linear, "forward", forward)

    return limit


def test_training_and_evaluation_work_with_less_memory(here: Path, room_for: Limit) -> None:
    roomy = train_run(CONFIG, DATA, RUNS, "cpu").run
    test = predict_photos([roomy], new_photos(DATA / "test"), "cpu").probs
    folds = score_folds(roomy, None, "train", 2, device="cpu").predictions.probs
    for file in (roomy.folder / "folds").rglob("*.npz"):
        file.unlink()
    room_for(5)
    tight = train_run(CONFIG, DATA, RUNS, "cpu").run
    close = {"rtol": 1e-3, "atol": 1e-5}
    np.testing.assert_allclose(
        predict_photos([tight], new_photos(DATA / "test"), "cpu").probs, test, **close
    )
    np.testing.assert_allclose(
        score_test(tight, None, "cpu").predictions.probs.sum(0), test.sum(0), **close
    )
    again = score_folds(roomy, None, "train", 2, device="cpu").predictions.probs
    np.testing.assert_allclose(again, folds, **close)


def test_where_nothing_fits_each_command_says_so_in_a_sentence(here: Path, room_for: Limit) -> None:
    run = train_run(CONFIG, DATA, RUNS, "cpu").run
    frozen = TrainConfig.of(arch="test_vit", freeze=True, pretrained=False, image_size=160)
    room_for(0)
    works: list[Callable[[], object]] = [
        lambda: predict_photos([run], new_photos(DATA / "test"), "cpu"),
        lambda: score_test(run, None, "cpu"),
        lambda: score_folds(run, None, "train", 2, device="cpu"),
        lambda: train_run(CONFIG, DATA, RUNS, "cpu"),
        lambda: train_run(CONFIG.with_(lr="auto"), DATA, RUNS, "cpu"),
        lambda: train_run(frozen, DATA, RUNS, "cpu"),
        lambda: measure_speeds(CONFIG, DATA, "cpu"),
        lambda: describe("test_vit", 3),
    ]
    for work in works:
        with pytest.raises(ModelError, match="There is not enough memory"):
            work()


def test_weights_that_do_not_fit_are_no_damage_of_the_run(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train_run(CONFIG, DATA, RUNS, "cpu").run

    def full(*_: object, **__: object) -> nn.Module:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(nn.Module, "to", full)
    with pytest.raises(ModelError, match="There is not enough memory"):
        predict_photos([run], new_photos(DATA / "test"), "cpu")
    monkeypatch.setattr(nn.Module, "load_state_dict", full)
    with pytest.raises(ModelError, match="There is not enough memory"):
        predict_photos([run], new_photos(DATA / "test"), "cpu")


def test_a_dense_layer_of_absurd_size_is_refused_in_a_sentence() -> None:
    from imgcli.models.memory import within_memory

    with pytest.raises(ModelError, match="There is not enough memory"), within_memory():
        create_network(ModelConfig("8-100000000000000", image_size=32), 3)
