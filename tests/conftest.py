"""Photos made in code, and the real ones where they are at hand."""

from pathlib import Path

import pytest
from hypothesis import settings

# No check here is about time, and a busy machine may be slow.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of real photos and weights beside the project; skips where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"no real photos and weights at {SHARED}")
    return SHARED
