"""All that the reference needs to know to score a plan at one token of a NAVSIM log, from raw frames and map alone.

It is what NAVSIM keeps in its metric cache (`MetricCacheProcessor`): the ego and its history, the human's plan, what
the log's others do, and what PDM-Closed makes of map, route and traffic: the corrected route, its centre line, and its
own drive, against which progress is measured.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from simscale.dynamics import simulate, track
from simscale.experts.pdm_closed import RankedProposals, plan_pdm_closed
from simscale.experts.route_search import corrected_route, joined_centre_line, lane_sequence, route_lanes
from simscale.experts.rules import PARITY as PDM_PARITY
from simscale.geometry.boxes import boxes_overlap
from simscale.ingest.navsim_log import (
    NOW,
    SAMPLE_STEP_US,
    SAMPLES,
    LogFrames,
    current_tracks,
    ego_states,
    history_10hz,
    human_plan,
    lights_of,
    observed_tracks,
)
from simscale.scene import DT, CarState, EgoVehicle, Lights, Plan, RoadKind, RoadMap, Tracks
from simscale.scoring import Surroundings, surroundings_of
from simscale.scoring.drivable import drivable_elements
from simscale.traffic.idm_parity import idm_parity_of
from simscale.traffic.idm_parity_build import NAVSIM_RULES

Array = np.ndarray

FALLBACK_LIMIT = 15.0
"""Speed limit of a lane without one, m/s (`fallback_target_velocity` of PDM-Closed)."""


@dataclass(frozen=True, kw_only=True)
class NavsimStart:
    """One token as the reference sees it; all in one local frame."""

    vehicle: EgoVehicle
    time_us: int  # now
    ego: CarState  # now, without batch axes
    history: CarState  # [h] samples that comfort puts before a drive
    human: Plan  # [1 8]
    current: Tracks  # [a 1] everybody now
    log: Tracks  # [a 41] everybody over the next 4 s, nothing removed
    road: RoadMap
    lights: Lights  # at the 41 samples
    drivable: Int[Array, " m"]  # elements around the ego, in the reference's order
    logged_lanes: Int[Array, " l"]  # of the log's own route: where red lights count
    route: Int[Array, " r"]  # lanes of the corrected route
    lanes: Int[Array, " n"]  # that PDM-Closed drives along
    centre_line: Float[Array, "c 2"]  # of these, m
    around: Surroundings  # what a score reads

    @property
    def speed_limit(self) -> float:
        """Of the lane that the ego starts in, m/s."""
        lane = self.lanes[0]
        return float(self.road.speed_limit[lane]) if self.road.has_speed_limit[lane] else FALLBACK_LIMIT


def navsim_start(frames: LogFrames, road: RoadMap, blocks: Int[Array, " b"], *, vehicle: EgoVehicle) -> NavsimStart:
    """Everything at the frame that is now.

    Args:
        frames: Of the log.
        road: The map around.
        blocks: Road blocks of the log's own route, elements of `road` in driving order.
        vehicle: The ego car.
    """
    ego, lights = ego_states(frames)[NOW], lights_of(frames, road)
    logged = road.group[blocks]
    corrected = corrected_route(road, logged, ego)
    route = route_lanes(road, corrected)
    lanes = lane_sequence(road, corrected, ego, vehicle=vehicle)
    centre_line = joined_centre_line(road, lanes)
    centre = ego.centre_xy(vehicle)
    drivable = drivable_elements(road, centre)
    every = road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR)
    logged_lanes = every[np.isin(road.group[every], logged)]
    around = surroundings_of(
        road,
        lights,
        instants=np.arange(SAMPLES),
        route=route,
        centre_line=centre_line,
        around_xy=centre,
        light_route=logged_lanes,
        elements=drivable,
    )
    return NavsimStart(
        vehicle=vehicle,
        time_us=int(frames.timestamp_us[NOW]),
        ego=ego,
        history=history_10hz(frames),
        human=human_plan(frames),
        current=current_tracks(frames),
        log=observed_tracks(frames),
        road=road,
        lights=lights,
        drivable=drivable,
        logged_lanes=logged_lanes,
        route=route,
        lanes=lanes,
        centre_line=centre_line,
        around=around,
    )


def driven(start: NavsimStart, plan: Plan) -> CarState:
    """Drives of plans `[k t]`, as the reference simulates them."""
    return simulate(plan, start.ego, vehicle=start.vehicle, start_time_us=start.time_us)


def planner_surroundings(start: NavsimStart) -> Surroundings:
    """What PDM-Closed reads: as for a score, but lights count along the corrected route."""
    return surroundings_of(
        start.road,
        start.lights,
        instants=np.arange(SAMPLES),
        route=start.route,
        centre_line=start.centre_line,
        around_xy=start.ego.centre_xy(start.vehicle),
        elements=start.drivable,
    )


def pdm_closed(start: NavsimStart, *, exact: bool = False) -> RankedProposals:
    """PDM-Closed's proposals; the drive that progress is measured against is that of the best one."""
    return plan_pdm_closed(
        start.ego,
        start.history,
        start.current,
        planner_surroundings(start),
        vehicle=start.vehicle,
        centre_line=start.centre_line,
        speed_limit=start.speed_limit,
        rules=PDM_PARITY,
        exact=exact,
    )


def expert_drive(start: NavsimStart, planned: RankedProposals) -> CarState:
    """PDM-Closed's drive `[41]` as the reference's scorer simulates it, against which progress is measured.

    QUIRK: the planner's poses are due every 0.1 s to the microsecond, but the simulator asks for them at times that it
    cuts off to whole microseconds, so that it follows poses up to 1e-5 m before the planner's own.
    """
    now = start.time_us * 1e-6
    grid = np.arange(0.0, SAMPLES * DT, DT)[:SAMPLES]
    wanted = np.array([int((now + offset) * 1e6) for offset in grid]) - start.time_us
    due = SAMPLE_STEP_US * np.arange(len(planned.drive))
    pose = np.stack([np.interp(wanted, due, column) for column in planned.drive.T], axis=-1)
    pose[:, :2] -= start.ego.xy
    return track(pose[None], start.ego, vehicle=start.vehicle, steps=SAMPLES - 1)[0]


def replayed(start: NavsimStart) -> Tracks:
    """The log as log replay scores it. QUIRK Q8: what overlaps the ego now is taken out of all samples."""
    x, y = start.ego.centre_xy(start.vehicle)
    log, ego = start.log, (float(x), float(y), float(start.ego.yaw), start.vehicle.length, start.vehicle.width)
    boxes = np.column_stack([log.xy[:, 0], log.yaw[:, 0], log.size[:, :2]])
    overlaps = np.array([boxes_overlap(*ego, *box) for box in boxes], dtype=bool)
    return log.of_agents(np.flatnonzero(~(log.valid[:, 0] & overlaps)))


def reacting(start: NavsimStart, ego: CarState, *, exact: bool = False) -> Tracks:
    """NAVSIM's reactive traffic `[k a 41]` beside drives `[k 41]`. QUIRK Q8: nothing is taken out."""
    traffic = idm_parity_of(
        start.current, start.log, start.ego, start.road, vehicle=start.vehicle, rules=NAVSIM_RULES, exact=exact
    )
    return traffic.roll(traffic.start(), ego).tracks
