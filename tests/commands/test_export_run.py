"""`imgcli export`: files for other programs, compared with imgcli before they are kept."""

import hashlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from imgcli import ledger
from imgcli.commands.evaluate import evaluate
from imgcli.commands.export_run import export_run
from imgcli.commands.predict import predict
from imgcli.commands.train import train
from imgcli.errors import DataError, ModelError, Refused, RunError, StorageError, WrongUsage
from imgcli.export import gate, torchscript_file
from imgcli.run_lookup import find_run
from imgcli.runs import Run
from tests.support.disk import small_files
from tests.support.photos import jpeg, make_photo, write_dataset
from tests.support.shell import Shell, as_printed
from tests.support.trees import file_states

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "predict_onnx.py"
Patch = pytest.MonkeyPatch


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of three classes and two runs on it, evaluated by folds, both exported."""
    folder = tmp_path_factory.mktemp("export")
    write_dataset(folder / "dataset", train=12, test=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for seed in (1, 2):
            train("8C3-P2-16", image_size=16, epochs=3, lr=0.01, seed=seed, precision="fp32")
        evaluate(folds=3)
        export_run()
    return folder


@pytest.fixture
def here(project: Path, monkeypatch: Patch) -> Path:
    monkeypatch.chdir(project)
    return project


@pytest.fixture
def run(here: Path) -> Run:
    return find_run()


def write_mixed(folder: Path) -> Path:
    """Photos of mixed sizes and kinds: turned by EXIF, grey, with a palette, CMYK, transparent."""
    folder.mkdir()
    (folder / "turned.jpg").write_bytes(jpeg(make_photo(1, (90, 60)), orientation=6))
    (folder / "large.jpg").write_bytes(jpeg(make_photo(2, (400, 300))))
    make_photo(3, (40, 70)).convert("L").save(folder / "grey.png")
    make_photo(4, (33, 21)).convert("P").save(folder / "palette.gif")
    make_photo(5, (64, 64)).convert("CMYK").save(folder / "cmyk.jpg")
    half = make_photo(6, (50, 30)).convert("RGBA")
    half.putalpha(Image.linear_gradient("L").resize((50, 30)))
    half.save(folder / "transparent.png")
    make_photo(7, (5, 300)).save(folder / "narrow.webp")
    return folder


def metadata(file: Path) -> dict[str, str]:
    return {one.key: one.value for one in onnx.load(file).metadata_props}


# --- the file -----------------------------------------------------------------------------------


def test_a_script_without_imgcli_predicts_mixed_photos_as_imgcli_does(
    run: Run, tmp_path: Path
) -> None:
    photos = write_mixed(tmp_path / "mixed")
    file = run.folder / "export" / "onnx" / "model.onnx"
    code = SCRIPT.read_text("utf-8")
    assert "import torch" not in code and "import imgcli" not in code
    program = [sys.executable, "-I", str(SCRIPT), str(file.resolve()), str(photos)]
    done = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = [line.split("\t") for line in done.stdout.splitlines()]
    result = predict(photos)
    assert [line[0] for line in found] == sorted(result.paths) and len(found) == 7
    for path, name, confidence in found:
        row = result.paths.index(path)
        assert name == result.predictions[row]
        assert abs(float(confidence) - result.confidence[row]) <= gate.TOLERANCE


def test_the_file_says_what_it_is(run: Run) -> None:
    file = run.folder / "export" / "onnx" / "model.onnx"
    model, about = onnx.load(file), metadata(file)
    onnx.checker.check_model(model, full_check=True)
    assert json.loads(about["classes"]) == ["blue", "green", "red"]
    assert json.loads(about["fit"]) == ["squash"] and json.loads(about["size"]) == [16]
    assert json.loads(about["temperature"]) == [
        json.loads((run.folder / "calibration.json").read_text())["temperature"]
    ]
    assert "blue" not in model.doc_string and "3 classes" in model.doc_string
    assert str(Path(__file__).parents[2]).encode() not in file.read_bytes()
    (given,) = onnxruntime.InferenceSession(file).get_inputs()
    assert (given.type, given.shape) == ("tensor(uint8)", ["batch", "height", "width", 3])


def test_photos_of_one_size_go_through_in_a_batch(run: Run) -> None:
    file = run.folder / "export" / "onnx" / "model.onnx"
    session = onnxruntime.InferenceSession(file)
    photos = np.stack([np.asarray(make_photo(i, (50, 40))) for i in range(3)])
    (together,) = session.run(None, {"images": photos})
    alone = [session.run(None, {"images": one[None]})[0][0] for one in photos]
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_torchscript_takes_the_same_photos(run: Run, tmp_path: Path) -> None:
    result = export_run("torchscript")
    assert result.gate is not None and result.gate.max_difference < 1e-4
    assert str(Path(__file__).parents[2]).encode() not in result.files[0].read_bytes()
    predict_pixels = torchscript_file.load(result.files[0])
    photo = np.asarray(make_photo(3, (70, 31)))
    (tmp_path / "photos").mkdir()
    Image.fromarray(photo).save(tmp_path / "photos" / "a.png")
    probs = predict_pixels(photo[None])
    np.testing.assert_allclose(probs, predict(tmp_path / "photos").probs, atol=1e-4)


def test_several_runs_are_one_file_with_their_mean(here: Path, tmp_path: Path) -> None:
    runs = [path for path in sorted(Path("runs").iterdir()) if not path.is_symlink()][:2]
    result = export_run("torchscript", run=runs)
    assert result.out == runs[0] / "export" / "torchscript-mean-of-2"
    photos = write_mixed(tmp_path / "mixed")
    (tmp_path / "one").mkdir()
    (photos / "grey.png").rename(tmp_path / "one" / "grey.png")
    pixels = np.asarray(Image.open(tmp_path / "one" / "grey.png").convert("RGB"))
    probs = torchscript_file.load(result.files[0])(pixels[None])
    np.testing.assert_allclose(probs, predict(tmp_path / "one", run=runs).probs, atol=1e-4)


NETWORKS: dict[str, dict[str, Any]] = {
    "timm": {"arch": "test_convnext", "fit": "crop"},
    "torchvision, six views": {
        "arch": "torchvision/squeezenet1_1",
        "test_flip": True,
        "test_shift": 2,
    },
    "grey, a residual group": {"arch": "4C3-R[4C3]-G", "channels": 1, "fit": "pad"},
    "two networks of other sizes": {
        "arch": "test_convnext+test_vit",
        "mirror": True,
        "feature_power": 0.5,
    },
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_all_kinds_of_networks_become_files(here: Path, kind: str) -> None:
    choices = {"image_size": 64, **NETWORKS[kind]}
    frozen = {"freeze": True} if "C3" not in choices["arch"] else {"epochs": 1}
    made = train(pretrained=False, precision="fp32", out="kinds", **frozen, **choices)
    result = export_run("torchscript", run=made.run)
    assert result.gate is not None and result.gate.passed


# --- the gate -----------------------------------------------------------------------------------


def test_the_document_says_how_the_file_compares(run: Run, shell: Shell) -> None:
    document = shell.json("export", "--format", "torchscript")
    again = as_printed(export_run("torchscript").to_json())
    changing = {"sha256", "bytes"}  # TorchScript numbers what it names
    assert document.keys() == again.keys()
    assert all(document[key] == again[key] for key in document.keys() - changing)
    assert document["run"] == str(run.folder) and document["classes"] == ["blue", "green", "red"]
    (file,) = document["files"]
    content = Path(file).read_bytes()
    document = again
    assert document["sha256"] == {"model.pt": hashlib.sha256(content).hexdigest()}
    assert document["bytes"] == len(content)
    found = document["gate"]
    assert (found["n"], found["on"], found["passed"]) == (18, "test", True)
    assert found["same_class"] == 18 and found["max_difference"] < 1e-4
    kept = json.loads((Path(file).parent / "export.json").read_text())
    assert kept["gate"] == found and str(Path.cwd()) not in json.dumps(kept)


def test_probabilities_need_no_line_in_the_ledger_and_accuracy_does(run: Run) -> None:
    before = ledger.evaluations(run)
    export_run("torchscript")
    assert ledger.evaluations(run) == before
    result = export_run(precision="int8")
    assert ledger.evaluations(run) == before + 1
    found = result.accuracy
    assert found is not None and found["n"] == 18 and found["on"] == "test"
    assert found["lost"] == pytest.approx(found["imgcli"] - found["exported"])
    assert found["ci95"][0] <= found["lost"] <= found["ci95"][1]
    assert result.out.name == "onnx-int8"
    kinds = {node.op_type for node in onnx.load(result.files[0]).graph.node}
    assert "QuantizeLinear" in kinds


def wrong(bend: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Callable[..., Any]:
    """A `load` whose file gives other probabilities."""

    def load(file: Path) -> Callable[[NDArray[np.uint8]], NDArray[np.float32]]:
        assert file.is_file()
        k = np.array([[0.6, 0.3, 0.1]], dtype=np.float32)
        return lambda pixels: bend(k)

    return load


@pytest.mark.parametrize(
    ("bend", "said"),
    [
        (lambda probs: probs, "for 18 of 18 photos its probabilities differ|for 18 photos"),
        (lambda probs: probs * np.nan, "its probabilities are no numbers"),
    ],
)
def test_a_file_with_other_probabilities_is_not_kept(
    here: Path, monkeypatch: Patch, tmp_path: Path, bend: Any, said: str
) -> None:
    monkeypatch.setattr("imgcli.export.torchscript_file.load", wrong(bend))
    with pytest.raises(ModelError, match=said):
        export_run("torchscript", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_the_gate_wants_every_clear_class_and_every_probability() -> None:
    ours = np.array([[0.5, 0.4, 0.1], [0.4005, 0.3995, 0.2]])
    near = ours + np.array([[0.0, 0.0, 0.0], [-0.0009, 0.0009, 0.0]])
    found = gate.compare(ours, near, ["a", "b"], "test", strict=True)
    assert (found.passed, found.same_class, found.near_ties, found.n) == (True, 1, 1, 2)
    far = ours + np.array([[0.002, -0.002, 0.0], [0.0, 0.0, 0.0]])
    with pytest.raises(ModelError, match=r"for 1 of 2 photos .* 0.002, for 'a'"):
        gate.compare(ours, far, ["a", "b"], "test", strict=True)
    assert not gate.compare(ours, far, ["a", "b"], "test", strict=False).passed


# --- what cannot be -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"format": "tflite"}, "--format tflite is not known; use onnx, torchscript"),
        ({"precision": "int4"}, "--precision int4 is not known; use fp32, fp16, int8."),
        ({"format": "torchscript", "precision": "int8"}, "use fp32 or fp16"),
        ({"opset": 9}, "--opset 9 is not supported; use 18 to 23."),
        ({"format": "torchscript", "opset": 18}, "is of ONNX, not of --format torchscript"),
        ({"min_precision": 2.0}, "--min-precision 2 is not a share"),
    ],
)
def test_choices_that_cannot_be_meant(choices: dict[str, Any], said: str) -> None:
    with pytest.raises(WrongUsage, match=said):
        export_run(**choices)


def test_a_missing_package_is_named_with_its_extra(monkeypatch: Patch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "onnxruntime" else find(name)
    )
    with pytest.raises(Refused, match=r"needs onnxruntime\. .*pip install 'imgcli\[export\]'"):
        export_run()


def test_an_unfinished_run_is_not_exported(run: Run, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begun.mkdir()
    (begun / "config.json").write_bytes((run.folder / "config.json").read_bytes())
    with pytest.raises(RunError, match="is not a finished run"):
        export_run(run=begun)


def test_a_dataset_that_is_gone_is_asked_for(here: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"is not there.*--data DIR"):
        export_run(data=tmp_path / "gone")


def test_a_full_disk_leaves_nothing(run: Run, shell: Shell, tmp_path: Path) -> None:
    with small_files(4096):
        code, out, err = shell("export", "--format", "torchscript", "--out", str(tmp_path / "out"))
    assert (code, out) == (1, "") and f"No space left to write '{tmp_path}/out/model.pt'" in err
    assert "mistake" not in err and err.strip().count("\n") == 0
    assert not (tmp_path / "out").exists()


def test_an_earlier_export_is_replaced_and_nothing_else(here: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = export_run("torchscript", out=out)
    assert export_run("torchscript", out=out).files == first.files
    (out / "notes.txt").write_text("mine")
    with pytest.raises(StorageError, match=r"exists\. Choose another --out"):
        export_run("torchscript", out=out)
    export_run("torchscript", out=out, force=True)
    (kept,) = (path for path in tmp_path.iterdir() if ".replaced-" in path.name)
    assert (kept / "notes.txt").read_text() == "mine"


def test_nothing_of_the_dataset_changes(here: Path) -> None:
    before = file_states(here / "dataset")
    export_run("torchscript")
    assert file_states(here / "dataset") == before


def test_a_layer_that_cannot_be_exported_is_named(here: Path, monkeypatch: Patch) -> None:
    def in_onnx(module: nn.Module, inputs: object, opset: int) -> Any:
        if any(isinstance(layer, nn.MaxPool2d) for layer in module.modules()):
            raise RuntimeError("MaxPool2d is not there")
        return None

    monkeypatch.setattr("imgcli.export.onnx_file.in_onnx", in_onnx)
    name = r"Layer 'backbone\.pool1' \(MaxPool2d\) cannot be exported to ONNX opset 18"
    with pytest.raises(ModelError, match=name):
        export_run(out="never")
    assert not Path("never").exists()
