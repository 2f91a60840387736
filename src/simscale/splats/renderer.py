"""The second `Renderer`: a street reconstructed from photographs, drawn from states that no photograph saw.

Cameras keep their own lens, exposure and height above the road; agents stand where the simulation has them. What the
reconstruction had to make up is told beside each image (`Trust`).
"""

from collections import OrderedDict
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int
from torch import Tensor

from simscale.geometry.se3 import inverse, yaw_of
from simscale.render import Image, SemanticClass, Trust
from simscale.render.renderer import Channel
from simscale.scene import Cameras, Tracks
from simscale.splats.gaussians import Gaussians
from simscale.splats.lens_warp import LensWarp, lens_warp
from simscale.splats.memory import Memory
from simscale.splats.pictures import seen_agents
from simscale.splats.places import by_place
from simscale.splats.placing import Placing, moved_to, nearest_pose, placing_of, posed_tracks
from simscale.splats.render import render
from simscale.splats.settings import ReconstructSettings
from simscale.splats.street import Street, of_degree_like
from simscale.splats.street_losses import exposed
from simscale.splats.view import Drawing, Limits, View

Array = np.ndarray

KEPT_INSTANTS = 4
"""Instants whose agents are kept posed: the same one is often drawn for several egos."""
KEPT_LENSES = 32
"""Warps that are kept; those used longest ago are forgotten first."""
COVERED = 0.5
"""Share of the light from which on a pixel counts as reconstructed (ours)."""
RADIAN = 4.0
"""A view turned by 1 rad is as far as one that stands so many metres aside (ours)."""
MOST_TILT = 1e-6
"""Share by which the up axis of an upright pose may miss the vertical."""
CLASS_OF_KIND = {0: SemanticClass.VEHICLE, 1: SemanticClass.PERSON, 2: SemanticClass.BICYCLE}
"""By TrackKind; all else is an object."""
SKY_CHANNEL, DEPTH_CHANNEL, FIRST_TRACK = 0, 1, 2
"""Of what is measured: the sky's share, depth of all but the sky, and then the share of each track."""


@dataclass(frozen=True, kw_only=True)
class _Posed:
    """Agents of one instant in the world."""

    gaussians: Gaussians
    track: Int[Tensor, " m"]  # whose each is
    placing: Placing
    shown: Bool[Array, " a"]  # those in view


