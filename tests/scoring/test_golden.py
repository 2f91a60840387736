"""Agreement with the official scorer on all golden rollouts: categories exactly, numbers at 1e-6."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from golden import SCENES, GoldenScene, golden_scene
from simscale.dynamics import simulate
from simscale.scene import PACIFICA, CarState, Plan, Tracks
from simscale.scoring import (
    PARITY,
    Scores,
    Surroundings,
    comfort_signals,
    extended_comfort,
    human_filtered,
    score,
    surroundings_of,
)
from simscale.scoring.areas import ego_areas
from simscale.scoring.boxes import ego_boxes

pytestmark = [pytest.mark.shared, pytest.mark.parametrize("number", range(SCENES))]


@cache
def scene_of(shared: Path, number: int) -> GoldenScene:
    return golden_scene(shared, number)


def around_of(golden: GoldenScene) -> Surroundings:
    return surroundings_of(
        golden.road,
        golden.lights,
        instants=np.arange(41),
        route=golden.route,
        centre_line=golden.centre_line,
        around_xy=golden.ego.centre_xy(PACIFICA),
        light_route=golden.logged_route,
    )


def scores_of(golden: GoldenScene, ego: CarState, tracks: Tracks, best: np.ndarray | float | None) -> Scores:
    return score(
        ego, tracks, around_of(golden), vehicle=PACIFICA, history=golden.history, rules=PARITY, best_progress=best
    )


def hit(index: np.ndarray) -> np.ndarray:
    return np.where(np.isinf(index), -1, index)


def assert_agrees(ours: Scores, golden: GoldenScene, prefix: str, rows: object = slice(None)) -> None:
    """Multipliers and weighted sub-scores before the human filter."""
    multi, weighted = golden.npz[f"{prefix}_multi"][rows], golden.npz[f"{prefix}_weighted"][rows]
    gated = [ours.no_at_fault_collision, ours.drivable_area, ours.traffic_light, ours.driving_direction]
    np.testing.assert_array_equal(np.stack(gated, -1), multi)
    np.testing.assert_array_equal(
        np.stack([ours.time_to_collision, ours.lane_keeping, ours.history_comfort], -1), weighted[:, 1:4]
    )
    np.testing.assert_allclose(ours.progress, weighted[:, 0], rtol=0, atol=1e-6)
    raw = golden.npz[f"{prefix}_progress_raw"][rows][:, 1]
    np.testing.assert_allclose(ours.progress_m, raw, rtol=0, atol=1e-6)


def best_of(golden: GoldenScene, prefix: str) -> np.ndarray:
    return golden.npz[f"{prefix}_progress_raw"][:, 0] * golden.npz[f"{prefix}_pdm_ref_multi"].prod(axis=1)


def test_log_replay(shared, number):
    golden = scene_of(shared, number)
    ours = scores_of(golden, golden.car(golden.npz["nr_sim"]), golden.kept_tracks(), best_of(golden, "nr"))
    assert_agrees(ours, golden, "nr")
    np.testing.assert_array_equal(ours.first.collision, hit(golden.npz["nr_coll_idx"][:, 1]))
    np.testing.assert_array_equal(ours.first.time_to_collision, hit(golden.npz["nr_ttc_idx"][:, 1]))
    np.testing.assert_allclose(ours.total, golden.npz["nr_pdm_score"], rtol=0, atol=1e-6)


def test_from_plans_to_scores_in_one_go(shared, number):
    golden = scene_of(shared, number)
    for prefix, poses, dt in (("nr", "traj_poses", 0.5), ("nr10", "traj10_poses", 0.1)):
        plan = golden.plans(poses, dt)
        ego = simulate(plan, golden.ego, vehicle=PACIFICA, start_time_us=int(golden.npz["ego_time_us"]))
        best = best_of(golden, "nr")[: len(plan.yaw)]
        assert_agrees(scores_of(golden, ego, golden.kept_tracks(), best), golden, prefix)


def test_reactive_traffic(shared, number):
    golden = scene_of(shared, number)
    best = best_of(golden, "r")
    for i, row in enumerate(golden.npz["r_idm_traj"]):
        ego = golden.car(golden.npz["nr_sim"][golden.npz["r_index"][row]][None])
        ours = scores_of(golden, ego, golden.reactive_tracks(i), best[row])
        assert_agrees(ours, golden, "r", slice(row, row + 1))
        assert ours.first.collision[0] == hit(golden.npz["r_coll_idx"][row, 1])
        assert ours.first.time_to_collision[0] == hit(golden.npz["r_ttc_idx"][row, 1])


def test_ego_areas(shared, number):
    golden = scene_of(shared, number)
    around = around_of(golden)
    car = ego_boxes(golden.car(golden.npz["nr_sim"]), vehicle=PACIFICA, origin_xy=around.origin_xy)
    areas = ego_areas(car, around)
    found = np.stack([areas.multiple_lanes, areas.non_drivable, areas.oncoming], -1)
    np.testing.assert_array_equal(found, golden.npz["nr_areas"])


def test_the_map_is_the_same_cut(shared, number):
    golden = scene_of(shared, number)
    ours = {golden.road.id[element] for element in around_of(golden).element}
    assert ours == {name for name, _ in golden.json["cache"]["drivable"]}


def test_red_lights(shared, number):
    golden = scene_of(shared, number)
    around = around_of(golden)
    for sample, red in enumerate(golden.json["cache"]["obs_traffic_lights"]):
        ours = [f"red_light_{golden.road.id[element]}" for element in around.red_element[around.red[:, sample]]]
        assert sorted(ours) == sorted(red)


def test_human_filter(shared, number):
    golden = scene_of(shared, number)
    pose = golden.npz["human_poses"].astype(np.float64)[None]
    plan = Plan(xy=pose[..., :2], yaw=pose[..., 2], dt=0.5)
    drive = simulate(plan, golden.ego, vehicle=PACIFICA, start_time_us=int(golden.npz["ego_time_us"]))
    tracks, around = golden.kept_tracks(), around_of(golden)
    human = score(drive, tracks, around, vehicle=PACIFICA, history=None, rules=PARITY)
    ego = golden.car(golden.npz["nr_sim"])
    ours = human_filtered(scores_of(golden, ego, tracks, best_of(golden, "nr")), human, PARITY)
    columns = [
        ours.no_at_fault_collision,
        ours.drivable_area,
        ours.driving_direction,
        ours.traffic_light,
        ours.progress,
        ours.time_to_collision,
        ours.lane_keeping,
        ours.history_comfort,
    ]
    np.testing.assert_allclose(np.stack(columns, -1), golden.npz["nr_final"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(ours.multiplier, golden.npz["nr_final_mult"])
    weighted = golden.npz["nr_final_weighted"][:, :4] @ np.array([5.0, 5.0, 2.0, 2.0]) / 14.0
    np.testing.assert_allclose(ours.total, golden.npz["nr_final_mult"] * weighted, rtol=0, atol=1e-6)


def test_comfort_signals(shared, number):
    golden = scene_of(shared, number)
    ego = golden.npz["nr_sim"]
    past = np.broadcast_to(golden.npz["past_states_10hz"], (len(ego), *golden.npz["past_states_10hz"].shape))
    signals = comfort_signals(golden.car(np.concatenate([past, ego], axis=1)), vehicle=PACIFICA)
    limited = [
        signals.lon_accel,
        signals.lat_accel,
        signals.jerk,
        signals.lon_jerk,
        signals.yaw_accel,
        signals.yaw_rate,
    ]
    span = np.stack([np.stack([signal.min(axis=1), signal.max(axis=1)], -1) for signal in limited], axis=1)
    np.testing.assert_allclose(span, golden.npz["hc_minmax"], rtol=0, atol=1e-6)


def test_extended_comfort(shared, number):
    golden = scene_of(shared, number)
    now = golden.car(golden.npz["nr_sim"])
    before = CarState.unpacked(np.roll(now.packed(), -1, axis=0))
    kept, rms = extended_comfort(now, before, vehicle=PACIFICA, rules=PARITY)
    np.testing.assert_array_equal(kept, golden.npz["ec_ok"])
    np.testing.assert_allclose(rms, golden.npz["ec_rms"], rtol=0, atol=1e-6)


def test_a_vocabulary(shared, number):
    """The 128 trajectories of SimScale's batch scorer; twelve scenes have them."""
    file = shared / "golden" / "scoring" / "vocab" / f"scene_{number:03d}.npz"
    if not file.exists():
        return
    golden, wanted = scene_of(shared, number), np.load(file)
    pose = wanted["vocab_poses"].astype(np.float64)
    plan = Plan(xy=pose[..., :2], yaw=pose[..., 2], dt=0.1)
    ego = simulate(plan, golden.ego, vehicle=PACIFICA, start_time_us=int(golden.npz["ego_time_us"]))
    ours = scores_of(golden, ego, golden.kept_tracks(), None)
    gated = [ours.no_at_fault_collision, ours.drivable_area, ours.traffic_light, ours.driving_direction]
    np.testing.assert_array_equal(np.stack(gated, -1), wanted["eval_raw_multi"][1:])
    kept = [ours.time_to_collision, ours.lane_keeping, ours.history_comfort]
    np.testing.assert_array_equal(np.stack(kept, -1), wanted["eval_raw_weighted"][1:, 1:4])
    np.testing.assert_allclose(ours.progress_m, wanted["progress_raw"][1:], rtol=0, atol=1e-6)
