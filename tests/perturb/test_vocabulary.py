import numpy as np
import pytest

from simscale.perturb.vocabulary import (
    agent_futures,
    build_vocabulary,
    forward_only,
    human_futures,
    vocabulary_of,
)
from worlds import straight_scene


def straight(speed: float) -> np.ndarray:
    x = np.arange(1, 41) * 0.1 * speed
    return np.stack([x, 0 * x, 0 * x], -1)


def test_entries_that_drive_backwards_are_left_out():
    poses = np.stack([straight(5), straight(0), straight(-2)])
    assert forward_only(poses).tolist() == [True, True, False]
    vocabulary = vocabulary_of(poses, name="three", sha256="0" * 64)
    assert vocabulary.row.tolist() == [0, 1]
    assert vocabulary.plan(np.array([1, 0])).xy.shape == (2, 40, 2)


def test_futures_are_seen_from_where_they_start():
    futures = human_futures(straight_scene(speed=8.0, seconds=6.0))
    assert futures.shape == (21, 40, 3)
    np.testing.assert_allclose(futures[7], straight(8.0), atol=1e-9)
    others = agent_futures(straight_scene(boxes=[(20, 0, 0, 5)], seconds=6.0))
    np.testing.assert_allclose(others[3], straight(5.0), atol=1e-9)


def test_centres_are_means_of_their_members():
    speeds = np.repeat([2.0, 8.0, 15.0], 40) + np.tile(np.linspace(-0.5, 0.5, 40), 3)
    futures = np.stack([straight(speed) for speed in speeds])
    poses = build_vocabulary(futures, size=3, generator=np.random.Generator(np.random.Philox(1)))
    assert poses.dtype == np.float32
    np.testing.assert_allclose(poses[:, -1, 0], [8.0, 32.0, 60.0], atol=1e-4)


def test_the_same_seed_gives_the_same_centres():
    futures = human_futures(straight_scene(speed=8.0)) * np.linspace(0.2, 1.0, 81)[:, None, None]
    made = [build_vocabulary(futures, size=8, generator=np.random.Generator(np.random.Philox(3))) for _ in range(2)]
    assert made[0].tobytes() == made[1].tobytes()


@pytest.mark.shared
def test_the_published_vocabulary_reads(shared):
    poses = np.load(shared / "navsim" / "trajectory_vocabulary_8192.npy")
    vocabulary = vocabulary_of(poses, name="navsim", sha256="")
    assert 8000 < len(vocabulary.row) <= 8192
