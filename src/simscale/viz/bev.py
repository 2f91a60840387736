"""A scene from above: the map, everybody at one instant with their motion, the ego and the human's path."""

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.axes import Axes

from simscale.geometry.polylines import at_station, stations_of, yaw_at_station
from simscale.scene import CarState, EgoVehicle, Lights, RoadKind, RoadMap, Scene, TrackKind, Tracks
from simscale.viz.canvas import View, draw_boxes, draw_lines, draw_noses, draw_polygons
from simscale.viz.style import (
    BOX,
    CENTRE_LINE,
    EGO,
    HUMAN,
    LANE_EDGE,
    LIGHT,
    REACTING,
    ROAD_FILL,
    ROUTE,
)

Array = np.ndarray

TRAIL = 20
"""Instants of motion that are drawn behind and ahead of each box: 2 s."""
MOVING = 0.3
"""A trail shorter than this is not drawn, m."""


def draw_road(axes: Axes, view: View, road: RoadMap, *, route: Int[Array, " r"]) -> None:
    """The map, muted: areas, lane edges, centre lines with their direction, crossings; the route tinted."""
    near = np.flatnonzero(_touch(view, road.xy, road.start) | _touch(view, road.centre_xy, road.centre_start)).tolist()
    for order, (kind, fill) in enumerate(ROAD_FILL.items()):
        elements = [m for m in near if road.kind[m] == kind]
        rings = [road.ring(m) for m in elements if len(road.ring(m)) > 2]
        lane = kind in (RoadKind.LANE, RoadKind.CONNECTOR, RoadKind.BICYCLE_LANE)
        edge, width = (LANE_EDGE, 0.5) if lane else (fill, 0.3)
        hatch = {"hatch": "////", "edgecolor": "#c3beb2"} if kind == RoadKind.CROSSING else {"edgecolor": edge}
        draw_polygons(axes, view, rings, facecolor=fill, linewidth=width, zorder=1 + 0.01 * order, **hatch)
        if kind == RoadKind.STOP_LINE:
            lines = [road.centre_line(m) for m in elements]
            draw_lines(axes, view, lines, color="#ffffff", linewidth=2.0, zorder=1.5)
    lanes = [m for m in near if road.kind[m] in (RoadKind.LANE, RoadKind.CONNECTOR)]
    tinted = set(route.tolist())
    lines = {m: road.centre_line(m) for m in lanes if len(road.centre_line(m)) > 1}
    draw_lines(axes, view, [line for m, line in lines.items() if m in tinted], color=ROUTE, linewidth=3.5, zorder=2)
    draw_lines(axes, view, list(lines.values()), color=CENTRE_LINE, linewidth=0.5, zorder=2.1)
    _draw_directions(axes, view, [line for m, line in lines.items() if road.kind[m] == RoadKind.LANE])


def _touch(view: View, xy: Float[Array, "p 2"], start: Int[Array, " m1"]) -> Bool[Array, " m"]:
    """Whether the bounding box of each ragged row meets the canvas; an empty row meets nothing."""
    touch = np.zeros(len(start) - 1, dtype=bool)
    filled = np.flatnonzero(np.diff(start) > 0)
    if len(filled):
        at, half = view.seen(xy), np.array([view.half_width, view.half_height])
        low = np.minimum.reduceat(at, start[filled])
        high = np.maximum.reduceat(at, start[filled])
        touch[filled] = np.all(low <= half, axis=1) & np.all(high >= -half, axis=1)
    return touch


def _draw_directions(axes: Axes, view: View, lines: list[Float[Array, "_ 2"]]) -> None:
    """A small arrow in the middle of each lane."""
    at, heading = [], []
    for line in lines:
        middle = np.array([stations_of(line)[-1] / 2])
        at.append(at_station(line, middle)[0])
        heading.append(yaw_at_station(line, middle)[0])
    if at:
        xy, yaw = np.array(at), np.array(heading)
        tip = np.array([[0.9, 0.0], [-0.6, 0.55], [-0.6, -0.55]])
        cos, sin = np.cos(yaw)[:, None], np.sin(yaw)[:, None]
        turned = np.stack([cos * tip[:, 0] - sin * tip[:, 1], sin * tip[:, 0] + cos * tip[:, 1]], axis=-1)
        draw_polygons(axes, view, list(xy[:, None] + turned), facecolor=CENTRE_LINE, edgecolor="none", zorder=2.2)


def draw_lights(axes: Axes, view: View, road: RoadMap, lights: Lights, *, instant: int) -> None:
    """A bar across the beginning of each governed lane, in the light's colour."""
    for element, state in zip(lights.element.tolist(), lights.state[:, instant].tolist(), strict=True):
        line = road.centre_line(element)
        if state in LIGHT and len(line) > 1:
            along = (line[1] - line[0]) / max(np.hypot(*(line[1] - line[0])), 1e-9)
            across = np.array([-along[1], along[0]]) * 1.4
            bar = np.stack([line[0] - across, line[0] + across])
            draw_lines(axes, view, [bar], color=LIGHT[state], linewidth=2.2, zorder=3)