class SplatRenderer:
    """Draws a street with agents; see `Renderer`."""

    def __init__(self, street: Street, *, rays: int = 1, grounded: bool = True):
        """Prepares a street, which takes a fraction of a second.

        Args:
            street: The reconstruction.
            rays: Pixels drawn along the side of each pixel, whose mean it is; 2 is as smooth as ray casting with 2.
            grounded: Whether an ego that stands upright gets height, roll and pitch of the nearest logged pose.
        """
        assert rays in (1, 2, 3, 4), rays
        self.street, self.rays, self.grounded = street, rays, grounded
        self._near = ReconstructSettings().near_plane
        self._room = _Room(by_place(street.world), by_place(street.sky))
        self._instants: OrderedDict[tuple, _Posed] = OrderedDict()
        self._lenses: OrderedDict[tuple, LensWarp] = OrderedDict()
        self._memory = Memory()

    def at(self, *, rays: int) -> "SplatRenderer":
        """The same street with another number of rays; nothing is prepared again."""
        other = copy(self)
        other.rays = rays
        return other

    @torch.no_grad()
    def render(
        self,
        cameras: Cameras,
        world_from_ego: Float[Array, "4 4"],
        tracks: Tracks,
        lights: Int[Array, " l"],
        *,
        channels: tuple[Channel, ...] = ("rgb",),
    ) -> tuple[Image, ...]:
        """One image a camera; see `Renderer.render`.

        Lights look as they did when the street was recorded. Photographs do not tell what stands still, so that
        `semantic` knows the sky and agents, and calls all else an object.
        """
        pose = self._on_the_ground(world_from_ego)
        assert np.isfinite(pose).all(), "an ego without a place"
        poses = [pose @ own for own in cameras.ego_from_camera]
        lenses = [self._lens(cameras, c, self.rays) for c in range(len(poses))]
        placing = placing_of(self.street, tracks)
        views = [_in_view(placing, inverse(p), lens) for p, lens in zip(poses, lenses, strict=True)]
        posed = self._posed(tracks, placing, np.logical_or.reduce(views))
        everything = self._room.with_agents(posed.gaussians)
        images = []
        for c, (at, lens, view) in enumerate(zip(poses, lenses, views, strict=True)):
            rgb, trust = self._colours(cameras.name[c], at, lens, everything, posed, view)
            parts: dict[str, Array | None] = {"rgb": None, "depth": None, "instance": None, "semantic": None}
            if "rgb" in channels:
                parts["rgb"] = rgb
            if set(channels) - {"rgb"}:
                measured = self._measured(at, self._lens(cameras, c, 1), everything, posed, tracks)
                parts |= {name: array for name, array in measured.items() if name in channels}
            images.append(Image(**parts, trust=trust))
        return tuple(images)

    def _on_the_ground(self, pose: Float[Array, "4 4"]) -> Float[Array, "4 4"]:
        """Height, roll and pitch of the nearest logged pose, for a pose that has none of its own."""
        logged = self.street.drive.world_from_ego
        if not self.grounded or not len(logged) or pose[2, 2] < 1 - MOST_TILT:
            return pose
        near = logged[nearest_pose(logged, pose[:2, 3], float(yaw_of(pose)))]
        return moved_to(near, pose[:2, 3], float(yaw_of(pose)))

    def _posed(self, tracks: Tracks, placing: Placing, shown: Bool[Array, " a"]) -> _Posed:
        """Agents of an instant, kept for the next ego that sees the same ones."""
        arrays = (tracks.xy, tracks.z, tracks.yaw, tracks.size, tracks.kind, tracks.valid, shown)
        key = (tracks.id, *(np.ascontiguousarray(array).tobytes() for array in arrays))
        if key not in self._instants:
            gaussians, track = posed_tracks(self.street, tracks, placing, shown)
            posed = of_degree_like(gaussians, self.street.world)
            self._instants[key] = _Posed(gaussians=posed, track=track, placing=placing, shown=shown)
            while len(self._instants) > KEPT_INSTANTS:
                self._instants.popitem(last=False)
        self._instants.move_to_end(key)
        return self._instants[key]

    def _lens(self, cameras: Cameras, c: int, side: int) -> LensWarp:
        lens, distortion = cameras.intrinsics[c], cameras.distortion[c]
        width, height = (int(size) for size in cameras.size_px[c])
        key = (lens.tobytes(), distortion.tobytes(), width, height, side)
        if key not in self._lenses:
            self._lenses[key] = lens_warp(lens, distortion, width=width, height=height, side=side)
            while len(self._lenses) > KEPT_LENSES:
                self._lenses.popitem(last=False)
        self._lenses.move_to_end(key)
        return self._lenses[key]

    def _colours(
        self, camera: str, pose: Array, lens: LensWarp, everything: Gaussians, posed: _Posed, view: Bool[Array, " a"]
    ) -> tuple[Array, Trust]:
        """The image, and its trust."""
        filled = posed.placing.filled
        extra = None
        if (filled & view).any():
            extra = torch.zeros(len(everything), 1)
            extra[self._room.still :, 0] = torch.from_numpy(filled)[posed.track].float()
        drawing = self._drawn(pose, lens, everything, extra)
        near = self._nearest_view(pose)
        colour = exposed(drawing.image, self._exposure(camera, near))[0]
        seen = lens.seen(torch.cat([colour, drawing.alpha[0, ..., None], drawing.extra[0]], dim=-1))
        rgb = (seen[..., :3].clamp(0, 1) * 255).round().to(torch.uint8).numpy()
        recorded = self.street.drive.world_from_camera[near]
        trust = Trust(
            view_distance=float(np.linalg.norm(recorded[:3, 3] - pose[:3, 3])),
            view_angle=_angle(recorded[:3, 2], pose[:3, 2]),
            coverage=float((seen[..., 3] > COVERED).float().mean()),
            filled=0.0 if extra is None else float((seen[..., 4] > COVERED).float().mean()),
            left_out=int((posed.placing.left_out & view).sum()),
        )
        return np.ascontiguousarray(rgb), trust

    def _measured(
        self, pose: Array, lens: LensWarp, everything: Gaussians, posed: _Posed, tracks: Tracks
    ) -> dict[str, Array]:
        """Depth, instance and class at pixel centres."""
        who = np.flatnonzero(posed.shown & (posed.placing.node >= 0))
        first, last = self._room.sky, self._room.still
        extra = torch.zeros(len(everything), FIRST_TRACK + len(who))
        extra[first:last, SKY_CHANNEL] = 1
        row = torch.from_numpy(inverse(pose)[2]).float()
        extra[:, DEPTH_CHANNEL] = everything.means @ row[:3] + row[3]
        extra[first:last, DEPTH_CHANNEL] = 0
        place = torch.full((len(tracks.id),), -1, dtype=torch.int64)
        place[torch.from_numpy(who)] = torch.arange(len(who))
        extra[torch.arange(last, len(everything)), FIRST_TRACK + place[posed.track]] = 1
        drawing = self._drawn(pose, lens, everything, extra)
        planes = lens.seen(torch.cat([drawing.alpha[0, ..., None], drawing.extra[0]], dim=-1), nearest=True)
        alpha, sky, depth, share = planes[..., 0], planes[..., 1], planes[..., 2], planes[..., 3:]
        street = alpha - sky
        open_sky = (sky >= street) | (alpha <= COVERED)
        instance = _winners(share, street, torch.from_numpy(who))
        instance[open_sky] = -1
        classes = torch.tensor([CLASS_OF_KIND.get(int(kind), SemanticClass.OBJECT) for kind in tracks.kind] or [0])
        semantic = torch.where(instance >= 0, classes[instance.clamp(min=0)], int(SemanticClass.OBJECT))
        semantic[open_sky] = int(SemanticClass.SKY)
        return {
            "depth": torch.where(open_sky, torch.inf, depth / street.clamp(min=1e-6)).float().numpy(),
            "instance": instance.to(torch.int32).numpy(),
            "semantic": semantic.to(torch.uint8).numpy(),
        }

    def _drawn(self, pose: Array, lens: LensWarp, everything: Gaussians, extra: Tensor | None) -> Drawing:
        view = View(
            camera_from_world=torch.from_numpy(inverse(pose)).float()[None],
            intrinsics=torch.from_numpy(lens.intrinsics).float()[None],
            width=lens.width,
            height=lens.height,
        )
        return render(everything, view, extra=extra, limits=Limits(near=self._near), memory=self._memory)

    def _nearest_view(self, pose: Float[Array, "4 4"]) -> int:
        """The recorded view that is nearest in place and direction."""
        views = self.street.drive.world_from_camera
        away = np.linalg.norm(views[:, :3, 3] - pose[:3, 3], axis=1)
        return int(np.argmin(away + RADIAN * np.arccos(np.clip(views[:, :3, 2] @ pose[:3, 2], -1, 1))))

    def _exposure(self, camera: str, near: int) -> Float32[Tensor, "3 4"]:
        """Of a camera of the street on the drive of the nearest view; of all cameras' mean for one of another rig."""
        exposures, traversal = self.street.exposures, int(self.street.drive.traversal[near])
        if camera in exposures.camera:
            return exposures.affine[exposures.camera.index(camera), traversal]
        return exposures.affine[:, traversal].mean(dim=0)


