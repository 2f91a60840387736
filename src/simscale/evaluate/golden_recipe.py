"""Weights and inputs of golden planners: made from names alone, so that nobody has to store them.

A number is what a random stream says whose seed is the digest of a name; the stream, sums, products and square roots
are the same on every machine. Weights are uniform, with a spread that keeps a network's outputs of the order of one
and makes them depend on every input.

Agrees with the recipe of the golden folder (planners.md, section 7.1), to the bit.
"""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Shaped, UInt8

from simscale.scene import BadInput

Array = np.ndarray

RECIPE = "recipe.json"
SQRT3 = math.sqrt(3.0)
"""Half the width of a uniform distribution, in standard deviations."""
GAINS = (
    (".conv2.weight", 0.5),
    ("_bev_downscale.weight", 0.15),
    ("downscale_layer.weight", 0.1),
    ("out_proj.weight", 0.3),
    ("to_out.weight", 0.3),
    ("_trajectory_head._mlp.2.weight", 6.0),
    ("_trajectory_head.heads.", 1.5),
)
"""Parts of a weight's name and its gain; the last that fits counts."""
SUBSTEPS = 10
"""Of Euler's method in `arcs`."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What the names of a golden folder begin with."""

    salt: str  # of weights
    prefix: str  # of inputs


def read_recipe(folder: Path) -> Recipe:
    """Reads `recipe.json`.

    Raises:
        BadInput: It is absent or damaged.
    """
    path = folder / RECIPE
    try:
        said = json.loads(path.read_bytes())
        return Recipe(salt=_text(said["weight_salt"]), prefix=_text(said["input_prefix"]))
    except FileNotFoundError:
        raise BadInput(path, "recipe", "absent", "weight_salt and input_prefix") from None
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput(path, "recipe", f"not readable ({error!r})", "weight_salt and input_prefix") from None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def uniform(name: str, shape: tuple[int, ...]) -> Float[Array, "..."]:
    """Numbers in [-1, 1)."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    draw = np.random.Generator(np.random.PCG64(seed)).random(math.prod(shape))
    return (2.0 * draw - 1.0).reshape(shape)


def weight(name: str, shape: tuple[int, ...], dtype: str, *, salt: str) -> Shaped[Array, "..."]:
    """A weight of a planner by the reference's name of it; counters are 0."""
    if dtype.startswith("int"):
        return np.zeros(shape, dtype=dtype)
    spread, middle = _spread(name, shape)
    return np.ascontiguousarray((middle + spread * uniform(f"{salt}:{name}", shape)).astype(np.float32))


def _spread(name: str, shape: tuple[int, ...]) -> tuple[float, float]:
    """Half the width and the middle of a weight's distribution."""
    last = name.rsplit(".", 1)[-1]
    if last == "running_mean":
        return 0.10 * SQRT3, 0.0
    if last == "running_var":
        return 0.5, 1.0
    if last.endswith("bias"):
        return 0.05 * SQRT3, 0.0
    if "embedding" in name or not last.endswith("weight"):
        return 0.5 * SQRT3, 0.0
    if len(shape) == 1:
        return 0.1 * SQRT3, 1.0
    gain = math.sqrt(2.0) if len(shape) >= 3 else 1.0
    for part, value in GAINS:
        gain = value if part in name else gain
    return gain / math.sqrt(float(math.prod(shape[1:]))) * SQRT3, 0.0


def camera(name: str, batch: int, height: int, width: int, *, cell: int = 64) -> Float32[Array, "b 3 h w"]:
    """Stitched images in [0, 1]: patches of one colour with noise on them."""
    low = (uniform(f"cam-low:{name}", (batch, 3, height // cell, width // cell)) + 1) / 2
    low = low.repeat(cell, axis=2).repeat(cell, axis=3)
    high = (uniform(f"cam-hi:{name}", (batch, 3, height, width)) + 1) / 2
    return (0.8 * low + 0.2 * high).astype(np.float32)


def lidar(name: str, batch: int, *, channels: int = 1, side: int = 256) -> Float32[Array, "b c n n"]:
    """Histograms: fifths, most of them 0."""
    share = (uniform(f"lidar:{name}", (batch, channels, side, side)) + 1) / 2
    return (np.floor(np.clip((share - 0.85) / 0.15, 0, 0.999999) * 6) / 5.0).astype(np.float32)


def status(name: str, batch: int) -> Float32[Array, "b 8"]:
    """Command, velocity, acceleration."""
    draw, told = uniform(f"status:{name}", (batch, 8)), np.zeros((batch, 8), np.float32)
    told[np.arange(batch), ((draw[:, 0] + 1) * 2).astype(np.int64) % 4] = 1.0
    told[:, 4], told[:, 5] = 7.0 + 5.0 * draw[:, 4], 0.2 * draw[:, 5]
    told[:, 6], told[:, 7] = 1.5 * draw[:, 6], 0.5 * draw[:, 7]
    return told


def arcs(name: str, count: int, steps: int, dt: float) -> Float32[Array, "n t 3"]:
    """Trajectories of constant acceleration and curvature, by Euler's method."""
    draw = uniform(f"arcs:{name}", (count, 3))
    speed, acceleration, curvature = 7.5 * (draw[:, 0] + 1), 2.0 * draw[:, 1], 0.08 * draw[:, 2]
    x, y, yaw = np.zeros((3, count))
    poses, short = np.zeros((count, steps, 3)), dt / SUBSTEPS
    for step in range(steps):
        for _ in range(SUBSTEPS):
            moving = np.maximum(speed, 0.0)
            x, y = x + moving * np.cos(yaw) * short, y + moving * np.sin(yaw) * short
            yaw, speed = yaw + moving * curvature * short, speed + acceleration * short
        poses[:, step] = np.stack([x, y, yaw], axis=-1)
    return poses.astype(np.float32)


def photo(name: str, *, height: int = 1080, width: int = 1920) -> UInt8[Array, "h w 3"]:
    """A camera image of noise."""
    return np.floor((uniform(name, (height, width, 3)) + 1.0) * 128.0).astype(np.uint8)


def point_cloud(name: str, *, count: int = 60000) -> Float[Array, "n 3"]:
    """LiDAR points, a quarter of them in a crowd."""
    draw, crowd = uniform(name, (count, 3)), count // 4
    points = np.stack([draw[:, 0] * 36.0, draw[:, 1] * 36.0, 1.5 + 2.5 * draw[:, 2]], axis=1)
    points[:crowd, 0], points[:crowd, 1] = 5.0 + 0.6 * draw[:crowd, 0], -3.0 + 0.6 * draw[:crowd, 1]
    return points
