"""PDM-Closed's forecast: everything goes on as it goes, straight and at constant speed.

Where the reference looks only at the nearest objects of each kind, and drives "along the box, forwards or backwards"
instead of along the measured velocity, so do we (`PDMObservation.update` in its pdm_observation.py).
"""

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int

from simscale.experts.rules import PdmClosedRules
from simscale.geometry.angles import direction
from simscale.geometry.boxes import corners_of
from simscale.scene import AGENT_KINDS, DT, CarState, EgoVehicle, TrackKind, Tracks

Array = np.ndarray


def forecast_of(tracks: Tracks, state: CarState, *, vehicle: EgoVehicle, samples: int, rules: PdmClosedRules) -> Tracks:
    """Objects near the ego over the next samples, in the reference's order: static ones, then agents by kind.

    Args:
        tracks: Agents [a h]; the last instant is now.
        state: The ego now (no batch axes).
        vehicle: The ego's dimensions.
        samples: Number of 10 Hz samples, the first of which is now.
        rules: Numbers of objects of each kind, and how many samples share one forecast.
    """
    keep = _nearest(tracks, state.centre_xy(vehicle), rules)
    now = tracks.of_agents(keep).at(tracks.xy.shape[-2] - 1, tracks.xy.shape[-2])
    speed = np.where(np.isin(now.kind, AGENT_KINDS)[:, None], now.speed, 0.0)
    backwards = (now.velocity * direction(now.yaw)).sum(-1) < 0
    velocity = (speed * np.where(backwards, -1.0, 1.0))[..., None] * direction(now.yaw)
    time = np.arange(samples) // rules.forecast_every * rules.forecast_every * DT
    shape = (len(keep), samples)
    return Tracks(
        xy=now.xy + time[:, None] * velocity,
        z=np.broadcast_to(now.z, shape),
        yaw=np.broadcast_to(now.yaw, shape),
        velocity=np.broadcast_to(velocity, (*shape, 2)),
        size=now.size,
        kind=now.kind,
        valid=np.ones(shape, dtype=bool),
        id=now.id,
    )


def _nearest(tracks: Tracks, centre: Float[Array, "2"], rules: PdmClosedRules) -> Int[Array, " n"]:
    """Numbers of the objects that are forecast; the order decides ties between equally near leading objects."""
    distance = np.hypot(*(tracks.xy[:, -1] - centre).T)
    seen = tracks.valid[:, -1] & (distance <= rules.radius)
    counts = (
        (~np.isin(tracks.kind, AGENT_KINDS), rules.nearest_static),
        (tracks.kind == TrackKind.VEHICLE, rules.nearest_vehicles),
        (tracks.kind == TrackKind.PEDESTRIAN, rules.nearest_pedestrians),
        (tracks.kind == TrackKind.BICYCLE, rules.nearest_bicycles),
    )
    chosen = []
    for of_kind, count in counts:
        candidates = np.flatnonzero(of_kind & seen)
        chosen.append(candidates[np.argsort(distance[candidates], kind="stable")[:count]])
    return np.concatenate(chosen).astype(np.int64)


def touches_ego(tracks: Tracks, state: CarState, *, vehicle: EgoVehicle) -> Bool[Array, " a"]:
    """Which objects overlap the ego at the first sample: the planner leaves them out (`collided_track_ids`)."""
    corners = corners_of(tracks.xy[:, 0], tracks.yaw[:, 0], tracks.size[:, 0], tracks.size[:, 1])
    ego = ego_polygon(state.xy, state.yaw, vehicle=vehicle)
    return np.asarray(shapely.intersects(np.asarray(shapely.polygons(corners), dtype=object), ego), dtype=bool)


def ego_polygon(
    xy: Float[Array, "*b 2"], yaw: Float[Array, "*b"] | float, *, vehicle: EgoVehicle
) -> shapely.Polygon | Array:
    """The ego's box with its rear axle at these poses."""
    angle = np.asarray(yaw, dtype=np.float64)
    centre = xy + vehicle.rear_axle_to_centre * direction(angle)
    length, width = np.full(angle.shape, vehicle.length), np.full(angle.shape, vehicle.width)
    return shapely.polygons(corners_of(centre, angle, length, width))
