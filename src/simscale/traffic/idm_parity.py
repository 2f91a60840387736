"""NAVSIM's reactive traffic, quirks included, for scores equal to the benchmark's (scoring.md 5).

Each vehicle keeps the lane that it is on. Step by step and one after the other, it looks along the rest of its lane for
the nearest of all that anybody will sweep within the headway, and speeds up or brakes by the intelligent driver model;
the others see its new footprint at once. With nobody in the way it brakes for the end of its lane (Q6). Everything but
vehicles replays the log and is invisible to them. This is the exact form with Shapely's polygons.
"""

from dataclasses import dataclass, replace

import numpy as np
import shapely
from jaxtyping import Bool, Float, Int

from simscale.geometry.angles import direction
from simscale.scene import CarState, EgoVehicle, RoadMap, Scene, TrackKind, Tracks
from simscale.traffic.footprints import box_polygon
from simscale.traffic.idm_parity_build import Drivers, drivers_of
from simscale.traffic.idm_parity_street import Street
from simscale.traffic.rollout import TrafficRollout, TrafficState, for_each, logged
from simscale.traffic.rules import TrafficRules

Array = np.ndarray


def idm_parity(scene: Scene, t0: int, *, vehicle: EgoVehicle, rules: TrafficRules) -> "IdmParity":
    """NAVSIM's reactive traffic from instant `t0` of a scene."""
    return idm_parity_of(
        scene.tracks.at(t0, t0 + 1),
        logged(scene.tracks, t0, len(scene)),
        scene.ego[t0],
        scene.road,
        vehicle=vehicle,
        rules=rules,
        instant=t0,
    )


def idm_parity_of(
    current: Tracks,
    log: Tracks,
    ego: CarState,
    road: RoadMap,
    *,
    vehicle: EgoVehicle,
    rules: TrafficRules,
    instant: int = 0,
) -> "IdmParity":
    """NAVSIM's reactive traffic from a current frame.

    Args:
        current: Objects [a 1] of the raw current frame in the order of annotation.
        log: The log [b t] from the current frame on; only what is no vehicle is read.
        ego: The ego now, without batch axes.
        road: The map.
        vehicle: The ego car.
        rules: Constants; `NAVSIM_RULES` for parity.
        instant: Number of the current frame on the caller's grid.
    """
    cars = current.of_agents(np.flatnonzero((current.kind == TrackKind.VEHICLE) & current.valid[:, 0]))
    others = log.of_agents(np.flatnonzero((log.kind != TrackKind.VEHICLE) & log.valid.any(axis=-1)))
    # The raw current frame does not hold what the reference's interpolation spreads over all samples (Q5).
    seen_now = {name for name, valid in zip(current.id, current.valid[:, 0], strict=True) if valid}
    others.valid[:, 0] &= np.array([name in seen_now for name in others.id], dtype=bool)
    drivers, parked = drivers_of(cars, ego, road, vehicle=vehicle)
    return IdmParity(
        instant=instant, cars=cars, others=others, drivers=drivers, parked=parked, vehicle=vehicle, rules=rules
    )


