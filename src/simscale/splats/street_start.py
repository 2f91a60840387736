"""Where training starts: a street of soft round Gaussians at coloured points, agents in their boxes, a dome of sky."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int32, UInt8
from scipy.spatial import KDTree

from simscale.scene import BadInput
from simscale.splats.capture import Agents, Capture
from simscale.splats.capture_points import projected
from simscale.splats.capture_start import StartPoints, start_points, usual, voxels
from simscale.splats.capture_stereo import triangulated
from simscale.splats.gaussians import SH_RESTS, Gaussians
from simscale.splats.harmonics import CONSTANT
from simscale.splats.pictures import Picture
from simscale.splats.places import place_order
from simscale.splats.settings import ReconstructSettings
from simscale.splats.street import MIRRORED_KINDS, AgentClouds, Drive, Exposures, Street, quats_of

Array = np.ndarray

SCALE_RANGE = (0.01, 2.0)
"""Of Gaussians at the start, m (ours: lonely points would be as large as houses)."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """Points by whom they belong to, thinned to the budget."""

    xyz: Float32[Array, "p 3"]  # street, world frame
    rgb: UInt8[Array, "p 3"]
    distance: Float[Array, " p"]  # from the nearest camera, m
    agent_xyz: Float32[Array, "q 3"]  # box frames
    agent_rgb: UInt8[Array, "q 3"]
    agent: Int32[Array, " q"]  # ascending
    mirrored: Bool[Array, " a"]
    masked: Bool[Array, " a"]  # agents that move and have too few points for a node
    method: str


def start_of(capture: Capture, settings: ReconstructSettings) -> Start:
    """Chooses the points that a street starts with.

    Raises:
        BadInput: A photograph is missing or damaged.
    """
    budget = int(settings.gaussians * settings.start_share)
    most = max(int(budget * (1 - settings.agent_share)), 1000)
    found = start_points(capture, replace(settings.start, most=most))
    agents = capture.agents
    mirrored = np.isin(agents.kind, MIRRORED_KINDS)
    xyz, rgb, agent = _of_agents(found, agents, mirrored, settings)
    node = np.bincount(agent, minlength=len(agents)) > 0
    street = found.of(-1)
    parked = [_where_parked(found, agents, i) for i in np.unique(found.owner) if i >= 0 and not node[i]]
    masked = ~node & (agents.travelled > settings.moved)
    more = [(own, colour) for own, colour, i in parked if not masked[i]]
    if found.method == "lidar" and settings.fill_in:
        more.append(_filled_in(capture, street.xyz, settings))
    street_xyz = np.concatenate([street.xyz, *[own for own, _ in more]])
    street_rgb = np.concatenate([street.rgb, *[colour for _, colour in more]])
    if not len(street_xyz) + len(xyz):
        raise BadInput(capture.name, "start", "no point", "photographs that overlap, or LiDAR points that they show")
    distance = KDTree(_places(capture)).query(street_xyz)[0] if len(street_xyz) else np.zeros(0)
    clear = distance > settings.clear
    return Start(
        xyz=street_xyz[clear],
        rgb=street_rgb[clear],
        distance=distance[clear],
        agent_xyz=xyz,
        agent_rgb=rgb,
        agent=agent,
        mirrored=mirrored,
        masked=masked,
        method=found.method,
    )


def _filled_in(capture: Capture, street: Array, settings: ReconstructSettings) -> tuple[Array, Array]:
    """Points from the photographs alone where no beam came: roofs, and what is far away."""
    xyz, rgb = triangulated(capture, settings.start.stereo)
    if not len(xyz) or not len(street):
        return xyz, rgb
    side = settings.fill_in_side
    near, _ = KDTree(street).query(xyz, distance_upper_bound=2 * side)
    new = ~np.isfinite(near) & (xyz[:, 2] > street[:, 2].min() - side)
    xyz, rgb = voxels(xyz[new], rgb[new], side=side)
    kept = usual(xyz, neighbours=settings.start.neighbours, deviations=settings.start.outlier_deviations)
    return xyz[kept], rgb[kept]


def _of_agents(found: StartPoints, agents: Agents, mirrored: Array, settings: ReconstructSettings):
    """Points of the agents that get a node, folded to one side where mirrored, within the share of agents."""
    parts = {int(i): found.of(int(i)) for i in np.unique(found.owner[found.owner >= 0])}
    parts = {i: part for i, part in parts.items() if len(part) >= settings.least_points}
    most, side = int(settings.gaussians * settings.agent_share * settings.start_share), settings.start.agent_voxel
    while True:
        made = []
        for i, part in parts.items():
            xyz = part.xyz * np.where([False, mirrored[i], False], np.sign(part.xyz), 1).astype(np.float32)
            made.append((*voxels(xyz, part.rgb, side=side), i))
        if sum(len(xyz) for xyz, _, _ in made) <= most:
            break
        side *= 1.25
    if not made:
        return np.zeros((0, 3), np.float32), np.zeros((0, 3), np.uint8), np.zeros(0, np.int32)
    whose = [np.full(len(xyz), i, dtype=np.int32) for xyz, _, i in made]
    return np.concatenate([m[0] for m in made]), np.concatenate([m[1] for m in made]), np.concatenate(whose)


def _where_parked(found: StartPoints, agents: Agents, agent: int) -> tuple[Array, Array, int]:
    own = found.of(agent)
    pose = agents.world_from_box[agent, int(np.argmax(agents.valid[agent]))]
    return (own.xyz @ pose[:3, :3].T + pose[:3, 3]).astype(np.float32), own.rgb, agent


def _places(capture: Capture) -> Float[Array, "f 3"]:
    return capture.frames.world_from_camera[:, :3, 3]


def street_of(
    capture: Capture, start: Start, pictures: list[Picture], frames: list[int], settings: ReconstructSettings
) -> Street:
    """The street before its first step.

    Args:
        capture: What it is made from.
        start: Its points.
        pictures: That train.
        frames: Of these pictures.
        settings: Numbers.
    """
    largest = np.minimum(settings.start_angle * start.distance, SCALE_RANGE[1])
    world = _soft(start.xyz, start.rgb, settings, sh_degree=settings.sh_degree, largest=largest)
    world = world.at(place_order(world.means))
    clouds = _soft(start.agent_xyz, start.agent_rgb, settings, sh_degree=0, groups=start.agent)
    return Street(
        name=capture.name,
        world=world,
        sky=sky_of(capture, pictures, frames, settings),
        clouds=AgentClouds(
            gaussians=clouds, agent=torch.from_numpy(start.agent.astype(np.int64)), mirrored=start.mirrored
        ),
        agents=capture.agents,
        exposures=Exposures.neutral(capture.camera_names, int(capture.frames.traversal.max()) + 1),
        drive=_drive_of(capture, frames),
    )


def _drive_of(capture: Capture, frames: list[int]) -> Drive:
    index = np.array(frames, dtype=np.int64)
    return Drive(
        camera=np.array([capture.camera_names.index(capture.frames.camera[i]) for i in frames], dtype=np.int64),
        traversal=capture.frames.traversal[index].astype(np.int64),
        timestamp_us=capture.frames.timestamp_us[index].astype(np.int64),
        world_from_camera=capture.frames.world_from_camera[index],
        ego_us=capture.ego_us.astype(np.int64),
        world_from_ego=capture.world_from_ego,
    )


def _soft(
    xyz: Array,
    rgb: Array,
    settings: ReconstructSettings,
    *,
    sh_degree: int,
    groups: Array | None = None,
    largest: Array | float = SCALE_RANGE[1],
) -> Gaussians:
    """Gaussians as large as the mean distance of the three nearest others of their group (3DGS), flat on planes (ours).

    A road of balls looks right from where it was seen, and is full of needles from the next lane.
    """
    count = len(xyz)
    scale, axes, thin = np.full(count, SCALE_RANGE[1]), np.tile(np.eye(3), (count, 1, 1)), np.ones(count)
    for group in [None] if groups is None else np.unique(groups):
        own = np.arange(count) if groups is None else np.flatnonzero(groups == group)
        if len(own) > settings.plane_neighbours:
            distance, index = KDTree(xyz[own]).query(xyz[own], k=settings.plane_neighbours + 1)
            scale[own] = distance[:, 1:4].mean(axis=1)
            axes[own], thin[own] = _planes(xyz[own][index])
    logs = np.log(np.clip(scale, SCALE_RANGE[0], largest))[:, None].repeat(3, axis=1)
    logs[:, 2] += np.log(np.clip(thin, settings.plane_thinness, 1.0))
    opacity = settings.start_opacity
    return Gaussians(
        means=torch.from_numpy(np.ascontiguousarray(xyz, dtype=np.float32)),
        log_scales=torch.from_numpy(logs.astype(np.float32)),
        quats=torch.from_numpy(quats_of(axes).astype(np.float32)),
        logit_opacity=torch.full((count,), math.log(opacity / (1 - opacity))),
        sh_dc=dc_of(torch.from_numpy(rgb).float() / 255),
        sh_rest=torch.zeros(count, SH_RESTS[sh_degree], 3),
    )


def _planes(near: Float32[Array, "p k 3"]) -> tuple[Float[Array, "p 3 3"], Float[Array, " p"]]:
    """Rotations whose third axis is the normal of the plane through neighbours, and how thick they lie around it.

    The thickness is a share of their second extent: 0 in a plane, 1 in a ball.
    """
    apart = near.astype(np.float64) - near.mean(axis=1, keepdims=True, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.swapaxes(apart, 1, 2) @ apart)  # ascending
    axes = vectors[..., ::-1].copy()
    axes[..., 0] *= np.sign(np.linalg.det(axes))[:, None]
    return axes, np.sqrt(np.clip(values[:, 0], 0, None) / np.maximum(values[:, 1], 1e-12))


def dc_of(colour: torch.Tensor) -> torch.Tensor:
    """The constant harmonic's coefficients of colours from 0 to 1."""
    return (colour - 0.5) / float(CONSTANT)


