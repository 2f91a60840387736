"""Vocabulary: a few thousand trajectories that stand for everything people do in the next four seconds.

Its entries are the K-means centres of human futures, 40 poses at 10 Hz in the ego frame. Placed at a car's pose they
are the candidates for where that car could have been instead (pipeline.md 2), and the answers that the recovery
expert chooses from.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.cluster.vq import kmeans2

from simscale.geometry.se2 import to_child
from simscale.scene import DT, Plan, Scene

Array = np.ndarray

STEPS = 40
"""Poses of an entry: 4 s at 10 Hz."""
BACKWARDS = -0.05
"""An entry with a step of less than this along its own heading drives backwards and is left out, m (ours)."""
YAW_WEIGHT = 2.0
"""Metres that one radian counts for in the clustering (ours)."""
STANDING_STEP = 0.01
"""A future that moves less than this a step stands; its heading is that of its start, m (ours)."""
MAX_ITERATIONS = 25
"""Rounds of K-means; later ones move centres by centimetres (ours)."""


def forward_only(poses: Float[Array, "v 40 3"]) -> Bool[Array, " v"]:
    """Which entries never drive backwards."""
    start = np.zeros((len(poses), 1, 3))
    whole = np.concatenate([start, poses.astype(np.float64)], axis=1)
    step = np.diff(whole[..., :2], axis=1)
    yaw = whole[:, :-1, 2]
    along = step[..., 0] * np.cos(yaw) + step[..., 1] * np.sin(yaw)
    return np.all(along >= BACKWARDS, axis=1)


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """Entries that drive forwards, with their row in the file they came from."""

    poses: Float[Array, "v 40 3"]  # x, y, yaw every 0.1 s in the ego frame, the first after 0.1 s; m, rad
    row: Int[Array, " v"]  # row in the source file
    name: str  # of the source
    sha256: str  # of the source's content

    def plan(self, index: Array | np.integer) -> Plan:
        """The given entries as plans `[k 40]`, or the one entry as a plan `[40]`."""
        chosen = self.poses[index]
        return Plan(xy=chosen[..., :2], yaw=chosen[..., 2], dt=DT)


def vocabulary_of(poses: Float[Array, "v 40 3"], *, name: str, sha256: str) -> Vocabulary:
    """Keeps the entries that drive forwards."""
    row = np.flatnonzero(forward_only(poses))
    return Vocabulary(poses=poses[row].astype(np.float64), row=row, name=name, sha256=sha256)


def human_futures(scene: Scene, *, every: int = 1) -> Float[Array, "n 40 3"]:
    """The next 4 s of the ego from every `every`-th instant that has them, in the ego frame of that instant."""
    futures = [
        _future(scene.ego.xy[t : t + STEPS + 1], scene.ego.yaw[t : t + STEPS + 1])
        for t in range(0, len(scene) - STEPS, every)
    ]
    return np.stack(futures) if futures else np.zeros((0, STEPS, 3))


def agent_futures(scene: Scene, *, every: int = 1) -> Float[Array, "n 40 3"]:
    """The same for the vehicles around the ego, at the middle of their boxes: more drivers, the same roads."""
    tracks = scene.tracks
    futures = []
    for agent in np.flatnonzero(tracks.kind == 0):
        for t in range(0, len(scene) - STEPS, every):
            window = slice(t, t + STEPS + 1)
            if tracks.valid[agent, window].all():
                futures.append(_future(tracks.xy[agent, window], tracks.yaw[agent, window]))
    return np.stack(futures) if futures else np.zeros((0, STEPS, 3))


def _future(xy: Float[Array, "41 2"], yaw: Float[Array, "41"]) -> Float[Array, "40 3"]:
    ahead, turned = to_child(xy[1:], yaw[1:], frame_xy=xy[0], frame_yaw=float(yaw[0]))
    return np.concatenate([ahead, np.unwrap(turned)[:, None]], axis=-1)


def build_vocabulary(
    futures: Float[Array, "n 40 3"], *, size: int, generator: np.random.Generator
) -> Float[Array, "size 40 3"]:
    """K-means centres of human futures, sorted by how far they go.

    Args:
        futures: At least `size` different ones.
        size: Number of centres; published sizes are 8,192 and 16,384.
        generator: Draws the first centres.

    Returns:
        Poses, float32. Headings are those of the centre's own path where it moves.
    """
    assert len(futures) >= size, (len(futures), size)
    features = futures * np.array([1.0, 1.0, YAW_WEIGHT])
    flat = features.reshape(len(features), -1)
    first = _spread_out(flat, size, generator)
    centres, _ = k_means_round(flat, first, rounds=MAX_ITERATIONS)
    poses = centres.reshape(size, STEPS, 3) / np.array([1.0, 1.0, YAW_WEIGHT])
    poses[..., 2] = _heading_along(poses)
    return poses[np.argsort(poses[:, -1, 0], kind="stable")].astype(np.float32)


def k_means_round(
    flat: Float[Array, "n f"], centres: Float[Array, "size f"], *, rounds: int = 1
) -> tuple[Float[Array, "size f"], Int[Array, " n"]]:
    """Centres after so many rounds of k-means, and whose each future was in the last; a centre without any stays."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        return kmeans2(flat, centres, iter=rounds, minit="matrix", missing="warn")


def _spread_out(flat: Float[Array, "n f"], size: int, generator: np.random.Generator) -> Float[Array, "size f"]:
    """First centres by K-means++: each is drawn by its squared distance to those before it."""
    chosen = [int(generator.integers(len(flat)))]
    nearest = np.full(len(flat), np.inf)
    for _ in range(size - 1):
        nearest = np.minimum(nearest, ((flat - flat[chosen[-1]]) ** 2).sum(axis=1))
        drawn = np.searchsorted(np.cumsum(nearest), generator.random() * nearest.sum(), side="right")
        chosen.append(min(int(drawn), len(flat) - 1))
    return flat[chosen]


def _heading_along(poses: Float[Array, "v 40 3"]) -> Float[Array, "v 40"]:
    """Heading of the path where it moves, of the mean of its members where it stands."""
    whole = np.concatenate([np.zeros((len(poses), 1, 2)), poses[..., :2]], axis=1)
    step = (whole[:, 2:] - whole[:, :-2]) / 2
    step = np.concatenate([step, whole[:, -1:] - whole[:, -2:-1]], axis=1)
    moving = np.hypot(step[..., 0], step[..., 1]) > 5 * STANDING_STEP
    return np.where(moving, np.arctan2(step[..., 1], step[..., 0]), poses[..., 2])
