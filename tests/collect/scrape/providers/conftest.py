from collections.abc import Iterator

import pytest

from tests.support import providers


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    """Close what `client_of` made."""
    yield
    while providers.CLIENTS:
        providers.CLIENTS.pop().close()