@dataclass(frozen=True, kw_only=True)
class IdmParity:
    """NAVSIM's reactive traffic at one decision point: a `Traffic`.

    Agents are the vehicles of the current frame, then the log's others. QUIRK (Q8): nothing is dropped, also what
    overlaps the ego stays in the current frame.
    """

    instant: int
    cars: Tracks  # [v 1]
    others: Tracks  # [o t], from `instant` to the log's end
    drivers: Drivers  # rows in `cars`
    parked: Int[Array, " p"]  # rows in `cars`
    vehicle: EgoVehicle
    rules: TrafficRules
    dropped: int = 0

    def start(self) -> TrafficState:
        """State at the decision point; `present` are those that will be there after it."""
        progress, speed, present = self._blank(())
        row = self.drivers.row
        progress[row], speed[row], present[row] = self.drivers.station, self.drivers.speed, True
        present[self.parked] = True
        present[len(self.cars.id) :] = self.others.valid[:, 0]
        return TrafficState(instant=self.instant, progress=progress, speed=speed, present=present)

    def roll(self, state: TrafficState, ego: CarState) -> TrafficRollout:
        """Rolls `state` on beside egos `[k t]`, each alone: no result depends on the others of the batch."""
        count, samples = ego.yaw.shape
        progress, speed, present = self._blank((count, samples))
        boxes = self._parked_boxes()
        row = self.drivers.row
        for k in range(count):
            street = self._street(state, k, ego[k])
            for t in range(samples):
                if t > 0:
                    street.step(t)
                progress[k, t, row], speed[k, t, row] = street.station, street.speed[:-1]
                present[k, t, row] = street.present
                present[k, t, self.parked] = street.unobstructed(boxes)
        progress, speed, present = (np.moveaxis(values, 1, 2) for values in (progress, speed, present))
        return self._rollout(state.instant, progress, speed, present)

    def _blank(self, batch: tuple[int, ...]) -> tuple[Array, Array, Array]:
        """Progress, speed and presence of all agents, nobody there."""
        shape = (*batch, len(self.cars.id) + len(self.others.id))
        return np.zeros(shape), np.zeros(shape), np.zeros(shape, dtype=bool)

    def _parked_boxes(self) -> list[shapely.Polygon]:
        cars = self.cars.of_agents(self.parked)
        rows = zip(cars.xy[:, 0], cars.yaw[:, 0].tolist(), cars.size.tolist(), strict=True)
        return [box_polygon(xy, yaw, length=size[0], width=size[1]) for xy, yaw, size in rows]

    def _street(self, state: TrafficState, k: int, ego: CarState) -> Street:
        street = Street(self.drivers, ego, vehicle=self.vehicle, rules=self.rules)
        if state.instant > self.instant:
            rows = [
                values[k] if values.ndim == 2 else values for values in (state.progress, state.speed, state.present)
            ]
            street.resume(*(values[self.drivers.row] for values in rows))
        return street

    def _rollout(
        self, instant: int, progress: Float[Array, "k a t"], speed: Float[Array, "k a t"], present: Bool[Array, "k a t"]
    ) -> TrafficRollout:
        """Poses of the drivers from their stations; all else as it was seen in the current frame or the log."""
        count, _, samples = progress.shape
        replayed = logged(self.others, instant - self.instant, instant - self.instant + samples)
        tracks = for_each(_joined(_held(self.cars, samples), replayed), count)
        xy, yaw, velocity = tracks.xy.copy(), tracks.yaw.copy(), tracks.velocity.copy()
        for row, path in zip(self.drivers.row, self.drivers.path, strict=True):
            xy[:, row], yaw[:, row] = path.xy_at(progress[:, row]), path.yaw_at(progress[:, row])
            velocity[:, row] = speed[:, row, :, None] * direction(yaw[:, row])
        present[:, len(self.cars.id) :] = replayed.valid
        valid = present.copy()
        if instant == self.instant:  # the reference scores the raw current frame as sample 0 (scoring.md 3.4)
            now = (slice(None), slice(0, len(self.cars.id)), 0)
            xy[now], yaw[now], velocity[now] = self.cars.xy[:, 0], self.cars.yaw[:, 0], self.cars.velocity[:, 0]
            valid[now] = True
        moved = replace(tracks, xy=xy, yaw=yaw, velocity=velocity, valid=valid)
        return TrafficRollout(instant=instant, tracks=moved, progress=progress, speed=speed, present=present)


def _held(tracks: Tracks, samples: int) -> Tracks:
    """Tracks `[a 1]` as they are, for `samples` samples."""

    def repeat(values: Array) -> Array:
        return np.repeat(values, samples, axis=1)

    return replace(
        tracks,
        xy=repeat(tracks.xy),
        z=repeat(tracks.z),
        yaw=repeat(tracks.yaw),
        velocity=repeat(tracks.velocity),
        valid=repeat(tracks.valid),
    )


def _joined(first: Tracks, second: Tracks) -> Tracks:
    """The agents of both, over the same samples."""
    names = ("xy", "z", "yaw", "velocity", "size", "kind", "valid")
    arrays = {name: np.concatenate([getattr(first, name), getattr(second, name)]) for name in names}
    return Tracks(**arrays, id=(*first.id, *second.id))
