"""`imgcli.suggest_merges`: a frozen result, the document of --json, nothing printed."""

import json
from dataclasses import FrozenInstanceError

import pytest

import imgcli
from imgcli.errors import WrongUsage

pytestmark = pytest.mark.usefixtures("run_with_twins")


def test_the_result_is_frozen_and_its_document_is_the_one_in_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = imgcli.suggest_merges()
    assert [one.classes for one in result.suggestions] == [("c00", "c01")]
    assert result.merges == [{"classes": ["c00", "c01"], "name": "c00+c01"}]
    assert json.loads(result.plan.read_text()).items() >= result.to_json().items()
    with pytest.raises(FrozenInstanceError):
        result.accuracy = 1.0  # type: ignore[misc]
    assert "c00 + c01" in repr(result) and "c00 + c01" in result._repr_html_()
    assert capsys.readouterr() == ("", "")


def test_a_dataset_is_refused_where_no_photo_is_needed() -> None:
    with pytest.raises(WrongUsage, match="goes with a run on a frozen backbone"):
        imgcli.suggest_merges("latest", data="photos")
