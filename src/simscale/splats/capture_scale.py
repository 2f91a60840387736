"""The size of captures that do not know it: structure from motion has no metres, and every setting is in metres."""

from dataclasses import replace

import numpy as np

from simscale.splats.capture import Capture

REACH = 10.0
"""How far from their middle the farthest camera of such a capture stands, m (ours)."""


def sized(capture: Capture) -> tuple[Capture, float]:
    """A capture in metres, or in what passes for them, and how many of these one unit of the source is."""
    if capture.metric:
        return capture, 1.0
    centres = capture.frames.world_from_camera[:, :3, 3]
    reach = float(np.linalg.norm(centres - centres.mean(axis=0), axis=1).max())
    if reach <= 0:
        return capture, 1.0
    scale = REACH / reach
    frames, sweeps, points = capture.frames, capture.sweeps, capture.points
    return (
        replace(
            capture,
            frames=replace(frames, world_from_camera=_scaled(frames.world_from_camera, scale)),
            sweeps=replace(
                sweeps, xyz=sweeps.xyz * np.float32(scale), world_from_lidar=_scaled(sweeps.world_from_lidar, scale)
            ),
            points=replace(points, xyz=points.xyz * np.float32(scale)),
            world_from_ego=_scaled(capture.world_from_ego, scale),
        ),
        scale,
    )


def _scaled(pose: np.ndarray, scale: float) -> np.ndarray:
    made = pose.copy()
    made[..., :3, 3] *= scale
    return made
