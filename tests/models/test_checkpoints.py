"""Weights of other tools: tensors are found wherever they are, and nothing of a file is run."""

import argparse
import datetime
import json
import os
import pathlib
import pickle
import shutil
import sys
import types
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from imgcli.errors import ModelError
from imgcli.models.inert import Inert, flatten, read_tree
from imgcli.models.weights import Head, load_backbone, own_head, read_checkpoint


class Net(nn.Module):
    """A backbone with a classifier of 3 classes, as training programs write it."""

    def __init__(self, seed: int = 0, head: bool = True) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.bn1 = nn.BatchNorm2d(4)
        self.layers = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 5))
        if head:
            self.fc = nn.Linear(5, 3)


WANTED = Net(1).state_dict()
OTHER = Net(2).state_dict()


def under(prefix: str, state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state.items()}


def loaded(path: Path) -> Head | None:
    """Load a file into a backbone and see that the wanted network's tensors are there."""
    backbone = Net(9, head=False)
    head = load_backbone(backbone, read_checkpoint(path), ["fc"])
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, WANTED[name]), name
    return head


THEIRS = types.ModuleType("their_project_config")
THEIRS.Options = type("Options", (dict,), {"__module__": THEIRS.__name__})  # type: ignore[attr-defined]


def of_a_missing_module(value: Any) -> Any:
    sys.modules[THEIRS.__name__] = THEIRS
    return THEIRS.Options(value)


CHECKPOINTS: dict[str, Callable[[], Any]] = {
    "bare": lambda: WANTED,
    "timm": lambda: {
        "epoch": 3, "arch": "resnet18", "state_dict": WANTED, "optimizer": {"state": {}},
        "args": argparse.Namespace(model="resnet18", lr=0.1, out=pathlib.Path("x")),
        "metric": np.float64(81.2), "when": datetime.datetime(2026, 1, 2),
    },
    "timm with an average": lambda: {"state_dict": OTHER, "state_dict_ema": WANTED},
    "torchvision": lambda: {
        "model": OTHER, "model_ema": {"n_averaged": torch.tensor(3), **under("module.", WANTED)},
        "lr_scheduler": {"_last_lr": [np.float32(0.1)]}, "args": argparse.Namespace(lr=0.1),
    },
    "lightning": lambda: {
        "state_dict": {**under("model.", WANTED), "criterion.weight": torch.ones(3)},
        "callbacks": {"x": {"best_model_path": "x"}}, "hparams_name": "kwargs",
        "hyper_parameters": OrderedDict(lr=0.1, path=pathlib.PurePosixPath("/x")),
    },
    "lightning, two networks": lambda: {
        "state_dict": {**under("net.", OTHER), **under("ema_net.", WANTED)}
    },
    "distributed and compiled": lambda: under("module._orig_mod.", WANTED),
    "compiled inside": lambda: {"weights": under("_orig_mod.module.encoder.", WANTED)},
    "any wrapper": lambda: {"a": {"b": {"net_g": WANTED}}, "adam": {0: {"exp_avg": torch.ones(2)}}},
    "arrays": lambda: {name: value.numpy() for name, value in WANTED.items()},
    "arrays of another order": lambda: {
        name: np.asfortranarray(value.numpy()) for name, value in WANTED.items()
    },
    "parameters": lambda: {name: nn.Parameter(v) if v.is_floating_point() else v
                           for name, v in WANTED.items()},
    "views": lambda: {name: torch.stack([v, v], -1)[..., 1] for name, v in WANTED.items()},
    "classes of another project": lambda: {
        "options": of_a_missing_module({"lr": 1}), "net": of_a_missing_module(WANTED)
    },
    "a whole network": lambda: Net(1),
    "a wrapped network": lambda: {"model": nn.DataParallel(Net(1)), "epoch": 3},
}  # fmt: skip


