"""A preview: held-out photographs, what the reconstruction shows in their place, and what it shows beside them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from simscale.splats.held_out import drawn, psnr
from simscale.splats.street import Street
from simscale.splats.training import Lesson

Array = np.ndarray

MOMENTS = 3
"""Held-out moments, evenly chosen."""
ASIDE = 2.0
"""How far to the left the last row of each moment stands, m."""
NEAREST, FARTHEST = 2.0, 80.0
"""Depths between which grey levels fall, m, evenly in inverse depth."""

Row = tuple[str, list[UInt8[Array, "h w 3"]]]


def preview_rows(street: Street, lessons: Sequence[Lesson], *, near: float) -> list[Row]:
    """Rows of words and pictures, four for each of a few moments.

    Args:
        street: The reconstruction.
        lessons: Held-out ones, in order of time.
        near: Nearest depth that is drawn, m.
    """
    rows: list[Row] = []
    for moment in _moments(lessons):
        pairs = [drawn(street, lesson, near=near) for lesson in moment]
        quality = np.mean(
            [psnr(i, s.picture.target()[0], s.picture.valid) for (i, _), s in zip(pairs, moment, strict=True)]
        )
        beside = [drawn(street, aside(lesson, ASIDE), near=near)[0] for lesson in moment]
        rows += [
            ("held-out photographs", [lesson.picture.rgb.numpy() for lesson in moment]),
            (f"reconstruction, {quality:.2f} dB", [_bytes(image) for image, _ in pairs]),
            ("its depth", [_grey(drawing.expected_depth[0]) for _, drawing in pairs]),
            (f"{ASIDE:g} m to the left of each camera", [_bytes(image) for image in beside]),
        ]
    return rows


def _moments(lessons: Sequence[Lesson]) -> list[list[Lesson]]:
    """The cameras of a few moments: one picture of each camera, those of the same place in the order."""
    cameras = sorted({lesson.camera for lesson in lessons})
    own = [[lesson for lesson in lessons if lesson.camera == camera] for camera in cameras]
    count = min((len(part) for part in own), default=0)
    chosen = np.unique(np.linspace(0, count - 1, min(MOMENTS, count) + 2)[1:-1].round().astype(int)) if count else []
    return [[part[int(i)] for part in own] for i in chosen]


def aside(lesson: Lesson, metres: float) -> Lesson:
    """The same camera so far to its own left, on the level."""
    pose = torch.linalg.inv(lesson.camera_from_world.double())
    forward = pose[:3, 2]
    left = torch.stack([-forward[1], forward[0], torch.zeros(())])
    moved = pose.clone()
    moved[:3, 3] += metres * left / left.norm().clamp(min=1e-9)
    return replace(lesson, camera_from_world=torch.linalg.inv(moved).float())


def _bytes(image: Float32[Tensor, "h w 3"]) -> UInt8[Array, "h w 3"]:
    return (image.clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def _grey(depth: Float32[Tensor, "h w"]) -> UInt8[Array, "h w 3"]:
    """Near is bright."""
    inverse = 1 / depth.clamp(min=NEAREST)
    level = ((inverse - 1 / FARTHEST) / (1 / NEAREST - 1 / FARTHEST)).clamp(0, 1).sqrt()
    return _bytes(level[..., None].expand(-1, -1, 3))
