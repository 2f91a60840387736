"""Capture: what a street is reconstructed from, wherever it was recorded.

Photographs with poses and lenses, LiDAR points, and the boxes of everybody who moves: seven kinds of sources become
this one noun, and nothing after it asks where they came from. Pixels are read later, one photograph at a time.

Axes: `f` frames (photographs), `s` LiDAR sweeps, `p` their points, `a` agents, `t` instants of their boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, Int32, UInt8
from scipy.spatial.transform import Rotation

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Frames:
    """Photographs, sorted by time and then by camera. The pixel's centre stands at whole numbers, as in `Cameras`."""

    path: tuple[Path, ...]
    camera: tuple[str, ...]
    traversal: Int[Array, " f"]  # which drive through the street, from 0
    timestamp_us: Int[Array, " f"]
    world_from_camera: Float[Array, "f 4 4"]  # camera frame: x right, y down, z forward
    intrinsics: Float[Array, "f 3 3"]  # pixels of the file
    distortion: Float[Array, "f 5"]  # k1, k2, p1, p2, k3 of OpenCV
    size_px: Int[Array, "f 2"]  # width, height of the file
    mask: tuple[Path | None, ...]  # picture whose black pixels do not count: the ego's own bonnet
    held_out: Bool[Array, " f"]  # kept from training, to score it

    def __len__(self) -> int:
        """How many."""
        return len(self.path)


@dataclass(frozen=True, kw_only=True)
class Sweeps:
    """LiDAR points where they were when they were measured."""

    xyz: Float32[Array, "p 3"]  # world frame, m
    sweep: Int32[Array, " p"]  # index of the sweep, ascending
    timestamp_us: Int[Array, " s"]
    world_from_lidar: Float[Array, "s 4 4"]  # of the frame that the source gives points in

    def __len__(self) -> int:
        """How many sweeps."""
        return len(self.timestamp_us)

    def of(self, sweep: int) -> slice:
        """Where the points of one sweep lie."""
        first, last = np.searchsorted(self.sweep, (sweep, sweep + 1))
        return slice(int(first), int(last))


@dataclass(frozen=True, kw_only=True)
class Agents:
    """Boxes of everybody else. A box's frame: origin in its middle, x along its length, z up."""

    id: tuple[str, ...]
    kind: Int[Array, " a"]  # TrackKind
    size: Float[Array, "a 3"]  # length, width, height, m
    timestamp_us: Int[Array, " t"]  # ascending
    world_from_box: Float[Array, "a t 4 4"]
    valid: Bool[Array, "a t"]

    def __len__(self) -> int:
        """How many."""
        return len(self.id)

    def at(self, timestamp_us: int) -> tuple[Float[Array, "a 4 4"], Bool[Array, " a"]]:
        """`world_from_box` at any time, and whose box is known then.

        Between two instants a box goes straight and turns the short way. Within half a step outside an agent's first
        or last box it stays where it was (ours).
        """
        count, steps = self.valid.shape
        pose, known = np.tile(np.eye(4), (count, 1, 1)), np.zeros(count, dtype=bool)
        if not steps:
            return pose, known
        after = int(np.clip(np.searchsorted(self.timestamp_us, timestamp_us), 1, max(steps - 1, 1)))
        before = max(after - 1, 0)
        after = min(after, steps - 1)
        gap = max(int(self.timestamp_us[after] - self.timestamp_us[before]), 1)
        share = (timestamp_us - int(self.timestamp_us[before])) / gap
        near = before if share < 0.5 else after
        if -0.5 <= share <= 1.5 or gap == 1:
            pose, known = self.world_from_box[:, near].copy(), self.valid[:, near].copy()
        both = np.flatnonzero(self.valid[:, before] & self.valid[:, after] & known)
        first, last = self.world_from_box[both, before], self.world_from_box[both, after]
        pose[both] = _between(first, last, float(np.clip(share, 0.0, 1.0)))
        return pose, known

    @property
    def travelled(self) -> Float[Array, " a"]:
        """Largest distance between two places of an agent's middle along the axes, m: who moved, and who parked."""
        place = np.where(self.valid[..., None], self.world_from_box[..., :3, 3], np.nan)
        if not place.size:
            return np.zeros(len(self.id))
        with np.errstate(invalid="ignore"):
            reach = np.fmax.reduce(place, axis=1) - np.fmin.reduce(place, axis=1)
        return np.nan_to_num(np.linalg.norm(reach, axis=-1))


@dataclass(frozen=True, kw_only=True)
class Points:
    """Points that a source itself brings for the start, such as those of structure from motion."""

    xyz: Float32[Array, "p 3"]  # world frame
    rgb: UInt8[Array, "p 3"]


