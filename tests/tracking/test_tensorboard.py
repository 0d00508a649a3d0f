"""TensorBoard's event files, read back by its own reader."""

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from imgcli.tracking import tensorboard
from imgcli.tracking.tracker import About, Point
from tests.support.photos import coloured_photo

KNOWN = {"folder": "tensorboard"}


def about(folder: Path, **more: Any) -> About:
    config = {"lr": 0.1, "optimizer": "sgd", "freeze": False, "model_args": {"a": 1}}
    return About(**{"name": "one", "folder": folder, "kind": "train", "config": config, **more})


def read(folder: Path) -> EventAccumulator:
    found = EventAccumulator(str(folder))
    found.Reload()
    return found


def session_of(found: EventAccumulator, name: str) -> Any:
    content = found.SummaryMetadata(f"_hparams_/{name}").plugin_data.content
    return getattr(HParamsPluginData.FromString(content), name)


def steps(found: EventAccumulator, tag: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in found.Scalars(tag)]


def test_values_config_figures_and_tables_are_read_back(tmp_path: Path) -> None:
    picture = tmp_path / "confusion.png"
    coloured_photo((90, 120, 60), 1).save(picture)
    run = tensorboard.begin(about(tmp_path), {})
    run.log([Point(1, 10.0, {"batch/loss": 2.0}), Point(2, 11.0, {"batch/loss": 1.5, "epoch": 1})])
    found = read(tmp_path / "tensorboard")  # a kill from here on would lose nothing of it
    assert steps(found, "batch/loss") == [(1, 2.0), (2, 1.5)]
    assert found.Scalars("batch/loss")[0].wall_time == 10.0
    run.summary({"final/val/accuracy": 0.5})
    run.figure("confusion", picture)
    run.table("figures", ["part", "accuracy"], [["a|b", 0.25], ["val", None]])
    run.finish("finished")
    found = read(tmp_path / "tensorboard")
    assert steps(found, "final/val/accuracy") == [(2, 0.5)]
    (image,) = found.Images("confusion")
    assert (image.width, image.height) == (24, 24)
    assert Image.open(io.BytesIO(image.encoded_image_string)).size == (24, 24)
    (text,) = found.Tensors("figures/text_summary")
    table = text.tensor_proto.string_val[0].decode()
    assert table.splitlines()[2:] == ["| a\\|b | 0.25 |", "| val |  |"]
    assert (
        b"| optimizer | sgd |" in found.Tensors("config/text_summary")[0].tensor_proto.string_val[0]
    )
    hparams = session_of(found, "session_start_info").hparams
    assert hparams["lr"].number_value == 0.1 and hparams["optimizer"].string_value == "sgd"
    assert hparams["freeze"].bool_value is False and hparams["freeze"].HasField("bool_value")
    assert session_of(found, "session_end_info").status == 1  # success


def test_a_run_that_is_resumed_replaces_the_steps_after_its_checkpoint(tmp_path: Path) -> None:
    run = tensorboard.begin(about(tmp_path), {})
    run.log([Point(step, 10.0, {"batch/loss": 9.0}) for step in (1, 2, 3)])  # killed in step 4
    run = tensorboard.begin(about(tmp_path), KNOWN)
    run.log([Point(step, 20.0, {"batch/loss": 1.0}) for step in (3, 4)])
    run.finish("finished")
    found = read(tmp_path / "tensorboard")
    assert steps(found, "batch/loss") == [(1, 9.0), (2, 9.0), (3, 1.0), (4, 1.0)]


def test_results_that_are_added_later_replace_nothing(tmp_path: Path) -> None:
    run = tensorboard.begin(about(tmp_path), {})
    run.log([Point(7, 10.0, {"batch/loss": 9.0})])
    run.finish("finished")
    later = tensorboard.begin(about(tmp_path, adds=True), KNOWN)
    later.log([Point(1, 20.0, {"folds/accuracy of fold": 0.5})])
    later.finish("finished")
    found = read(tmp_path / "tensorboard")
    assert steps(found, "batch/loss") == [(7, 9.0)]
    assert steps(found, "folds/accuracy of fold") == [(1, 0.5)]


def test_trials_are_folders_that_the_hparams_tab_compares(tmp_path: Path) -> None:
    search = tensorboard.begin(about(tmp_path, kind="tune"), {})
    for number in range(2):
        config = {"lr": 0.1 * number, "epochs": 3}
        more = {"name": "Trial 1", "kind": "trial", "config": config, "searched": ("lr",)}
        trial = search.child(about(tmp_path, **more))
        trial.summary({"accuracy": 0.5 + number / 10})
        fold = trial.child(about(tmp_path, name="Trial 1, fold 1 of 2", kind="fold"))
        fold.finish("finished")
        trial.finish("failed" if number else "pruned")
    search.finish("finished")
    root = tmp_path / "tensorboard"
    assert sorted(p.name for p in root.iterdir() if p.is_dir()) == ["Trial-1", "Trial-1-2"]
    second = read(root / "Trial-1-2")
    assert {*session_of(second, "session_start_info").hparams} == {"lr"}
    assert session_of(second, "session_end_info").status == 2  # failure
    assert steps(second, "accuracy") == [(0, pytest.approx(0.6))]
    for folder in (root, root / "Trial-1" / "Trial-1-fold-1-of-2"):
        with pytest.raises(KeyError):
            session_of(read(folder), "session_start_info")
