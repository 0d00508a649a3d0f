from collections.abc import Iterator

import pytest

from tests.collect.scrape.providers import providers


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    """Close what `client_of` made."""
    yield
    while providers.CLIENTS:
        providers.CLIENTS.pop().close()
