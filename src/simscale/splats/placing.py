"""Placing: where the agents of a simulation stand in a reconstructed street, and whose looks they have.

Each has its own node's looks where it has one. An agent that parked and has no node is part of the street. Any other
one is drawn with the node of its kind whose size is nearest, stretched to its box; where the street has none of its
kind, it is left out, and that is told.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from simscale.geometry.angles import wrap
from simscale.geometry.se3 import yaw_of
from simscale.scene import Tracks
from simscale.splats.capture import Agents
from simscale.splats.gaussians import Gaussians
from simscale.splats.settings import ReconstructSettings
from simscale.splats.source_scene import agents_of
from simscale.splats.street import AgentClouds, Street, posed

Array = np.ndarray

PARKED = ReconstructSettings().moved
"""An agent without a node that travelled no farther is part of the street, m."""
HOME = 1.0
"""Farther from its logged places than this, m, an agent that is part of the street is drawn where it is not (ours)."""
STRETCH = (0.5, 2.0)
"""Bounds of what another's looks are stretched by along each axis (ours)."""
TURN_LENGTH = 2.0
"""A turn of 1 rad weighs as much as so many metres in choosing the nearest logged pose (ours)."""


@dataclass(frozen=True, kw_only=True)
class Placing:
    """Agents of one instant."""

    node: Int[Array, " a"]  # whose looks each track has; -1 for those that are not drawn by themselves
    boxes: Agents  # of one instant, upright
    world_from_box: Float[Array, "a 4 4"]  # tilted as they were logged
    filled: Bool[Array, " a"]  # drawn with another's looks
    left_out: Bool[Array, " a"]  # there, and not drawn, or drawn where they are not


def placing_of(street: Street, tracks: Tracks) -> Placing:
    """Where everybody is.

    Args:
        street: The reconstruction.
        tracks: Everybody at one instant, [a 1], as the simulation has them.
    """
    index = {name: i for i, name in enumerate(street.agents.id)}
    own = np.array([index.get(name, -1) for name in tracks.id], dtype=np.int64)
    there, present = tracks.valid[:, 0], street.clouds.present
    known = own >= 0
    has_node = known & _of(present, own)
    part = known & ~has_node & _of(street.agents.travelled <= PARKED, own)
    node = np.where(there & has_node, own, -1)
    filled, left_out = np.zeros(len(own), dtype=bool), np.zeros(len(own), dtype=bool)
    boxes = agents_of(tracks, np.zeros(1, dtype=np.int64))
    pose = boxes.world_from_box[:, 0].copy()
    for i in np.flatnonzero(there & known):
        nearest, distance = _nearest_logged(street.agents, int(own[i]), tracks.xy[i, 0], float(tracks.yaw[i, 0]))
        if has_node[i] and nearest is not None:
            pose[i] = moved_to(nearest, tracks.xy[i, 0], float(tracks.yaw[i, 0]))
        left_out[i] = part[i] and distance > HOME
    for i in np.flatnonzero(there & ~has_node & ~part):
        node[i] = _likest(street.agents, present, int(tracks.kind[i]), tracks.size[i])
        filled[i], left_out[i] = node[i] >= 0, node[i] < 0
    return Placing(node=node, boxes=boxes, world_from_box=pose, filled=filled, left_out=left_out)


def posed_tracks(
    street: Street, tracks: Tracks, placing: Placing, shown: Bool[Array, " a"]
) -> tuple[Gaussians, Int[Tensor, " m"]]:
    """Gaussians of some tracks in the world, and whose each is."""
    clouds = street.clouds
    count = np.bincount(clouds.agent.numpy(), minlength=len(clouds.mirrored))
    first = np.concatenate([[0], np.cumsum(count)])
    who = np.flatnonzero(shown & (placing.node >= 0))
    parts = [np.arange(int(first[node]), int(first[node + 1])) for node in placing.node[who]]
    rows = torch.from_numpy(np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64))
    track = torch.from_numpy(np.repeat(who, [len(part) for part in parts]))
    stretch = np.ones((len(shown), 3))
    for i in who[placing.filled[who]]:
        stretch[i] = np.clip(tracks.size[i] / np.maximum(street.agents.size[placing.node[i]], 1e-3), *STRETCH)
    mirrored = np.zeros(len(shown), dtype=bool)
    mirrored[who] = clouds.mirrored[placing.node[who]]
    own = stretched(clouds.gaussians.at(rows), torch.from_numpy(stretch).float()[track])
    gaussians, source = posed(
        AgentClouds(gaussians=own, agent=track, mirrored=mirrored), placing.world_from_box, np.ones(len(shown), bool)
    )
    return gaussians, track[source]


def moved_to(pose: Float[Array, "4 4"], xy: Float[Array, "2"], yaw: float) -> Float[Array, "4 4"]:
    """A logged pose at another place and heading: its height, roll and pitch are kept."""
    turn = yaw - float(yaw_of(pose))
    c, s = np.cos(turn), np.sin(turn)
    moved = pose.copy()
    moved[:2, :3] = np.array([[c, -s], [s, c]]) @ pose[:2, :3]
    moved[:2, 3] = xy
    return moved


def nearest_pose(poses: Float[Array, "n 4 4"], xy: Float[Array, "2"], yaw: float) -> int:
    """Index of the pose that is nearest in place and heading."""
    away = np.linalg.norm(poses[:, :2, 3] - xy, axis=1)
    return int(np.argmin(away + TURN_LENGTH * np.abs(wrap(yaw_of(poses) - yaw))))


def stretched(gaussians: Gaussians, by: Float[Tensor, "n 3"]) -> Gaussians:
    """Gaussians stretched along the axes of their frame; each keeps its own axes, which grow as they would (ours)."""
    if bool((by == 1).all()):
        return gaussians
    w, x, y, z = torch.nn.functional.normalize(gaussians.quats, dim=1).unbind(-1)
    axes = [  # own axes, in columns
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    turned = torch.stack([torch.stack(row, dim=-1) for row in axes], dim=-2)
    growth = (by.square()[..., None] * turned.square()).sum(dim=-2)
    parts = {"means": gaussians.means * by, "log_scales": gaussians.log_scales + growth.log() / 2}
    return Gaussians(**gaussians.tensors() | parts)


def _of(values: Bool[Array, " n"], index: Int[Array, " a"]) -> Bool[Array, " a"]:
    """Values of agents; False for index -1."""
    return np.concatenate([np.asarray(values, dtype=bool), [False]])[index]


def _nearest_logged(agents: Agents, agent: int, xy: Array, yaw: float) -> tuple[Array | None, float]:
    """The logged pose of an agent that is nearest, and its distance, m."""
    poses = agents.world_from_box[agent, agents.valid[agent]]
    if not len(poses):
        return None, float("inf")
    pose = poses[nearest_pose(poses, xy, yaw)]
    return pose, float(np.linalg.norm(pose[:2, 3] - xy))


def _likest(agents: Agents, present: Bool[Array, " n"], kind: int, size: Float[Array, "3"]) -> int:
    """The node of a kind whose box is nearest in size; -1 where there is none."""
    like = np.flatnonzero(present & (agents.kind == kind))
    if not len(like):
        return -1
    apart = np.abs(np.log(np.maximum(agents.size[like], 1e-3) / np.maximum(size, 1e-3))).sum(axis=1)
    return int(like[np.argmin(apart)])
