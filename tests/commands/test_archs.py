"""`imgcli.archs` as a function."""

import pytest

from imgcli.commands.archs import archs
from tests.commands.shell import as_printed, typed_json

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


def test_networks_are_found_by_words(monkeypatch: Patch, capsys: Capture) -> None:
    result = archs("resnet", "18")
    assert "resnet18" in result.names and "torchvision/resnet18" in result.names
    assert capsys.readouterr().out == ""
    assert as_printed(result.to_json()) == typed_json(monkeypatch, capsys, "archs", "resnet", "18")
    assert "timm (" in repr(result)
