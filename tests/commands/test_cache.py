"""`imgcli.cache` as it is called."""

from pathlib import Path

import numpy as np
import pytest

from imgcli.commands.cache import cache
from imgcli.errors import WrongUsage
from imgcli.photos.row_cache import RowStore
from tests.support.shell import Printed

pytestmark = pytest.mark.usefixtures("here")


def test_it_returns_what_the_command_prints(printed: Printed) -> None:
    store = RowStore(Path(".imgcli/cache/features/f"), (2,), "float32", about="a network")
    store.append([f"{1:064x}"], np.ones((1, 2), np.float32))
    del store
    result = cache()
    assert [(one.kind, one.about, one.rows) for one in result.stores] == [
        ("features", "a network", 1)
    ]
    assert printed("cache") == result.to_json()
    assert cache(prune=True, older_than=1).removed == ()
    cleared = cache(clear=True, kind="features")
    assert (cleared.stores, cleared.freed) == ((), result.size)
    assert printed("cache", "--clear") == {**cleared.to_json(), "removed": [], "freed": 0}


def test_choices_that_exclude_each_other_are_refused() -> None:
    with pytest.raises(WrongUsage, match="give one of them"):
        cache(prune=True, clear=True)
    with pytest.raises(WrongUsage, match="goes with --prune"):
        cache(older_than=3)
