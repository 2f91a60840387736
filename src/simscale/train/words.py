"""The trajectories that a planner chooses from: a vocabulary file, or a part of one that stands for the whole.

Rewards are scored for a whole file (`simscale rewards --vocabulary`). A planner with fewer trajectories takes those
rows of it that lie nearest to as many K-means centres, so that one store of rewards serves planners of every size.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy.optimize import linear_sum_assignment

from simscale.dataset.vocabulary import Trajectories, read_trajectories
from simscale.perturb.vocabulary import build_vocabulary, forward_only
from simscale.scene import BadInput
from simscale.scene.seeds import generator_of

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a planner chooses from, and where it stands in its file."""

    poses: Float32[Array, "v 40 3"]  # x, y, yaw every 0.1 s in the ego frame; m, rad
    row: Int[Array, " v"]  # in the file
    name: str  # of the file
    sha256: str  # of its content


def words_of(path: Path | None, *, size: int) -> Words:
    """`size` trajectories of a vocabulary file; the shipped one where no path is given.

    Raises:
        BadInput: The file is no vocabulary, or has fewer.
    """
    read = read_trajectories(path)
    if len(read.poses) == size:
        return _words(read, np.arange(size))
    ahead = np.flatnonzero(forward_only(read.poses))
    if len(ahead) < size:
        found = f"{len(read.poses)} trajectories, {len(ahead)} of them forwards"
        raise BadInput(read.name, "vocabulary", found, f"at least the {size} that the planner chooses from")
    return _words(read, ahead[_standing_for(size, read.poses[ahead])])


def found_words(path: Path | None, poses: Float32[Array, "v 40 3"]) -> Words:
    """The rows of a vocabulary file that hold these trajectories.

    Raises:
        BadInput: It lacks one of them.
    """
    read = read_trajectories(path)
    place = {one.astype(np.float32).tobytes(): row for row, one in enumerate(read.poses)}
    row = [place.get(one.tobytes(), -1) for one in poses]
    if -1 in row:
        found = f"without trajectory {row.index(-1)} of the planner that the training starts from"
        raise BadInput(
            read.name, "vocabulary", found, f"all {len(row)} of them (the vocabulary that it was trained on)"
        )
    return _words(read, np.array(row))


def _words(read: Trajectories, row: Int[Array, " v"]) -> Words:
    return Words(poses=read.poses[row].astype(np.float32), row=row, name=read.name, sha256=read.sha256)


def _standing_for(size: int, poses: Float[Array, "n 40 3"]) -> Int[Array, " size"]:
    """Rows nearest to as many centres, each row once: the pairs that lie nearest to each other in sum; sorted."""
    centres = build_vocabulary(poses.astype(np.float64), size=size, generator=generator_of(0, "words", size))
    xy, centre_xy = poses[..., :2].reshape(len(poses), -1), centres[..., :2].reshape(size, -1)
    squared = (xy**2).sum(1) + (centre_xy**2).sum(1)[:, None] - 2.0 * centre_xy @ xy.T
    return np.sort(linear_sum_assignment(squared)[1])
