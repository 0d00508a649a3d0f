"""Every script runs at its smallest, and has the rows that README asks it for.

pytest tests/benchmarks -m benchmarks     those that take minutes
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import pytest

from tests.benchmarks import timing
from tests.benchmarks.__main__ import NAMES
from tests.benchmarks.material import Material, Photos
from tests.benchmarks.results import ROWS
from tests.benchmarks.script import Setting
from tests.benchmarks.timing import Conditions, Result

OTHERWISE = {"scaling"}  # has options of its own
QUICK = {"startup", "pixels"}


@dataclass(frozen=True)
class Few(Material):
    """Few small photos drawn in code, called as the real ones."""

    def photos(self, at_most: int = 2056, classes: int = 30) -> Photos:
        classes = min(4, classes)
        return replace(super().photos(min(at_most, 15 * classes), classes), name="caltech30")

    def pictures(self, at_most: int = 50_000) -> Photos:
        return replace(super().pictures(min(at_most, 150)), name="cifar10-train")

    def digits(self, at_most: int = 60_000) -> Photos:
        return replace(super().digits(min(at_most, 150)), name="mnist-train")

    def enlarged(self, count: int, size: tuple[int, int]) -> Photos:
        found = super().enlarged(min(count, 6), (size[0] // 8, size[1] // 8))
        return replace(found, name="caltech30 enlarged")


def few(folder: Path) -> Setting:
    material = Few(folder / "none", folder / "data")
    (folder / "work").mkdir()
    return Setting(material, folder / "work", True, False, "cpu", 1)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else pytest.mark.benchmarks)
        for name in NAMES
        if name not in OTHERWISE
    ],
)
def test_a_script_runs_and_has_the_rows_of_readme(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timing, "CONDITIONS", Conditions(busy=True, warm_up=False))
    try:
        script = import_module(f"tests.benchmarks.{name}")
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed; pip install 'imgcli[bench]' brings the peers")
    measure: Callable[[Setting], list[Result]] = script.measure
    found = list(measure(few(tmp_path)))
    assert found and timing.table(found).count("\n") > len(found)
    for row in ROWS:
        if row.script == name:
            assert [one for one in found if one.work.startswith(row.work)], row.work
