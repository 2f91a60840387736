"""How good a reconstruction is, on photographs that it never saw."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from simscale.render.psnr import psnr_of
from simscale.splats.loss import photometric
from simscale.splats.pictures import Picture
from simscale.splats.render import render
from simscale.splats.street import Street, assembled
from simscale.splats.street_losses import exposed
from simscale.splats.training import Lesson, view_of
from simscale.splats.view import Drawing, Limits

Array = np.ndarray

DEPTH_RANGE = (0.1, 80.0)
"""LiDAR points that count, m (MTGS)."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """Means over pictures; None where there was nothing to compare with."""

    psnr: float | None  # dB
    ssim: float | None
    lpips: float | None
    depth_error: float | None  # mean over LiDAR points of |d - d'|, m
    depth_relative: float | None  # the same over d
    pictures: int

    def as_json(self) -> dict[str, float | int | None]:
        """Rounded, for people and programs."""
        digits = {"psnr": 3, "ssim": 4, "lpips": 4, "depth_error": 3, "depth_relative": 4, "pictures": 0}
        return {n: None if (v := getattr(self, n)) is None else round(v, d) if d else v for n, d in digits.items()}


Perceptual = Callable[[Float[Tensor, "1 h w 3"], Float[Tensor, "1 h w 3"]], float]
"""A distance such as LPIPS."""


def drawn(street: Street, lesson: Lesson, *, near: float) -> tuple[Float32[Tensor, "h w 3"], Drawing]:
    """What a reconstruction shows in place of a picture, exposed as its camera does, from 0 to 1."""
    gaussians, _ = assembled(street, lesson.world_from_box, lesson.shown)
    with torch.no_grad():
        view = view_of(lesson.picture, lesson.camera_from_world[None])
        drawing = render(gaussians, view, limits=Limits(near=near))
        affine = street.exposures.affine[lesson.camera, lesson.traversal]
        return exposed(drawing.image, affine)[0].clamp(0, 1), drawing


def scored(
    street: Street,
    lessons: Sequence[Lesson],
    *,
    near: float,
    perceptual: Perceptual | None = None,
    on_each: Callable[[], None] = lambda: None,
) -> Score:
    """Compares with pictures that did not train."""
    rows: list[tuple[float, float, float]] = []
    errors: list[Array] = []
    depths: list[Array] = []
    for lesson in lessons:
        image, drawing = drawn(street, lesson, near=near)
        target = lesson.picture.target()
        rows.append((psnr(image, target[0], lesson.picture.valid), ssim(image, target[0], lesson.picture.valid), 0.0))
        if perceptual is not None:
            rows[-1] = (*rows[-1][:2], perceptual(image[None], target))
        error, depth = _depth_errors(drawing, lesson.picture)
        errors.append(error)
        depths.append(depth)
        on_each()
    if not rows:
        return Score(psnr=None, ssim=None, lpips=None, depth_error=None, depth_relative=None, pictures=0)
    means = np.mean(rows, axis=0)
    error, depth = np.concatenate(errors), np.concatenate(depths)
    return Score(
        psnr=float(means[0]),
        ssim=float(means[1]),
        lpips=float(means[2]) if perceptual is not None else None,
        depth_error=float(error.mean()) if len(error) else None,
        depth_relative=float((error / depth).mean()) if len(error) else None,
        pictures=len(rows),
    )


def psnr(
    image: Float[Tensor, "h w 3"], target: Float[Tensor, "h w 3"], valid: Bool[Tensor, "h w"] | None = None
) -> float:
    """Peak signal over noise, dB, of colours from 0 to 1."""
    apart = (image - target).double().square()
    return psnr_of(float((apart if valid is None else apart[valid]).mean()))


def ssim(
    image: Float[Tensor, "h w 3"], target: Float[Tensor, "h w 3"], valid: Bool[Tensor, "h w"] | None = None
) -> float:
    """Structural similarity with the window of training's loss."""
    mask = None if valid is None else valid[None]
    return 1 - float(photometric(image[None].contiguous(), target[None], l1=0.0, ssim=1.0, mask=mask))


def _depth_errors(drawing: Drawing, picture: Picture) -> tuple[Float[Array, " m"], Float[Array, " m"]]:
    """Errors and depths at LiDAR points where anything is drawn."""
    column, row = picture.pixel[:, 0].long(), picture.pixel[:, 1].long()
    found = drawing.expected_depth[0, row, column]
    counts = (
        (picture.depth > DEPTH_RANGE[0]) & (picture.depth < DEPTH_RANGE[1]) & (drawing.alpha[0, row, column] > 0.05)
    )
    measured = picture.depth[counts]
    return (found[counts] - measured).abs().numpy().astype(np.float64), measured.numpy().astype(np.float64)
