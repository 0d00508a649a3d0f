"""`imgcli.describe_arch` as a function."""

import pytest

from imgcli.commands.describe_arch import describe_arch
from imgcli.errors import WrongUsage
from tests.support.shell import Printed, as_printed

Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


def test_a_network_is_described_by_layers(printed: Printed) -> None:
    result = describe_arch("2C3-3C3", input="3x20x20", classes=2)
    assert result.params == {"trainable": 2515, "non_trainable": 0, "total": 2515}
    assert result.macs == 400 * 3 * 9 * 2 + 400 * 2 * 9 * 3 + 1200 * 2
    words = "archs describe 2C3-3C3 --input 3x20x20 --classes 2"
    assert as_printed(result.to_json()) == printed(*words.split())
    assert "2,515 parameters" in repr(result) and "conv1" in result._repr_html_()


def test_mistakes_are_sentences() -> None:
    with pytest.raises(WrongUsage, match="--input 227 is not 3xSxS"):
        describe_arch("alexnet", input="227")
    with pytest.raises(WrongUsage, match="--classes 1 is too few"):
        describe_arch("alexnet", classes=1)
