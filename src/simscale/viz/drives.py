"""Pictures of judged drives: what an agent planned and drove, what everybody did, and where it first went wrong."""

from dataclasses import fields

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from simscale.evaluate.judge import Judged
from simscale.evaluate.starts import Start
from simscale.geometry.se2 import to_parent
from simscale.scene import Plan
from simscale.scoring.human_filter import SUB_SCORES
from simscale.viz.bev import draw_ego, draw_human, draw_lights, draw_path, draw_road, draw_seconds, draw_tracks
from simscale.viz.canvas import prepare, view_of
from simscale.viz.style import EGO, FAINT, INK, PERTURBED

Array = np.ndarray

SECOND = 10
"""Steps of a second."""
HORIZON = 40
PLAN_COLOUR = "#1660c2"
SHORT = {
    "no_at_fault_collision": "collision",
    "drivable_area": "off road",
    "driving_direction": "oncoming",
    "traffic_light": "red light",
    "progress": "progress",
    "time_to_collision": "time to collision",
    "lane_keeping": "lane keeping",
    "history_comfort": "comfort",
}


def drive_picture(
    start: Start, plan: Plan, drive: Judged, *, title: str, seen: UInt8[Array, "h w 3"] | None = None
) -> Figure:
    """One drive from above, at the moment at which it first fails, under what the cameras saw at its start.

    Args:
        start: Where it starts.
        plan: What was planned, [t].
        drive: What came of it.
        title: First line above the picture.
        seen: The stitched cameras, where the agent has any.
    """
    figure = Figure(figsize=(7.0, 7.6 if seen is None else 9.2), dpi=100)
    bottom = 0.01 if seen is None else 0.2
    axes = figure.add_axes((0.01, bottom, 0.98, 0.94 - bottom))
    draw_drive(axes, start, plan, drive)
    axes.set_title(f"{title}\n{words_of(drive)}", fontsize=9, color=INK, loc="left", linespacing=1.3)
    if seen is not None:
        below = figure.add_axes((0.01, 0.01, 0.98, 0.18))
        below.imshow(seen)
        below.set_axis_off()
    return figure


def draw_drive(axes: Axes, start: Start, plan: Plan, drive: Judged) -> None:
    """The drive and everybody in it; boxes are those of the first failure, else of the end."""
    scene, here = start.scene, start.ego
    xy, _ = to_parent(plan.xy, plan.yaw, frame_xy=here.xy, frame_yaw=float(here.yaw))
    last = min(start.instant + HORIZON, len(scene) - 1)
    view = view_of(np.concatenate([drive.ego.xy, xy, scene.ego.xy[start.instant : last + 1]]), yaw=float(here.yaw))
    prepare(axes, view)
    worst = worst_instant(drive)
    draw_road(axes, view, scene.road, route=scene.route)
    draw_lights(axes, view, scene.road, scene.lights, instant=min(start.instant + worst, len(scene) - 1))
    draw_tracks(axes, view, drive.tracks, instant=worst)
    draw_human(axes, view, scene, first=start.instant, last=last)
    draw_path(axes, view, start.history.xy, colour=PERTURBED, label="before", linewidth=1.2)
    draw_path(axes, view, xy, colour=PLAN_COLOUR, label="plan", linestyle=":", marker="o", markersize=2.5)
    draw_path(axes, view, drive.ego.xy, colour=EGO, label="driven")
    draw_seconds(axes, view, drive.ego.xy, colour=EGO)
    draw_ego(axes, view, drive.ego[:: 2 * SECOND], scene.vehicle, colour=FAINT, filled=False)
    draw_ego(axes, view, drive.ego[worst], scene.vehicle)
    axes.legend(loc="upper left", fontsize=7, framealpha=0.9)


def worst_instant(drive: Judged) -> int:
    """Sample of the first failure of a multiplier or of time-to-collision; the last where there is none."""
    first = drive.scores.first
    failed = [int(getattr(first, field.name)[0]) for field in fields(first) if field.name != "lane_keeping"]
    return min((sample for sample in failed if sample >= 0), default=HORIZON)


def words_of(drive: Judged) -> str:
    """Which sub-scores are not full, in words."""
    lost = [
        f"{SHORT[name]} {value:.2f}".replace(" 0.00", "")
        for name, value in zip(SUB_SCORES, drive.sub_scores.tolist(), strict=True)
        if value < 1
    ]
    return f"at {worst_instant(drive) / SECOND:.1f} s   {', '.join(lost) or 'nothing lost'}"