@pytest.mark.parametrize("way", ["zip", "legacy", "pickle 2", "pickle 5"])
@pytest.mark.parametrize("name", CHECKPOINTS)
def test_checkpoints_of_other_tools_are_read(tmp_path: Path, name: str, way: str) -> None:
    path = tmp_path / "checkpoint.pth.tar"
    made = CHECKPOINTS[name]()
    if way.startswith("pickle"):
        path.write_bytes(pickle.dumps(made, int(way[-1])))
    else:
        torch.save(made, path, _use_new_zipfile_serialization=way == "zip")
    sys.modules.pop(THEIRS.__name__, None)
    head = loaded(path)
    assert head is not None and torch.equal(head.weight, WANTED["fc.weight"])


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_scripted_network_is_read_by_its_tensors(tmp_path: Path) -> None:
    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv1(x)  # type: ignore[no-any-return]

    net = Small()
    torch.jit.trace(net, torch.zeros(1, 3, 8, 8)).save(str(tmp_path / "w.pt"))  # type: ignore[no-untyped-call]
    found = flatten(read_tree(tmp_path / "w.pt"))
    assert torch.equal(found["conv1.weight"].load(), net.conv1.weight)


def test_an_archive_of_arrays_is_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "w.npz", **{name: value.numpy() for name, value in WANTED.items()})
    loaded(tmp_path / "w.npz")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_of_numbers_are_read(tmp_path: Path, dtype: torch.dtype) -> None:
    torch.save({name: value.to(dtype) for name, value in WANTED.items()}, tmp_path / "w.pth")
    backbone = Net(9, head=False)
    load_backbone(backbone, read_checkpoint(tmp_path / "w.pth"), ["fc"])
    torch.testing.assert_close(backbone.conv1.weight, WANTED["conv1.weight"], atol=0.01, rtol=0.01)


def test_which_of_several_networks_is_taken_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(CHECKPOINTS["timm with an average"](), tmp_path / "w.pth")
    loaded(tmp_path / "w.pth")
    said = capsys.readouterr().err
    assert "a moving average of the weights, 'state_dict_ema', is taken, not 'state_dict'" in said


@pytest.mark.parametrize("shards", [False, True])
@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_folder_of_hugging_faces_layout_is_read(tmp_path: Path, kind: str, shards: bool) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    labels = {"0": "owl", "1": "cat", "2": "dog"}
    (folder / "config.json").write_text(json.dumps({"architecture": "x", "id2label": labels}))
    stem = "model" if kind == "safetensors" else "pytorch_model"
    write = save_file if kind == "safetensors" else torch.save
    names = sorted(WANTED)
    parts = [names[:4], names[4:]] if shards else [names]
    files = [f"{stem}-{i}.{kind}" if shards else f"{stem}.{kind}" for i in range(len(parts))]
    for file, part in zip(files, parts, strict=True):
        write({name: WANTED[name] for name in part}, folder / file)
    if shards:
        places = {name: file for file, part in zip(files, parts, strict=True) for name in part}
        index = folder / f"{stem}.{kind}.index.json"
        index.write_text(json.dumps({"weight_map": places}))
    head = loaded(folder)
    assert head is not None and head.classes == ("owl", "cat", "dog")


@pytest.mark.parametrize(
    "said",
    [
        {"class_to_idx": {"owl": 0, "cat": 1, "dog": 2}},
        {"classes": ["owl", "cat", "dog"]},
        {"args": argparse.Namespace(class_names=("owl", "cat", "dog"))},
        {"hyper_parameters": {"id2label": {0: "owl", 1: "cat", 2: "dog"}}},
    ],
)
def test_a_head_of_the_same_classes_is_kept_by_name(tmp_path: Path, said: dict[str, Any]) -> None:
    torch.save({"state_dict": WANTED, **said}, tmp_path / "w.pth")
    head = loaded(tmp_path / "w.pth")
    assert head is not None and head.classes == ("owl", "cat", "dog")
    layer = nn.Linear(5, 3)
    assert own_head(head, layer, ("cat", "dog", "owl"))
    assert torch.equal(layer.weight, WANTED["fc.weight"][[1, 2, 0]])
    assert torch.equal(layer.bias, WANTED["fc.bias"][[1, 2, 0]])
    before = layer.weight.clone()
    assert not own_head(head, layer, ("cat", "dog", "cow"))
    assert torch.equal(layer.weight, before)


def test_class_names_of_another_number_are_no_head_of_it(tmp_path: Path) -> None:
    torch.save({"state_dict": WANTED, "classes": ["a", "b"]}, tmp_path / "w.pth")
    head = loaded(tmp_path / "w.pth")
    assert head is not None and head.classes is None


