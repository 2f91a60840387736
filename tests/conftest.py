"""What tests share: the founders' folder of real logs and golden numbers, which stands beside the checkout."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder; tests that ask for it carry the mark `shared`."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED.name}/ with real logs and golden numbers does not stand beside the checkout")
    return SHARED
