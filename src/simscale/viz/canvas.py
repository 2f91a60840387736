"""A canvas that looks down on the world, turned so that a chosen heading points up."""

from dataclasses import dataclass

import matplotlib
import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection

from simscale.geometry.boxes import corners_of
from simscale.geometry.se2 import rotate
from simscale.viz.style import INK, PAPER

matplotlib.use("Agg")

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class View:
    """Which part of the world is seen."""

    centre_xy: Float[Array, "2"]  # m
    yaw: float  # heading that points up, rad
    half_width: float  # m
    half_height: float  # m

    def seen(self, xy: Float[Array, "*b 2"]) -> Float[Array, "*b 2"]:
        """World points on the canvas."""
        turn = np.broadcast_to(np.float64(np.pi / 2 - self.yaw), xy.shape[:-1])
        return rotate(xy - self.centre_xy, turn)

    def near(self, xy: Float[Array, "n 2"], *, margin: float = 10.0) -> Bool[Array, " n"]:
        """Which points lie on the canvas, or almost."""
        at = np.abs(self.seen(xy))
        return (at[:, 0] <= self.half_width + margin) & (at[:, 1] <= self.half_height + margin)


def view_of(xy: Float[Array, "n 2"], *, yaw: float, margin: float = 14.0, least: float = 28.0) -> View:
    """A square view that holds all points.

    Args:
        xy: What must be seen, m.
        yaw: Heading that points up, rad.
        margin: Left free around the points, m.
        least: Half of the side is at least this, m.
    """
    probe = View(centre_xy=xy[0], yaw=yaw, half_width=1.0, half_height=1.0)
    at = probe.seen(xy)
    low, high = at.min(axis=0), at.max(axis=0)
    middle = (low + high) / 2
    half = max(float((high - low).max()) / 2 + margin, least)
    back = rotate(middle[None], np.array([yaw - np.pi / 2]))[0]
    return View(centre_xy=xy[0] + back, yaw=yaw, half_width=half, half_height=half)


def prepare(axes: Axes, view: View) -> None:
    """An empty canvas without ticks, with a scale bar."""
    axes.set_xlim(-view.half_width, view.half_width)
    axes.set_ylim(-view.half_height, view.half_height)
    axes.set_aspect("equal")
    axes.set_facecolor(PAPER)
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color("#c9c6be")
        spine.set_linewidth(0.6)
    _draw_scale(axes, view)


def _draw_scale(axes: Axes, view: View) -> None:
    length = next((step for step in (50, 20, 10, 5) if step <= view.half_width / 2), 2)
    x, y = -view.half_width * 0.94, -view.half_height * 0.93
    axes.plot([x, x + length], [y, y], color=INK, linewidth=1.6, solid_capstyle="butt", zorder=30)
    axes.text(x + length / 2, y + view.half_height * 0.008, f"{length} m", **SCALE_TEXT)


SCALE_TEXT = {"ha": "center", "va": "bottom", "fontsize": 6, "color": INK, "zorder": 30}


def draw_polygons(axes: Axes, view: View, rings: list[Float[Array, "_ 2"]], **style: object) -> None:
    """Filled rings."""
    if rings:
        joined = view.seen(np.concatenate(rings))
        parts = np.split(joined, np.cumsum([len(ring) for ring in rings])[:-1])
        axes.add_collection(PolyCollection(parts, **style), autolim=False)  # type: ignore[arg-type]


def draw_lines(axes: Axes, view: View, lines: list[Float[Array, "_ 2"]], **style: object) -> None:
    """Open polylines."""
    lines = [line for line in lines if len(line) > 1]
    if lines:
        joined = view.seen(np.concatenate(lines))
        parts = np.split(joined, np.cumsum([len(line) for line in lines])[:-1])
        axes.add_collection(LineCollection(parts, **style), autolim=False)  # type: ignore[arg-type]


def draw_boxes(
    axes: Axes,
    view: View,
    xy: Float[Array, "n 2"],
    yaw: Float[Array, " n"],
    size: Float[Array, "n 2"],
    **style: object,
) -> None:
    """Boxes by centre, heading, and (length, width)."""
    if len(yaw):
        corners = view.seen(corners_of(xy, yaw, size[:, 0], size[:, 1]))
        axes.add_collection(PolyCollection(list(corners), **style), autolim=False)  # type: ignore[arg-type]


def draw_noses(
    axes: Axes,
    view: View,
    xy: Float[Array, "n 2"],
    yaw: Float[Array, " n"],
    length: Float[Array, " n"],
    **style: object,
) -> None:
    """A line from the middle of each box to its front, which tells where it heads."""
    if len(yaw):
        front = xy + np.stack([np.cos(yaw), np.sin(yaw)], axis=-1) * length[:, None] / 2
        segments = view.seen(np.stack([xy, front], axis=1))
        axes.add_collection(LineCollection(list(segments), **style), autolim=False)  # type: ignore[arg-type]
