"""Place: what the rollouts from one instant of a log share: the road around, the route, the speed limit.

A decision point has two: where the perturbation starts, and, 4 s on, where the experts answer.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from simscale.experts.recovery import human_path
from simscale.generate.sample import HORIZON, ROLLOUT_LENGTH
from simscale.generate.settings import GenerateSettings
from simscale.geometry.polylines import project
from simscale.scene import DT, BadInput, Scene
from simscale.scene.routing import path_of
from simscale.scoring.surroundings import Surroundings, surroundings_of

Array = np.ndarray

LIMIT_FACTOR = 1.3
"""Where the map has no speed limit, it is this times the human's fastest ... (ours)"""
LIMIT_RADIUS = 50.0
"""... within this distance, m (ours)."""
LEAST_LIMIT = 4.0
"""A log that stands all the time says nothing about how fast one may drive, m/s (ours)."""
AROUND = 120.0
"""Radius of the surroundings: a perturbed state is 20 m from the human at most, and 4 s at 25 m/s are 100 m (ours)."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """One instant of a log, ready for rollouts that start there."""

    instant: int
    around: Surroundings
    centre_line: Float[Array, "n 2"]  # of the route, m
    speed_limit: float  # m/s


def token_instants_of_length(length: int, settings: GenerateSettings) -> list[int]:
    """Decision points of a log of so many grid instants: every 0.5 s where it has 2 s before and 8.9 s after."""
    first = round(settings.history / DT)
    last = length - 1 - (HORIZON + ROLLOUT_LENGTH - 1)
    return list(range(first, last + 1, round(settings.token_spacing / DT)))


def token_instants(scene: Scene, settings: GenerateSettings) -> list[int]:
    """Grid instants of a log's decision points."""
    return token_instants_of_length(len(scene), settings)


def token_name(log: str, instant: int) -> str:
    """Name of a decision point."""
    return f"{log}-t{instant:04d}"


def centre_line_of(scene: Scene) -> Float[Array, "n 2"]:
    """Centre line of the route; the human's own path where the log has no lanes under it."""
    path = path_of(scene.road, scene.route)
    return path if len(path) >= 2 else human_path(scene.ego)


def place_of(scene: Scene, instant: int, *, centre_line: Float[Array, "n 2"]) -> Place:
    """The place at an instant.

    Raises:
        BadInput: The log has no map, and nothing can be scored without one.
    """
    if len(scene.road) == 0:
        raise BadInput(scene.id, "road", "empty (the log has no map)", "lanes and drivable area, which generate needs")
    return Place(
        instant=instant,
        around=surroundings_of(
            scene.road,
            scene.lights,
            instants=np.minimum(instant + np.arange(ROLLOUT_LENGTH), len(scene) - 1),
            route=scene.route,
            centre_line=centre_line,
            around_xy=scene.ego.xy[instant],
            radius=AROUND,
        ),
        centre_line=centre_line,
        speed_limit=speed_limit_at(scene, instant),
    )


def speed_limit_at(scene: Scene, instant: int) -> float:
    """The limit of the route's lane here, else 1.3 x the human's fastest within 50 m (ours)."""
    xy = scene.ego.xy[instant]
    limited = [int(lane) for lane in scene.route if scene.road.has_speed_limit[lane]]
    near = [(abs(float(project(scene.road.centre_line(lane), xy[None])[1][0])), lane) for lane in limited]
    if near and min(near)[0] < 5.0:
        return float(scene.road.speed_limit[min(near)[1]])
    close = np.hypot(*(scene.ego.xy - xy).T) <= LIMIT_RADIUS
    return max(LIMIT_FACTOR * float(scene.ego.speed[close].max()), LEAST_LIMIT)
