"""Here figures are rendered, and their files looked at."""

import pytest


@pytest.fixture(autouse=True)
def rendered(rendered: None) -> None:
    """As where a user runs a command."""