def draw_tracks(
    axes: Axes,
    view: View,
    tracks: Tracks,
    *,
    instant: int,
    reacting: Int[Array, " r"] | None = None,
    alpha: float = 1.0,
) -> None:
    """Everybody's box at one instant, with 2 s of motion behind (thin) and ahead (thinner).

    Args:
        axes: The canvas.
        view: What it shows.
        tracks: `[a t]`.
        instant: Whose boxes.
        reacting: Agents that left their log, drawn in a colour of their own.
        alpha: Opacity.
    """
    here = tracks.valid[:, instant] & view.near(tracks.xy[:, instant])
    marked = np.zeros(len(tracks.kind), dtype=bool)
    if reacting is not None:
        marked[reacting] = True
    _draw_trails(axes, view, tracks, here, marked, instant)
    for colour, chosen in _by_colour(tracks, here, marked):
        xy, yaw = tracks.xy[chosen, instant], tracks.yaw[chosen, instant]
        size = tracks.size[chosen]
        draw_boxes(
            axes, view, xy, yaw, size[:, :2], facecolor=colour, edgecolor="white", linewidth=0.4, zorder=5, alpha=alpha
        )
        moves = np.isin(tracks.kind[chosen], (TrackKind.VEHICLE, TrackKind.BICYCLE))
        draw_noses(
            axes, view, xy[moves], yaw[moves], size[moves, 0], color="white", linewidth=0.6, zorder=5.1, alpha=alpha
        )


def _by_colour(tracks: Tracks, here: Bool[Array, " a"], marked: Bool[Array, " a"]) -> list[tuple[str, Array]]:
    plain = [(colour, np.flatnonzero(here & ~marked & (tracks.kind == kind))) for kind, colour in BOX.items()]
    return [*plain, (REACTING, np.flatnonzero(here & marked))]


def _draw_trails(
    axes: Axes, view: View, tracks: Tracks, here: Bool[Array, " a"], marked: Bool[Array, " a"], instant: int
) -> None:
    last = tracks.valid.shape[1]
    for span, width in ((slice(max(instant - TRAIL, 0), instant + 1), 0.9), (slice(instant, instant + TRAIL + 1), 0.5)):
        if min(span.stop, last) - span.start < 2:
            continue
        for colour, chosen in _by_colour(tracks, here, marked):
            paths = [tracks.xy[a, span][tracks.valid[a, span]] for a in chosen]
            moved = [path for path in paths if len(path) > 1 and np.ptp(path, axis=0).max() > MOVING]
            draw_lines(axes, view, moved, color=colour, linewidth=width, alpha=0.75, zorder=4)


def draw_ego(
    axes: Axes,
    view: View,
    state: CarState,
    vehicle: EgoVehicle,
    *,
    colour: str = EGO,
    filled: bool = True,
    **style: object,
) -> None:
    """The ego's box at each state of a path `[n]` (or at one, `[]`)."""
    path = state[None] if state.yaw.ndim == 0 else state
    size = np.tile([vehicle.length, vehicle.width], (len(path.yaw), 1))
    look = {"facecolor": colour if filled else "none", "edgecolor": "white" if filled else colour, "linewidth": 0.6}
    draw_boxes(axes, view, path.centre_xy(vehicle), path.yaw, size, **{"zorder": 8, **look, **style})
    if filled:
        length = np.full(len(path.yaw), vehicle.length)
        draw_noses(axes, view, path.centre_xy(vehicle), path.yaw, length, color="white", linewidth=0.7, zorder=8.1)


def draw_path(
    axes: Axes, view: View, xy: Float[Array, "n 2"], *, colour: str, label: str = "", **style: object
) -> None:
    """A path of the ego, named in the legend where it has a label."""
    at = view.seen(xy)
    look = {"linewidth": 1.6, "zorder": 7, "solid_capstyle": "round", **style}
    axes.plot(at[:, 0], at[:, 1], color=colour, label=label or None, **look)  # type: ignore[arg-type]


def draw_seconds(axes: Axes, view: View, xy: Float[Array, "n 2"], *, colour: str, every: int = 10) -> None:
    """A dot on a path every second."""
    at = view.seen(xy[::every])
    axes.scatter(at[:, 0], at[:, 1], s=5, color=colour, zorder=7.5, linewidths=0)


def draw_human(axes: Axes, view: View, scene: Scene, *, first: int, last: int, label: str = "human") -> None:
    """Where the human drove between two instants."""
    path = scene.ego.xy[first : last + 1]
    if len(path) > 1:
        draw_path(axes, view, path, colour=HUMAN, label=label, linestyle=(0, (4, 2)), linewidth=1.1)
        draw_seconds(axes, view, path, colour=HUMAN)