def sky_of(capture: Capture, pictures: list[Picture], frames: list[int], settings: ReconstructSettings) -> Gaussians:
    """A dome of Gaussians in all directions that a picture shows, with the brightest colour seen there.

    What hides the sky is mostly darker than it, and where it is never seen its colour does not matter.
    """
    sky = settings.sky
    lowest = sky.lowest if capture.metric else -math.pi / 2  # else nobody knows where up is
    most = min(sky.count, settings.gaussians // 10)
    direction = _dome(most, lowest)
    middle = _places(capture).mean(axis=0)
    xyz = middle + sky.radius * direction
    colour, seen = np.zeros((len(xyz), 3), np.float32), np.zeros(len(xyz), dtype=bool)
    for picture, frame in zip(pictures, frames, strict=True):
        small = picture.reduced(8) if min(picture.size) >= 64 else picture
        pixel, depth = projected(xyz, capture.frames.world_from_camera[frame], small.lens)
        width, height = small.size
        at = np.floor(pixel).astype(np.int64)
        ahead = np.flatnonzero((depth > 0) & (at >= 0).all(1) & (at[:, 0] < width) & (at[:, 1] < height))
        rgb = small.rgb.numpy()[at[ahead, 1], at[ahead, 0]].astype(np.float32) / 255
        brighter = rgb.sum(axis=1) > colour[ahead].sum(axis=1)
        colour[ahead[brighter]] = rgb[brighter]
        margin = 0.1 * width
        near = (depth > 0) & (pixel > -margin).all(1) & (pixel[:, 0] < width + margin) & (pixel[:, 1] < height + margin)
        seen |= near
    xyz, colour = xyz[seen], colour[seen]
    spacing = sky.radius * math.sqrt(2 * math.pi * (1 - math.sin(lowest)) / max(most, 1))
    count = len(xyz)
    return Gaussians(
        means=torch.from_numpy(xyz.astype(np.float32)),
        log_scales=torch.full((count, 3), math.log(0.6 * spacing)),
        quats=torch.tensor([1.0, 0.0, 0.0, 0.0]).repeat(count, 1),
        logit_opacity=torch.full((count,), math.log(sky.opacity / (1 - sky.opacity))),
        sh_dc=dc_of(torch.from_numpy(colour)),
        sh_rest=torch.zeros(count, SH_RESTS[settings.sh_degree], 3),
    )


def _dome(count: int, lowest: float) -> Float[Array, "n 3"]:
    """Directions spread evenly above an elevation (a Fibonacci lattice)."""
    index = np.arange(count)
    z = 1 - (index + 0.5) / max(count, 1) * (1 - math.sin(lowest))
    turn = math.pi * (3 - math.sqrt(5)) * index
    flat = np.sqrt(np.maximum(1 - z**2, 0))
    return np.stack([flat * np.cos(turn), flat * np.sin(turn), z], axis=-1)
