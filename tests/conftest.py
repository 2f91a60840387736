"""What tests share: a tiny town, and the founders' folder of real logs and golden numbers beside the checkout."""

import signal
from pathlib import Path

import pytest

from tiny import TinyDataset, write_tiny_dataset, write_tiny_town, write_tiny_vocabulary

signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell that runs the tests in the background ignores Ctrl-C, and so would every command that they start."""

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared folder; tests that ask for it carry the mark `shared`."""
    if not SHARED.is_dir():
        pytest.skip(f"{SHARED.name}/ with real logs and golden numbers does not stand beside the checkout")
    return SHARED


@pytest.fixture(scope="session")
def tiny_scenes(tmp_path_factory) -> Path:
    """A folder of two short drives through a town; not to be written to."""
    return write_tiny_town(tmp_path_factory.mktemp("tiny") / "scenes")


@pytest.fixture(scope="session")
def tiny_vocabulary(tmp_path_factory, tiny_scenes) -> Path:
    """A vocabulary file of 300 trajectories."""
    return write_tiny_vocabulary(tiny_scenes, tmp_path_factory.mktemp("tiny") / "vocabulary.npy")


@pytest.fixture(scope="session")
def tiny_dataset(tmp_path_factory, tiny_scenes, tiny_vocabulary) -> TinyDataset:
    """What one undisturbed run generates from them; not to be written to."""
    return write_tiny_dataset(tiny_scenes, tiny_vocabulary, tmp_path_factory.mktemp("tiny") / "dataset")
