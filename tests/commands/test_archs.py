"""`imgcli.archs` as a function."""

import pytest

from imgcli.commands.archs import archs
from tests.support.shell import Printed, as_printed

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


def test_networks_are_found_by_words(capsys: Capture, printed: Printed) -> None:
    result = archs("resnet", "18")
    assert "resnet18" in result.names and "torchvision/resnet18" in result.names
    assert capsys.readouterr().out == ""
    assert as_printed(result.to_json()) == printed("archs", "resnet", "18")
    assert "timm (" in repr(result)
