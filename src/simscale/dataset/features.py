"""What planners read besides the status: the stitched image, and where there is a LiDAR its histogram from above.

Agrees with `TransfuserFeatureBuilder` of the reference (planners.md, sections 1.1 and 1.3). Plain NumPy.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, UInt8

from simscale.render.panorama import PLANNER_CAMERAS, Panorama, panorama_of, seen_through, stitched_crops
from simscale.render.rigs import NAVSIM_SIZE
from simscale.scene import BadInput, Cameras

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class HistogramConfig:
    """Reach and resolution; the defaults are the reference's."""

    reach: float = 32.0  # points further ahead, behind or aside do not count, m
    cells: int = 256  # along a side
    ground: float = 0.2  # only points above this count, m
    ceiling: float = 100.0  # ... and below this
    full: int = 5  # points in a cell that count as many as any more


HISTOGRAM = HistogramConfig()


def camera_feature(
    images: Mapping[str, UInt8[Array, "_ _ 3"]],
    size: tuple[int, int],
    *,
    panorama: Panorama | None = None,
    where: object = "observation",
) -> UInt8[Array, "3 h w"]:
    """The planner's image from a car's camera images.

    Args:
        images: By the camera's name.
        size: Height and width of the planner's image.
        panorama: Of the rig (`rig_mapping`); where not given, left, front and right image of NAVSIM's rig, 1920 x 1080
            pixels each, are cropped, stitched and scaled as they are.
        where: What the error names.

    Raises:
        BadInput: A camera is missing, or an image has another size.
    """
    wanted = PLANNER_CAMERAS if panorama is None else panorama.cameras
    lacking = [name for name in wanted if name not in images]
    if lacking:
        found = f"{', '.join(images) or 'none'} without {', '.join(lacking)}"
        raise BadInput(where, "cameras", found, ", ".join(wanted))
    expected = [NAVSIM_SIZE] * len(wanted) if panorama is None else panorama.size_px.tolist()
    for name, (width, height) in zip(wanted, expected, strict=True):
        if images[name].shape != (height, width, 3):
            raise BadInput(where, name, f"an image of shape {images[name].shape}", f"{(height, width, 3)}")
    held = [images[name] for name in wanted]
    stitched = stitched_crops(held, size) if panorama is None else seen_through(panorama, held)
    return np.ascontiguousarray(stitched.transpose(2, 0, 1))


def rig_mapping(
    rig: Cameras, size: tuple[int, int], *, seen_by: Cameras | None = None, where: object = "observation"
) -> Panorama:
    """Which of a rig's cameras show what the planner's three would see, and where; made once for many images.

    Args:
        rig: Any cameras.
        size: Height and width of the planner's image.
        seen_by: See `panorama_of`.
        where: What the error names.

    Raises:
        BadInput: The rig does not cover the front.
    """
    try:
        return panorama_of(rig, size, seen_by=seen_by)
    except ValueError as error:
        raise BadInput(where, "cameras", f"too few: {error}", "a rig that covers the front") from None


def lidar_feature(
    points: Float[Array, "n 3"], *, config: HistogramConfig = HISTOGRAM
) -> Float32[Array, "1 cells cells"]:
    """How many points stand in each cell around the ego, from 0 to 1: rows from behind to ahead, columns to the left.

    Args:
        points: In the ego frame, m.
        config: Reach and resolution.
    """
    high = points[(points[:, 2] > config.ground) & (points[:, 2] < config.ceiling)]
    edges = np.linspace(-config.reach, config.reach, config.cells + 1)
    counts, _, _ = np.histogram2d(high[:, 0], high[:, 1], bins=(edges, edges))
    return (np.minimum(counts, config.full) / config.full).astype(np.float32)[None]
