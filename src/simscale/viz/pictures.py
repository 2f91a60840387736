"""Whole pictures: a scene at one moment, a sample with all its rollouts, something that was rejected."""

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from simscale.generate.sample import (
    HORIZON,
    ExpertLabel,
    Rejection,
    Sample,
    no_agents,
    tracks_during,
)
from simscale.geometry.boxes import boxes_overlap
from simscale.scene import CarState, EgoVehicle, Scene, TrackKind, Tracks
from simscale.viz.bev import draw_ego, draw_human, draw_lights, draw_path, draw_road, draw_seconds, draw_tracks
from simscale.viz.canvas import View, draw_boxes, prepare, view_of
from simscale.viz.style import BOX, EGO, FAINT, HUMAN, INK, KIND_NAMES, PERTURBED, REACTING, REFUSED, expert_colour

Array = np.ndarray

SECOND = 10
"""Steps of a second."""
FUTURE = 80
"""Steps of the human's path that are drawn ahead: 8 s, as far as a sample reaches."""
PICTURED = 5
"""Steps between the poses of a rejection's path."""

CLOSE = {"margin": 9.0, "least": 18.0}
"""How much of the world a small picture shows, m."""


def scene_picture(scene: Scene, *, instant: int, radius: float = 60.0) -> Figure:
    """A scene at one moment."""
    here = scene.ego[instant]
    half = np.array([radius, 0.0])
    view = view_of(np.stack([here.xy - half, here.xy + half]), yaw=float(here.yaw), margin=0.0, least=radius)
    figure = Figure(figsize=(9, 9), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    prepare(axes, view)
    _draw_around(axes, view, scene, instant=instant)
    draw_tracks(axes, view, scene.tracks, instant=instant)
    draw_human(axes, view, scene, first=max(instant - 2 * SECOND, 0), last=min(instant + FUTURE, len(scene) - 1))
    draw_ego(axes, view, here, scene.vehicle)
    axes.set_title(f"{scene.id}   {instant * scene.dt:.1f} s", fontsize=10, color=INK, loc="left")
    _add_legend(figure, axes, scene.tracks.valid[:, instant], scene.tracks)
    return figure


def sample_picture(scene: Scene, sample: Sample, *, refused: list[Rejection] | None = None) -> Figure:
    """A sample: how the ego came to the perturbed state, and what each expert does from there.

    Args:
        scene: The log it came from.
        sample: What to draw.
        refused: Candidates of the same token and round that were rejected, drawn in grey.
    """
    figure = Figure(figsize=(14, 7.4), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_perturbation(left, scene, sample, refused=refused or [])
    left.set_title("perturbation: from the human's state to s in 4 s", fontsize=9, color=INK, loc="left")
    draw_answers(right, scene, sample)
    right.set_title("answers: from s, 4 s on", fontsize=9, color=INK, loc="left")
    figure.suptitle(f"{sample.token}    {_verdict(sample)}", fontsize=10, color=INK, x=0.01, ha="left")
    for axes in (left, right):
        axes.legend(loc="upper left", fontsize=7, framealpha=0.9)
    _add_legend(figure, right, scene.tracks.valid[:, sample.t0], scene.tracks, reacting=True)
    return figure


def _verdict(sample: Sample) -> str:
    lon, lat, yaw = sample.deviation
    answers = ", ".join(f"{e.name} {'accepted' if e.accepted else e.reason}" for e in sample.experts)
    return f"s is {lon:+.1f} m along, {lat:+.1f} m aside, {np.degrees(yaw):+.0f} deg off the human   {answers}"


def draw_perturbation(axes: Axes, scene: Scene, sample: Sample, *, refused: list[Rejection]) -> None:
    """From the token to the perturbed state; boxes as they are when it is reached."""
    driven = sample.ego[: HORIZON + 1]
    tried = [rejection.path[:, :2] for rejection in refused]
    human = scene.ego.xy[sample.t0 : sample.t0 + HORIZON + 1]
    view = view_of(np.concatenate([driven.xy, human, *tried]), yaw=float(driven.yaw[0]))
    prepare(axes, view)
    _draw_around(axes, view, scene, instant=sample.t0 + HORIZON)
    tracks = tracks_during(scene, sample.agents, t0=sample.t0)
    draw_tracks(axes, view, tracks, instant=HORIZON, reacting=sample.agents.index)
    for number, path in enumerate(tried):
        label = "rejected candidates" if number == 0 else ""
        draw_path(axes, view, path, colour=REFUSED, label=label, linewidth=0.9, zorder=6)
    draw_human(axes, view, scene, first=sample.t0, last=sample.t0 + HORIZON)
    draw_path(axes, view, driven.xy, colour=PERTURBED, label="perturbed rollout")
    draw_seconds(axes, view, driven.xy, colour=PERTURBED)
    draw_ego(axes, view, driven[:HORIZON:SECOND], sample.vehicle, colour=PERTURBED, filled=False, alpha=0.7)
    draw_ego(axes, view, sample.state, sample.vehicle)


def draw_answers(axes: Axes, scene: Scene, sample: Sample, *, names: bool = True) -> None:
    """From the perturbed state on, every expert's rollout; others as the first accepted answer meets them.

    Args:
        axes: The canvas.
        scene: The log.
        sample: What to draw.
        names: Whether paths are labelled for a legend.
    """
    first = sample.t0 + HORIZON
    shown = next((label for label in sample.experts if label.accepted), sample.experts[0])
    paths = [label.ego.xy[: HORIZON + 1] for label in sample.experts]
    human = scene.ego.xy[sample.t0 : first + HORIZON + 1]
    seen = np.concatenate([sample.ego.xy[: HORIZON + 1], human, *paths])
    view = view_of(seen, yaw=float(sample.state.yaw)) if names else view_of(seen, yaw=float(sample.state.yaw), **CLOSE)
    prepare(axes, view)
    _draw_around(axes, view, scene, instant=first)
    last = min(HORIZON, len(shown.ego.yaw) - 1)
    tracks = tracks_during(scene, shown.agents, t0=first)
    draw_tracks(axes, view, tracks, instant=last, reacting=shown.agents.index, alpha=0.35)
    draw_tracks(axes, view, tracks, instant=0, reacting=shown.agents.index)
    draw_human(axes, view, scene, first=sample.t0, last=min(first + HORIZON, len(scene) - 1), label="human" * names)
    before = sample.ego.xy[: HORIZON + 1]
    draw_path(axes, view, before, colour=PERTURBED, label="perturbed rollout" * names, linewidth=1.2)
    for label in sample.experts:
        _draw_answer(axes, view, label, sample.vehicle, named=names)
    draw_ego(axes, view, sample.state, sample.vehicle)


def _draw_answer(axes: Axes, view: View, label: ExpertLabel, vehicle: EgoVehicle, *, named: bool) -> None:
    driven = label.ego[: HORIZON + 1]
    colour = expert_colour(label.name) if label.accepted else REFUSED
    style = "-" if label.accepted else (0, (2, 1.5))
    words = f"{label.name}{'' if label.accepted else f': {label.reason}'}" * named
    draw_path(axes, view, driven.xy, colour=colour, label=words, linestyle=style)
    draw_seconds(axes, view, driven.xy, colour=colour)
    draw_ego(axes, view, driven[-1], vehicle, colour=colour, filled=False)


def draw_rejection(axes: Axes, scene: Scene, rejection: Rejection, *, vehicle: EgoVehicle) -> None:
    """What was refused: the ego's path, with everybody at the worst instant of it (contact, else the nearest miss)."""
    path = rejection.path
    ego = _states_of(path)
    agents = rejection.agents if len(rejection.agents.index) else no_agents(len(path))
    tracks = tracks_during(scene, agents, t0=rejection.t0, every=PICTURED)
    worst, offender = _instant_of(rejection.reason, ego, tracks, vehicle)
    span = scene.ego.xy[rejection.t0 : rejection.t0 + HORIZON + 1]
    view = view_of(np.concatenate([path[:, :2], span]), yaw=float(path[0, 2]), **CLOSE)
    prepare(axes, view)
    _draw_around(axes, view, scene, instant=min(rejection.t0 + worst * PICTURED, len(scene) - 1))
    draw_tracks(axes, view, tracks, instant=worst, reacting=agents.index)
    draw_human(axes, view, scene, first=rejection.t0, last=min(rejection.t0 + HORIZON, len(scene) - 1), label="")
    colour = expert_colour(rejection.expert) if rejection.expert else PERTURBED
    draw_path(axes, view, path[:, :2], colour=colour)
    draw_ego(axes, view, ego[::2], vehicle, colour=colour, filled=False, alpha=0.5)
    draw_ego(axes, view, ego[worst], vehicle)
    if offender >= 0:
        draw_boxes(
            axes,
            view,
            tracks.xy[[offender], worst],
            tracks.yaw[[offender], worst],
            tracks.size[[offender], :2],
            facecolor="none",
            edgecolor=EGO,
            linewidth=1.4,
            zorder=9,
        )


def _instant_of(reason: str, ego: CarState, tracks: Tracks, vehicle: EgoVehicle) -> tuple[int, int]:
    """Which pose of a path shows the reason best, and whose box is to blame; -1 where nobody's is."""
    last = len(ego.yaw) - 1
    if reason == "ttc_at_end":
        return last, _worst_instant(ego[last:], tracks.at(last, last + 1), vehicle)[1]
    if reason in ("collision", "time_to_collision"):
        return _worst_instant(ego, tracks, vehicle)
    return last, -1


def _states_of(path: Float[Array, "p 3"]) -> CarState:
    states = np.zeros((len(path), 11))
    states[:, :3] = path
    return CarState.unpacked(states)


def _worst_instant(ego: CarState, tracks: Tracks, vehicle: EgoVehicle) -> tuple[int, int]:
    """The first instant at which a box touches the ego's, else the one of the nearest miss, and whose box it is."""
    centre = ego.centre_xy(vehicle)
    away = np.hypot(*np.moveaxis(tracks.xy - centre, -1, 0))
    reach = 0.5 * (np.hypot(*tracks.size[:, :2].T)[:, None] + np.hypot(vehicle.length, vehicle.width))
    away = np.where(tracks.valid, away - reach, np.inf)
    if away.size == 0 or not np.isfinite(away).any():
        return len(ego.yaw) - 1, -1
    for step in range(len(ego.yaw)):
        for agent in np.flatnonzero(away[:, step] <= 0):
            length, width = tracks.size[agent, :2]
            x, y = tracks.xy[agent, step]
            (own_x, own_y), own_yaw = centre[step], ego.yaw[step]
            own = (own_x, own_y, own_yaw, vehicle.length, vehicle.width)
            if boxes_overlap(*own, x, y, tracks.yaw[agent, step], length, width):
                return step, int(agent)
    agent, step = np.unravel_index(int(away.argmin()), away.shape)
    return int(step), int(agent)


def _draw_around(axes: Axes, view: View, scene: Scene, *, instant: int) -> None:
    instant = min(instant, len(scene) - 1)
    draw_road(axes, view, scene.road, route=scene.route)
    draw_lights(axes, view, scene.road, scene.lights, instant=instant)


def _add_legend(figure: Figure, axes: Axes, present: Array, tracks: Tracks, *, reacting: bool = False) -> None:
    kinds = sorted({TrackKind(int(kind)) for kind in tracks.kind[present]})
    handles: list[Patch | Line2D] = [Patch(color=BOX[kind], label=KIND_NAMES[kind]) for kind in kinds]
    if reacting:
        handles.append(Patch(color=REACTING, label="leaves its log"))
    handles.append(Patch(color=EGO, label="ego"))
    handles.append(Line2D([], [], color=HUMAN, linestyle=(0, (4, 2)), linewidth=1.1, label="human, a dot a second"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=len(handles), fontsize=7, frameon=False, labelcolor=FAINT
    )
