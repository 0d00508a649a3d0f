"""Files of weights that are written."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from imgcli.models.weights import write_plain, write_state


@pytest.mark.parametrize("write", [write_state, write_plain])
def test_they_may_be_read_by_whom_any_new_file_may_be(
    tmp_path: Path, write: Callable[..., None]
) -> None:
    (tmp_path / "any").touch()
    write(tmp_path / "w.safetensors", {"a": torch.zeros(2)})
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "any").stat().st_mode
