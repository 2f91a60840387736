"""Vocabulary files: what is written comes back, and what is not a vocabulary is refused in one sentence."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from simscale.dataset.vocabulary import read_vocabulary, write_vocabulary
from simscale.scene import BadInput


def straight(speeds: list[float]) -> np.ndarray:
    poses = np.zeros((len(speeds), 40, 3))
    poses[:, :, 0] = np.array(speeds)[:, None] * np.arange(1, 41) * 0.1
    return poses


def test_what_is_written_comes_back_but_for_what_drives_backwards(tmp_path):
    write_vocabulary(straight([5.0, -5.0, 0.0]), tmp_path / "below/v.npy")
    vocabulary = read_vocabulary(tmp_path / "below/v.npy")
    assert vocabulary.row.tolist() == [0, 2]
    np.testing.assert_allclose(vocabulary.poses, straight([5.0, 0.0]), rtol=1e-6)
    assert vocabulary.name == "v.npy" and len(vocabulary.sha256) == 64


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.zeros((3, 8, 3)), r"shape is \(3, 8, 3\)"),
        (np.zeros((0, 40, 3)), "shape is"),
        (np.full((2, 40, 3), np.nan), "what is not a number"),
        (np.zeros((2, 40, 3), dtype=int), "int64"),
        (b"", "unreadable"),
        (b"\x93NUMPY\x01\x00", "unreadable"),
        (pickle.dumps({"a": 1}), "unreadable"),
    ],
)
def test_what_is_no_vocabulary_is_refused(tmp_path: Path, content, words):
    path = tmp_path / "v.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(BadInput, match=words):
        read_vocabulary(path)


def test_an_array_of_objects_is_not_unpickled(tmp_path):
    np.save(tmp_path / "v.npy", np.array([print], dtype=object), allow_pickle=True)
    with pytest.raises(BadInput, match="unreadable"):
        read_vocabulary(tmp_path / "v.npy")


@pytest.mark.shared
def test_the_published_vocabulary_is_read(shared):
    vocabulary = read_vocabulary(shared / "navsim/trajectory_vocabulary_8192.npy")
    assert vocabulary.poses.shape[1:] == (40, 3) and 7000 < len(vocabulary.row) <= 8192
