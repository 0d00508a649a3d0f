"""fp32 or bf16: by device, instructions and shapes, never by a clock; a bf16 run works anywhere."""

from pathlib import Path

import numpy as np
import pytest
import torch

from imgcli import progress
from imgcli.config import ModelConfig, TrainConfig
from imgcli.errors import RunError, WrongUsage
from imgcli.models.create import create_network
from imgcli.photos.layout import new_photos
from imgcli.runs import Run
from imgcli.training import precision as precision_module
from imgcli.training.bagging import train_bag
from imgcli.training.pipeline import train_run
from imgcli.training.precision import choose_precision, has_bf16
from imgcli.training.predict import predict_photos
from imgcli.training.scoring import score_folds, score_test
from imgcli.training.tuning.search import tune
from tests.support import trained_runs

CPU = torch.device("cpu")
CONFIG = TrainConfig.of(
    arch="8C3S2-P2-16", image_size=16, epochs=2, batch_size=12, lr=0.01, augment="none",
    precision="bf16",
)  # fmt: skip
FROZEN = trained_runs.FROZEN.with_(precision="bf16")
LACKS = "trained in bf16, which this processor does not have: it computes in fp32 here"


class Processor:
    """What Linux says of the processor, for a test to change."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def has(self, flags: str, name: str = "flags\t\t") -> None:
        self.file.write_text(f"processor\t: 0\n{name}: fpu avx2 {flags}\nbugs\t\t: bf16\n")


@pytest.fixture
def processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processor:
    """A processor with bf16 instructions, until a test says otherwise."""
    found = Processor(tmp_path / "cpuinfo")
    monkeypatch.setattr(precision_module, "CPUINFO", found.file)
    found.has("avx512_bf16 amx_bf16")
    return found


@pytest.mark.parametrize(
    ("arch", "size", "trained", "features"),
    [
        ("mnist-best", None, "fp32", "fp32"),
        ("tiny-mnist", None, "fp32", "fp32"),
        ("mlp", None, "fp32", "fp32"),
        ("small-cnn", None, "bf16", "fp32"),
        ("cifar-cnn", None, "bf16", "bf16"),
        ("cifar-fast", None, "bf16", "bf16"),
        ("resnet18", 224, "bf16", "bf16"),
        ("resnet18", 32, "fp32", "fp32"),
        ("mobilenetv2_100", 224, "fp32", "bf16"),
        ("mobilenetv3_small_100", 224, "fp32", "fp32"),
        ("vit_tiny_patch16_224", 224, "bf16", "bf16"),
    ],
)
def test_precision_goes_by_the_shapes_of_the_network(
    arch: str, size: int | None, trained: str, features: str, processor: Processor
) -> None:
    network = create_network(ModelConfig(arch, image_size=size, pretrained=False), 10)
    assert choose_precision("auto", CPU, network, frozen=False) == trained
    assert choose_precision("auto", CPU, network, frozen=True) == features
    assert choose_precision("fp32", CPU, network, frozen=True) == "fp32"
    processor.has("avx512f")
    assert choose_precision("auto", CPU, network, frozen=False) == "fp32"
    assert choose_precision("auto", CPU, network, frozen=True) == "fp32"
    with pytest.raises(WrongUsage, match="--precision fp8 is not known; use auto, fp32, bf16"):
        choose_precision("fp8", CPU, network, frozen=False)


def test_processors_are_known_by_their_instructions(processor: Processor) -> None:
    assert has_bf16(CPU) and not has_bf16(torch.device("meta"))
    processor.has("asimd bf16 sve", name="Features\t")  # as on ARM
    assert has_bf16(CPU)
    processor.has("avx512f amx_int8")
    assert not has_bf16(CPU)
    processor.file.unlink()  # another system
    assert not has_bf16(CPU)


def test_emulated_bf16_of_a_gpu_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    def is_supported(including_emulation: bool = True) -> bool:
        return including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_supported)
    network = create_network(ModelConfig("small-cnn", pretrained=False), 10)
    assert choose_precision("auto", torch.device("cuda"), network, frozen=False) == "fp32"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert choose_precision("auto", torch.device("cuda"), network, frozen=False) == "bf16"


@pytest.mark.parametrize("config", [CONFIG, FROZEN], ids=["from scratch", "frozen"])
def test_a_run_made_in_bf16_is_used_in_fp32_where_there_is_none_and_says_so_once(
    config: TrainConfig, here: Path, processor: Processor, capsys: pytest.CaptureFixture[str]
) -> None:
    run = train_run(config, Path("dataset"), Path("runs"), "cpu").run
    assert run.read_json("model.json")["precision"] == "bf16"
    there = predict_photos([run], new_photos(Path("dataset/test")), "cpu").probs
    assert LACKS not in capsys.readouterr().err
    processor.has("avx2")
    here_twice = predict_photos([run, run], new_photos(Path("dataset/test")), "cpu").probs
    assert capsys.readouterr().err.count(LACKS) == 1
    assert not np.array_equal(here_twice, there)
    document = run.read_json("model.json")
    run.write_json("model.json", {**document, "precision": "fp32"})
    in_fp32 = predict_photos([run], new_photos(Path("dataset/test")), "cpu").probs
    np.testing.assert_array_equal(here_twice, in_fp32)
    run.write_json("model.json", document)
    with progress.quietly(False):  # the next command
        score_test(run, None, "cpu")
        score_folds(run, None, "train", 2, device="cpu")
    assert capsys.readouterr().err.count(LACKS) == 1


def test_a_training_is_not_resumed_in_another_precision(here: Path, processor: Processor) -> None:
    run = train_run(CONFIG, Path("dataset"), Path("runs"), "cpu").run
    (run.folder / "model.json").unlink()
    processor.has("avx2")
    with pytest.raises(RunError, match="was begun in bf16, which this CPU does not have"):
        train_run(run.config, Path("dataset"), Path("runs"), "cpu", resume=run)
    bag = run.config.with_(bag=0, bag_of=2)
    with pytest.raises(RunError, match="Resume it on a machine with bf16, or train again"):
        train_bag(bag, Path("dataset"), Path("runs"), "cpu", resume=Run(run.folder))


def test_bf16_is_refused_where_it_would_be_emulated(here: Path, processor: Processor) -> None:
    processor.has("avx2")
    refusal = "--precision bf16: this processor has no bf16 instructions; use fp32 or auto"
    with pytest.raises(WrongUsage, match=refusal):
        train_run(CONFIG, Path("dataset"), Path("runs"), "cpu")
    assert not Path("runs").exists()
    with pytest.raises(WrongUsage, match=refusal):
        tune(CONFIG, {}, Path("dataset"), here / "study", name="s", trials=1, device="cpu")
