"""A street as a graph of Gaussians: what stands still, the sky, and one node for each rigid agent in its box's frame.

Nodes are posed at any time, logged or simulated, and become one flat cloud with the index of its node for each
Gaussian, so that whatever draws sees the same arrays. A vehicle's left and right side are mirror images (MTGS_ST), so
one side is kept and drawn twice: the side that no camera ever saw is filled in.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from scipy.spatial.transform import Rotation
from torch import Tensor

from simscale.scene.tracks import TrackKind
from simscale.splats.capture import Agents
from simscale.splats.gaussians import Gaussians, joined

Array = np.ndarray

WORLD, SKY = -1, -2
"""Nodes that are no agents; an agent's node is its index."""
MIRRORED_KINDS = (int(TrackKind.VEHICLE),)
"""Whose left and right side look the same."""
_FLIP_QUAT = (1.0, -1.0, 1.0, -1.0)
_FLIP_MEAN = (1.0, -1.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class AgentClouds:
    """Gaussians of all agents, each in its box's frame, sorted by agent. Mirrored ones lie on the side y > 0."""

    gaussians: Gaussians
    agent: Int[Tensor, " n"]  # index among the agents, ascending
    mirrored: Bool[Array, " a"]  # whose Gaussians are drawn a second time with y turned around

    @property
    def present(self) -> Bool[Array, " a"]:
        """Which agents have a node."""
        return np.bincount(self.agent.cpu().numpy(), minlength=len(self.mirrored)) > 0

    def rows(self, shown: Bool[Array, " a"]) -> Int[Tensor, " m"]:
        """Rows of some agents, in order."""
        return torch.from_numpy(np.asarray(shown))[self.agent.cpu()].nonzero()[:, 0].to(self.agent.device)


@dataclass(frozen=True, kw_only=True)
class Exposures:
    """What each camera of each drive makes of colours: an affine map."""

    camera: tuple[str, ...]
    affine: Float32[Tensor, "c v 3 4"]  # of cameras and traversals; rows give red, green, blue from them and 1

    @classmethod
    def neutral(cls, camera: tuple[str, ...], traversals: int) -> "Exposures":
        """Those that change nothing."""
        return cls(camera=camera, affine=torch.eye(3, 4).repeat(len(camera), traversals, 1, 1))


@dataclass(frozen=True, kw_only=True)
class Drive:
    """Where the street was seen from: photographs that trained, with corrected poses, and the ego's poses."""

    camera: Int[Array, " f"]  # index among the exposures' cameras
    traversal: Int[Array, " f"]
    timestamp_us: Int[Array, " f"]
    world_from_camera: Float[Array, "f 4 4"]
    ego_us: Int[Array, " e"]
    world_from_ego: Float[Array, "e 4 4"]


@dataclass(frozen=True, kw_only=True)
class Street:
    """A reconstructed street."""

    name: str
    world: Gaussians  # what stands still, in the world frame
    sky: Gaussians  # on a sphere so far away that it does not move
    clouds: AgentClouds
    agents: Agents  # boxes as logged
    exposures: Exposures
    drive: Drive

    def __len__(self) -> int:
        """How many Gaussians are kept."""
        return len(self.world) + len(self.sky) + len(self.clouds.gaussians)


def posed(
    clouds: AgentClouds, world_from_box: Float[Array, "a 4 4"], shown: Bool[Array, " a"]
) -> tuple[Gaussians, Int[Tensor, " m"]]:
    """Gaussians of some agents in the world; differentiable in them.

    Args:
        clouds: All agents'.
        world_from_box: Where their boxes are.
        shown: Which of them.

    Returns:
        The Gaussians, first all and then the mirrored ones' other sides, and the row in `clouds` of each.
    """
    rows = clouds.rows(shown)
    own = clouds.gaussians.at(rows)
    flipped = torch.from_numpy(clouds.mirrored)[clouds.agent[rows].cpu()].nonzero()[:, 0].to(rows.device)
    both = joined(own, _turned_around(own.at(flipped)))
    source = torch.cat([rows, rows[flipped]])
    agent = clouds.agent[source]
    rotation = torch.as_tensor(world_from_box[:, :3, :3], dtype=torch.float32, device=rows.device)[agent]
    place = torch.as_tensor(world_from_box[:, :3, 3], dtype=torch.float32, device=rows.device)[agent]
    turn = torch.as_tensor(quats_of(world_from_box[:, :3, :3]), dtype=torch.float32, device=rows.device)[agent]
    means = (rotation @ both.means[:, :, None])[:, :, 0] + place
    parts = both.tensors() | {"means": means, "quats": multiplied(turn, both.quats)}
    return Gaussians(**parts), source


def assembled(
    street: Street, world_from_box: Float[Array, "a 4 4"], shown: Bool[Array, " a"]
) -> tuple[Gaussians, Int[Tensor, " n"]]:
    """The whole street at one instant, and the node of each Gaussian: WORLD, SKY or an agent.

    Args:
        street: The reconstruction.
        world_from_box: Where the boxes of its agents are, all of them.
        shown: Which agents are there; those without a node are not drawn.
    """
    agents, source = posed(street.clouds, world_from_box, shown & street.clouds.present)
    node = torch.cat(
        [
            torch.full((len(street.world),), WORLD),
            torch.full((len(street.sky),), SKY),
            street.clouds.agent[source].cpu(),
        ]
    )
    return joined(street.world, street.sky, of_degree_like(agents, street.world)), node


def of_degree_like(gaussians: Gaussians, other: Gaussians) -> Gaussians:
    """The same with as many harmonics as others have; those that it lacked are zero."""
    rest = gaussians.sh_rest
    missing = other.sh_rest.shape[1] - rest.shape[1]
    assert missing >= 0, "harmonics would be lost"
    more = torch.cat([rest, rest.new_zeros(len(rest), missing, 3)], dim=1)
    return Gaussians(**gaussians.tensors() | {"sh_rest": more})


def _turned_around(gaussians: Gaussians) -> Gaussians:
    """The mirror images with y turned around; mirroring twice a rotation's axes leaves a rotation."""
    means, quats = gaussians.means, gaussians.quats
    parts = {"means": means * means.new_tensor(_FLIP_MEAN), "quats": quats * quats.new_tensor(_FLIP_QUAT)}
    return Gaussians(**gaussians.tensors() | parts)


def multiplied(a: Float[Tensor, "n 4"], b: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
    """Products of quaternions, wxyz: first `b`'s rotation, then `a`'s."""
    aw, ax, ay, az = a.unbind(-1)
    bw, bx, by, bz = b.unbind(-1)
    return torch.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        dim=-1,
    )


def quats_of(rotation: Float[Array, "a 3 3"]) -> Float[Array, "a 4"]:
    """Unit quaternions, wxyz, of rotations."""
    if not len(rotation):
        return np.zeros((0, 4))
    return Rotation.from_matrix(rotation).as_quat(scalar_first=True)