class _Room:
    """All Gaussians side by side: what stands still, the sky, and room for agents, so that nothing is copied twice."""

    def __init__(self, world: Gaussians, sky: Gaussians):
        """Lays out what does not move."""
        self.sky, self.still = len(world), len(world) + len(sky)
        self._parts = {name: torch.cat([value, sky.tensors()[name]]) for name, value in world.tensors().items()}

    def with_agents(self, agents: Gaussians) -> Gaussians:
        """Everything; valid until the next call."""
        count = self.still + len(agents)
        for name, value in agents.tensors().items():
            room = self._parts[name]
            if len(room) < count:
                room = torch.cat([room[: self.still], value.new_zeros(2 * len(agents), *value.shape[1:])])
                self._parts[name] = room
            room[self.still : count] = value
        return Gaussians(**{name: room[:count] for name, room in self._parts.items()})


def _in_view(placing: Placing, camera_from_world: Array, lens: LensWarp) -> Bool[Array, " a"]:
    """Tracks that a camera may see."""
    size = (lens.width, lens.height)
    seen = seen_agents(placing.boxes, placing.world_from_box, camera_from_world, lens.intrinsics, size)
    return seen & placing.boxes.valid[:, 0]


def _winners(
    share: Float32[Tensor, "h w n"], street: Float32[Tensor, "h w"], who: Int[Tensor, " n"]
) -> Int[Tensor, "h w"]:
    """The track that shows most where it shows more than what stands still; -1 elsewhere."""
    if not len(who):
        return torch.full(street.shape, -1, dtype=torch.int64)
    most, which = share.max(dim=-1)
    return torch.where(most > street - share.sum(dim=-1), who[which], -1)


def _angle(a: Float[Array, "3"], b: Float[Array, "3"]) -> float:
    return float(np.arccos(np.clip(a @ b, -1, 1)))
