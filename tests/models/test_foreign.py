"""Files given as weights that are something else: our own words, and nothing in them is run."""

import os
import pickle
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from imgcli.errors import ModelError
from imgcli.models.weights import read_checkpoint

TENSORS = {"w": torch.zeros(2)}
UNSAFE = ("weights_only", "safe_globals", "trust", "torch.load", "file an issue", "option")


class Evil:
    """Unpickled, it makes a folder."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place / "run"),)


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_checkpoint(path)
    said = str(caught.value)
    assert not any(word in said for word in UNSAFE), said
    assert said.startswith(f"'{path}' cannot be read as weights: it is ")
    return said


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_bare_pickle_is_named_and_not_run(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps([Evil(tmp_path), Evil(tmp_path)], protocol))
    assert f"it would run '{os.mkdir.__module__}.mkdir', which imgcli" in refusal(path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("in_zip", [True, False])
@pytest.mark.parametrize("name", ["evil.pth", "evil.safetensors", "pytorch_model.bin"])
def test_a_checkpoint_with_a_pickle_that_runs_code(tmp_path: Path, name: str, in_zip: bool) -> None:
    path = tmp_path / name
    torch.save({**TENSORS, "x": Evil(tmp_path)}, path, _use_new_zipfile_serialization=in_zip)
    assert f"it would run '{os.mkdir.__module__}.mkdir', which imgcli" in refusal(path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"\n<html>404</html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS.*git lfs pull"),
        (b"\x07" * 4000, "it is damaged, or of a format"),
        (b"PK\x03\x04" + b"\x07" * 400, "it is damaged, or cut short"),
        (b"\x80\x04\x8c\xff" * 100, "it is damaged"),
        (b"(" * 100_000 + b"t" * 100_001 + b".", "it is damaged"),
    ],
)
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_what_is_no_checkpoint_at_all(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    assert re.search(said, refusal(path))


def test_damaged_checkpoints_and_other_archives(tmp_path: Path) -> None:
    path = tmp_path / "w.pth"
    torch.save(TENSORS, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "it is damaged, or cut short" in refusal(path)
    save_file(TENSORS, path)
    assert set(read_checkpoint(path).tensors) == {"w"}  # a link of the hub's cache has no suffix
    shutil.copy(path, cut := tmp_path / "w.safetensors")
    cut.write_bytes(cut.read_bytes()[:-1])
    assert "it is damaged, or cut short" in refusal(cut)
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive:
        archive.writestr("a.txt", "a")
    assert "a zip archive that holds no tensors" in refusal(tmp_path / "w.npz")


def test_plain_tensors_are_read(tmp_path: Path) -> None:
    for in_zip in (True, False):
        torch.save(
            {"state_dict": TENSORS}, tmp_path / "w.pth", _use_new_zipfile_serialization=in_zip
        )
        assert set(read_checkpoint(tmp_path / "w.pth").tensors) == {"state_dict.w"}