@dataclass(frozen=True, kw_only=True)
class Capture:
    """A street as it was recorded."""

    name: str
    form: str  # which of the forms it was read from
    metric: bool  # whether lengths are metres and z points up; structure from motion knows neither
    frames: Frames
    sweeps: Sweeps
    agents: Agents
    points: Points
    ego_us: Int[Array, " e"]  # times of the ego's poses
    world_from_ego: Float[Array, "e 4 4"]  # none where the source knows cameras alone

    @property
    def camera_names(self) -> tuple[str, ...]:
        """Names of the cameras, sorted."""
        return tuple(sorted(set(self.frames.camera)))


NO_SWEEPS = Sweeps(
    xyz=np.zeros((0, 3), dtype=np.float32),
    sweep=np.zeros(0, dtype=np.int32),
    timestamp_us=np.zeros(0, dtype=np.int64),
    world_from_lidar=np.zeros((0, 4, 4)),
)
NO_AGENTS = Agents(
    id=(),
    kind=np.zeros(0, dtype=np.int64),
    size=np.zeros((0, 3)),
    timestamp_us=np.zeros(0, dtype=np.int64),
    world_from_box=np.zeros((0, 0, 4, 4)),
    valid=np.zeros((0, 0), dtype=bool),
)
NO_POINTS = Points(xyz=np.zeros((0, 3), dtype=np.float32), rgb=np.zeros((0, 3), dtype=np.uint8))
NO_POSES = (np.zeros(0, dtype=np.int64), np.zeros((0, 4, 4)))
"""`ego_us` and `world_from_ego` of a source that knows cameras alone."""


def frames_of(
    *,
    path: Sequence[Path],
    camera: Sequence[str],
    timestamp_us: Sequence[int] | Int[Array, " f"],
    world_from_camera: Sequence[Array],
    intrinsics: Sequence[Array],
    distortion: Sequence[Array] | None = None,
    size_px: Sequence[tuple[int, int]],
    mask: Sequence[Path | None] | None = None,
    hold_out_every: int,
) -> Frames:
    """Frames of one traversal in their order, some of them held out."""
    when = np.asarray(timestamp_us, dtype=np.int64)
    order = sorted(range(len(path)), key=lambda i: (when[i], camera[i], path[i]))
    name = tuple(camera[i] for i in order)
    traversal = np.zeros(len(order), dtype=np.int64)
    lens = [np.zeros(5)] * len(order) if distortion is None else distortion
    return Frames(
        path=tuple(path[i] for i in order),
        camera=name,
        traversal=traversal,
        timestamp_us=when[order],
        world_from_camera=np.stack([world_from_camera[i] for i in order]),
        intrinsics=np.stack([intrinsics[i] for i in order]),
        distortion=np.stack([lens[i] for i in order]),
        size_px=np.array([size_px[i] for i in order], dtype=np.int64),
        mask=tuple(mask[i] if mask else None for i in order),
        held_out=held_out_of(when[order], traversal, name, every=hold_out_every),
    )


def held_out_of(
    timestamp_us: Int[Array, " f"], traversal: Int[Array, " f"], camera: tuple[str, ...], *, every: int
) -> Bool[Array, " f"]:
    """Which frames are kept for scoring: all cameras of every n-th instant of a traversal.

    Frames of one instant go together, or the one would show what the other is asked for. Of n instants the middle
    one is held out: the first and the last of a drive mostly train.

    Args:
        timestamp_us: Of the frames.
        traversal: Of the frames.
        camera: Of the frames.
        every: n, 2 or more; 0 holds nothing out.
    """
    held = np.zeros(len(timestamp_us), dtype=bool)
    if every <= 0:
        return held
    assert every > 1, "nothing would be left to train on"
    for drive in np.unique(traversal):
        instant, began, seen = -1, 0, set[str]()
        number = np.full(len(timestamp_us), -1)
        own = np.flatnonzero(traversal == drive)
        for frame in own[np.argsort(timestamp_us[own], kind="stable")]:
            if instant < 0 or camera[frame] in seen or timestamp_us[frame] - began > SAME_INSTANT_US:
                instant, began, seen = instant + 1, int(timestamp_us[frame]), set()
            seen.add(camera[frame])
            number[frame] = instant
        first = min(every // 2, (instant + 1) // 2)  # of a short drive the middle one
        held |= (number >= first) & ((number - first) % every == 0) & (instant > 0)
    return held


SAME_INSTANT_US = 60_000
"""Cameras of one rig fire within this (ours; TRI's six within 1 ms, nuScenes' within 40 ms)."""


def _between(first: Float[Array, "b 4 4"], last: Float[Array, "b 4 4"], share: float) -> Float[Array, "b 4 4"]:
    pose = first.copy()
    if len(first):
        pose[:, :3, 3] = (1 - share) * first[:, :3, 3] + share * last[:, :3, 3]
        began = Rotation.from_matrix(first[:, :3, :3])
        turned = (began.inv() * Rotation.from_matrix(last[:, :3, :3])).as_rotvec()
        pose[:, :3, :3] = (began * Rotation.from_rotvec(share * turned)).as_matrix()
    return pose
