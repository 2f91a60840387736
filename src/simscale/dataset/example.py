"""Example: what a planner reads of a moment, and what it is taught by it, as arrays.

This is the door between the two array worlds: everything before it is float64 and knows roads and cars, everything
after it is float32, and pixels.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

from simscale.dataset.command import status_of
from simscale.dataset.moment import Moment
from simscale.dataset.targets import agent_targets, bev_semantic_map
from simscale.render import Renderer, navsim_rig, planner_view, stitched
from simscale.render.panorama import PLANNER_CAMERAS
from simscale.scene import BadInput, Cameras, CarState, RoadMap, Scene, Tracks

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What the auxiliary heads are taught (planners.md 1.4)."""

    agent_states: Float32[Array, "30 5"]  # x, y, heading, length, width; nearest first
    agent_labels: Bool[Array, "30"]  # which rows hold a vehicle
    bev_semantic: UInt8[Array, "128 256"]  # classes of the ground ahead


@dataclass(frozen=True, kw_only=True)
class Example:
    """One moment for a planner."""

    token: str
    is_sim: bool
    rgb: UInt8[Array, "3 h w"]
    status: Float32[Array, "8"]  # command (left, straight, right, unknown), velocity m/s, acceleration m/s^2
    trajectory: Float32[Array, "8 3"]  # x, y, heading at 0.5 to 4 s in the ego frame
    targets: Targets


def rig_of(scene: Scene) -> Cameras:
    """The scene's own cameras; NAVSIM's where it has none."""
    return scene.cameras if scene.cameras.name else navsim_rig()


def view_of(scene: Scene, size: tuple[int, int]) -> Cameras:
    """The planner's view from the scene's rig, or, from a rig with other cameras, as NAVSIM's would show it.

    Args:
        scene: Whose rig. One that has none of NAVSIM's front cameras gets them where NAVSIM's cars have them.
        size: Height and width of the planner's image.

    Raises:
        BadInput: The rig has some of these cameras, and lacks another.
    """
    rig = rig_of(scene)
    if not set(PLANNER_CAMERAS) & set(rig.name):
        rig = navsim_rig()
    lacking = [name for name in PLANNER_CAMERAS if name not in rig.name]
    if lacking:
        raise BadInput(scene.id, "cameras", f"{', '.join(rig.name)} without {', '.join(lacking)}", "what planners see")
    return planner_view(rig, size)


def planner_input(
    renderer: Renderer, view: Cameras, scene: Scene, *, instant: int, state: CarState, tracks: Tracks
) -> tuple[UInt8[Array, "3 h w"], Float32[Array, "8"]]:
    """What a planner sees and is told at any state of the ego, logged or not.

    Args:
        renderer: Draws the scene's location.
        view: The planner's three small cameras, `view_of(scene, size)`.
        scene: Map, route, lights, ground height.
        instant: Grid instant, for lights and ground; beyond the log's end its last one counts.
        state: The ego, [].
        tracks: Everybody else at that instant, [a 1].

    Returns:
        The stitched image, and the status (planners.md 1.1 and 1.2).
    """
    rgb = seen_rgb(renderer, view, scene, instant=instant, state=state, tracks=tracks)
    return rgb, status_of(scene, state)


def seen_rgb(
    renderer: Renderer, view: Cameras, scene: Scene, *, instant: int, state: CarState, tracks: Tracks
) -> UInt8[Array, "3 h w"]:
    """The image of `planner_input` alone."""
    image = stitched(renderer.render(view, pose_of(scene, instant, state), tracks, lights_at(scene, instant)))
    return np.ascontiguousarray(image.transpose(2, 0, 1))


def example_of(moment: Moment, scene: Scene, *, renderer: Renderer, view: Cameras) -> Example:
    """Draws a moment and makes its targets."""
    return Example(
        token=moment.token,
        is_sim=moment.is_sim,
        rgb=seen_rgb(renderer, view, scene, instant=moment.instant, state=moment.state, tracks=moment.tracks),
        status=moment.status,
        trajectory=moment.trajectory,
        targets=targets_of(scene.road, moment.tracks, moment.state),
    )


def targets_of(road: RoadMap, tracks: Tracks, ego: CarState) -> Targets:
    """What LTF's auxiliary heads are taught at one instant, from map, tracks [a 1] and ego []."""
    states, labels = agent_targets(tracks, ego)
    return Targets(agent_states=states, agent_labels=labels, bev_semantic=bev_semantic_map(road, tracks, ego))


def pose_of(scene: Scene, instant: int, state: CarState) -> Float[Array, "4 4"]:
    """`world_from_ego`: the state on the ground where the log was at that instant."""
    c, s = np.cos(state.yaw), np.sin(state.yaw)
    pose = np.eye(4)
    pose[:2, :2] = [[c, -s], [s, c]]
    pose[:2, 3] = state.xy
    pose[2, 3] = scene.ego_z[min(instant, len(scene) - 1)]
    return pose


def lights_at(scene: Scene, instant: int) -> Array:
    """State of each row of the scene's lights; beyond the log's end, its last."""
    return scene.lights.state[:, min(instant, len(scene) - 1)]
