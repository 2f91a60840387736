"""What a score is made from, against the golden numbers: poses, boxes, map, route. Absent numbers are not compared."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Int

from simscale.evaluate.comparison import EXACT, Comparison, of_names, of_states
from simscale.evaluate.navsim_start import NavsimStart
from simscale.experts.paths import headings_of
from simscale.geometry.boxes import corners_of
from simscale.geometry.polylines import stations_of
from simscale.ingest.golden import GoldenScene
from simscale.ingest.navsim_log import NOW, ego_states
from simscale.scene import AGENT_KINDS, Tracks

Array = np.ndarray

METRES = 1e-6
"""Tolerance of states, boxes and progress, m (and rad, m/s)."""


def input_comparisons(golden: GoldenScene, start: NavsimStart) -> Iterator[Comparison]:
    """Everything that stands before the first trajectory."""
    yield from _ego(golden, start)
    yield from _boxes(golden, start.current, "cur")
    yield from _boxes(golden, start.log, "obs")
    yield from _road(golden, start)


def _ego(golden: GoldenScene, start: NavsimStart) -> Iterator[Comparison]:
    z, past = golden.npz, ego_states(golden.frames)[: NOW + 1]
    ours = {"ego_state": start.ego, "past_states": past, "past_states_10hz": start.history}
    for name, states in ours.items():
        if name in z:
            yield of_states(name, states.packed(), golden.local(z[name]), tolerance=METRES)
    if "ego_center" in z:
        centre = np.append(start.ego.centre_xy(start.vehicle), start.ego.yaw)
        yield of_states("ego_center", centre, golden.local(z["ego_center"]), tolerance=METRES)
    if "human_poses" in z:
        human = np.concatenate([start.human.xy[0], start.human.yaw[0][:, None]], axis=-1)
        yield of_states("human_poses", human, z["human_poses"], tolerance=METRES)


def _boxes(golden: GoldenScene, tracks: Tracks, prefix: str) -> Iterator[Comparison]:
    """Boxes of every sample, in the reference's order: by kind, then by first appearance."""
    z = golden.npz
    agent, sample = _rows(tracks)
    number = {name: i for i, name in enumerate(golden.track_ids)}
    kind, size = tracks.kind[agent], tracks.size[agent]
    moves = np.isin(kind, AGENT_KINDS)
    xy, yaw = tracks.xy[agent, sample], tracks.yaw[agent, sample]
    box = np.concatenate([xy, yaw[:, None], size[:, :2]], axis=-1)
    velocity = np.where(moves[:, None], tracks.velocity[agent, sample], np.nan)
    corners = corners_of(xy, yaw, size[:, 0], size[:, 1])
    start = np.searchsorted(sample, np.arange(tracks.valid.shape[1] + 1))
    ours = {
        "start": start,
        "track": np.array([number[tracks.id[a]] for a in agent.tolist()], dtype=np.int64),
        "type": kind,
        "vel": velocity,
    }
    for name, found in ours.items():
        if f"{prefix}_{name}" in z:
            tolerance = METRES if name == "vel" else EXACT
            yield Comparison(
                quantity=f"{prefix}_{name}", found=found, expected=z[f"{prefix}_{name}"], tolerance=tolerance
            )
    if f"{prefix}_box" in z:
        yield of_states(f"{prefix}_box", box, golden.local(z[f"{prefix}_box"]), tolerance=METRES)
    if f"{prefix}_corners" in z:
        expected = golden.local(z[f"{prefix}_corners"])
        yield Comparison(quantity=f"{prefix}_corners", found=corners, expected=expected, tolerance=METRES)


def _rows(tracks: Tracks) -> tuple[Int[Array, " n"], Int[Array, " n"]]:
    """Agent and sample of every box, sample by sample."""
    order = np.argsort(tracks.kind, kind="stable")
    sample, place = np.nonzero(tracks.valid[order].T)
    return order[place], sample


def _road(golden: GoldenScene, start: NavsimStart) -> Iterator[Comparison]:
    cache, z, names = golden.cache, golden.npz, golden.road.id
    if "route_lane_ids" in cache:
        yield of_names("route_lane_ids", [names[lane] for lane in start.route], cache["route_lane_ids"])
    if "drivable" in cache:
        yield of_names("drivable", [names[m] for m in start.drivable], [name for name, _ in cache["drivable"]])
    if "obs_traffic_lights" in cache:
        around = start.around
        for sample, expected in enumerate(cache["obs_traffic_lights"]):
            red = [f"red_light_{names[element]}" for element in around.red_element[around.red[:, sample]]]
            yield of_names("obs_traffic_lights", sorted(red), sorted(expected))
    if "centerline_xyh" in z:
        line = _line_with_headings(start.centre_line)
        yield of_states("centerline_xyh", line, golden.local(z["centerline_xyh"]), tolerance=METRES)
    if "centerline_progress" in z:
        station = stations_of(start.centre_line)
        yield Comparison(
            quantity="centerline_progress", found=station, expected=z["centerline_progress"], tolerance=METRES
        )
    if "pdm_target_velocities" in cache:
        expected = np.array(cache["pdm_target_velocities"][-1:])
        yield Comparison(
            quantity="speed_limit", found=np.array([start.speed_limit]), expected=expected, tolerance=METRES
        )


def _line_with_headings(line: Float[Array, "n 2"]) -> Float[Array, "n 3"]:
    return np.concatenate([line, headings_of(line)[:, None]], axis=-1)