def test_a_misfit_names_the_layers_and_what_there_is_in_timm(tmp_path: Path) -> None:
    import timm

    path, other = tmp_path / "w.pth", timm.create_model("resnet50", num_classes=0)
    torch.save({"model": timm.create_model("resnet34", num_classes=2).state_dict()}, path)
    with pytest.raises(ModelError) as caught:
        load_backbone(other, read_checkpoint(path), ["fc"])
    said = str(caught.value)
    assert "layers are missing" in said and "nearest to 'resnet34 (180 of 180)'" in said
    assert "\x1b" not in said and "weights_only" not in said


def test_what_a_file_says_of_itself_is_tried_first() -> None:
    import timm

    from imgcli.models.nearest import nearest_archs

    state = timm.create_model("mobilenetv2_100", num_classes=0).state_dict()
    shapes = {f"net.{name}": tuple(value.shape) for name, value in state.items()}
    near = nearest_archs(shapes, ["my-run", "mobilenetv2_100"])
    assert near[0].said == "mobilenetv2_100 (260 of 260)"
    assert len(near) == 3 and near[1].fitting > 100  # by shapes, whatever its name
    assert nearest_archs({"a.weight": (3, 3)}) == []


# --- nothing is run -----------------------------------------------------------------------------


class Runs:
    """Unpickled as it asks, it calls a function."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


ATTACKS: dict[str, Callable[[str], Any]] = {
    "os.system": lambda place: Runs(os.system, f"mkdir {place}"),
    "mkdir": lambda place: Runs(os.mkdir, place),
    "eval": lambda place: Runs(eval, f"__import__('os').mkdir({place!r})"),
    "exec": lambda place: Runs(exec, f"import os; os.mkdir({place!r})"),
    "getattr": lambda place: Runs(getattr, Runs(__import__, "os"), "mkdir"),
    "nested": lambda place: Runs(list, [Runs(map, Runs(getattr, os, "mkdir"), [place])]),
    "copytree": lambda place: Runs(shutil.copytree, ".", place),
    "in a key": lambda place: {Runs(os.mkdir, place): 1},
    "a pickle in a pickle": lambda place: Runs(
        torch.storage._load_from_bytes, pickle.dumps(Runs(os.mkdir, place))
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", ["zip", "legacy", "pickle 0", "pickle 5"])
@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "nested"])
def test_what_a_pickle_asks_to_call_is_not_called(tmp_path: Path, name: str, way: str) -> None:
    place, path = tmp_path / "run", tmp_path / "w.pth"
    made = {"state_dict": WANTED, "x": ATTACKS[name](str(place))}
    if way.startswith("pickle"):
        path.write_bytes(pickle.dumps(made, int(way[-1])))
    else:
        torch.save(made, path, _use_new_zipfile_serialization=way == "zip")
    with pytest.raises(ModelError, match="reading it would run"):
        read_checkpoint(path)
    assert not place.exists()


def test_what_libraries_would_call_is_not_called_either(tmp_path: Path) -> None:
    made = {"state_dict": WANTED, "x": Runs(torch.hub.load, "some/where", "x"),
            "y": Runs(np.save, str(tmp_path / "run.npy"), [1])}  # fmt: skip
    torch.save(made, tmp_path / "w.pth")
    loaded(tmp_path / "w.pth")  # those are stand-ins, which are data
    assert not (tmp_path / "run.npy").exists()
    assert isinstance(read_tree(tmp_path / "w.pth")["x"], Inert)


@settings(max_examples=300, deadline=None)
@given(
    data=st.binary(max_size=200), start=st.sampled_from([b"", b"\x80\x02", b"\x80\x05", b"(", b"}"])
)
def test_any_bytes_are_read_or_refused_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, start: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.pth"
    path.write_bytes(start + data)
    with pytest.raises(ModelError):
        read_checkpoint(path)


def test_a_tensor_that_reaches_outside_its_file_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(WANTED, path, _use_new_zipfile_serialization=False)
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ModelError, match="damaged"):
        load_backbone(Net(9, head=False), read_checkpoint(path), ["fc"])
