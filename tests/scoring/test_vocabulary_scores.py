"""SimScale's scores of a vocabulary: both kinds of progress, its own human filter, twelve golden scenes."""

from pathlib import Path

import numpy as np
import pytest

from golden import GoldenScene, golden_scene
from simscale.dynamics import simulate, track
from simscale.scene import PACIFICA, CarState, Lights, Plan
from simscale.scoring import PARITY, Scores, Surroundings, score, surroundings_of
from simscale.scoring.vocabulary import BLOCK, COLUMNS, VocabularyScores, filtered_columns, score_vocabulary
from worlds import straight_road, tracks_of

WITH_VOCABULARY = (0, 2, 3, 5, 8, 9, 11, 18, 20, 22, 24, 27)
PICKLED = (
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "driving_direction_compliance",
    "traffic_light_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "lane_keeping",
    "history_comfort",
    "pdm_score",
)
"""SimScale's names of `COLUMNS`."""


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


def expert_drive(golden: GoldenScene) -> CarState:
    """PDM-Closed's own plan, driven: its first pose is not the car's."""
    pose = golden.local(golden.npz["pdm_traj_states"])[None, :41, :3]
    pose[..., :2] -= golden.ego.xy
    return track(pose, golden.ego, vehicle=PACIFICA, steps=40, start_time_us=int(golden.npz["ego_time_us"]))[0]


def human_scores(golden: GoldenScene, around: Surroundings) -> Scores:
    pose = golden.npz["human_poses"].astype(np.float64)[None]
    plan = Plan(xy=pose[..., :2], yaw=pose[..., 2], dt=0.5)
    drive = simulate(plan, golden.ego, vehicle=PACIFICA, start_time_us=int(golden.npz["ego_time_us"]))
    return score(drive, golden.kept_tracks(), around, vehicle=PACIFICA, history=None, rules=PARITY)


def golden_vocabulary(golden: GoldenScene, plans: Plan) -> VocabularyScores:
    return score_vocabulary(
        plans,
        golden.ego,
        golden.kept_tracks(),
        around_of(golden),
        expert=expert_drive(golden),
        vehicle=PACIFICA,
        history=golden.history,
        start_time_us=int(golden.npz["ego_time_us"]),
    )


@pytest.mark.shared
@pytest.mark.parametrize("number", WITH_VOCABULARY)
def test_golden_vocabularies(shared: Path, number: int):
    golden = golden_scene(shared, number)
    wanted = np.load(shared / "golden" / "scoring" / "vocab" / f"scene_{number:03d}.npz")
    pose = wanted["vocab_poses"]
    ours = golden_vocabulary(golden, Plan(xy=pose[..., :2], yaw=pose[..., 2], dt=0.1))
    human = human_scores(golden, around_of(golden))
    np.testing.assert_allclose(ours.progress_m, wanted["progress_raw"], rtol=0, atol=1e-6)
    for mode in ("eval", "gen_gt"):
        measured = ours.measured(mode)
        np.testing.assert_array_equal(measured.multiplicative, wanted[f"{mode}_raw_multi"])
        np.testing.assert_allclose(ours.weighted(mode), wanted[f"{mode}_raw_weighted"][:, :4], rtol=0, atol=1e-6)
        total = np.concatenate([measured.expert.total, measured.plans.total])
        np.testing.assert_allclose(total, wanted[f"{mode}_raw_pdm"], rtol=0, atol=1e-6)
        columns = filtered_columns(measured.plans, human, human_filter="legacy")
        stored = np.stack([wanted[f"{mode}_{name}"] for name in PICKLED], axis=-1)
        np.testing.assert_array_equal(columns.astype(np.float16), stored)


@pytest.fixture(scope="module", params=[(8, 0.5), (40, 0.1)], ids=["8 poses", "40 poses"])
def arcs(request) -> Plan:
    """More plans than one block holds, float32, from standing to fast and from left to right."""
    poses, dt = request.param
    speed, bend = np.meshgrid(np.linspace(0.0, 14.0, BLOCK // 16 + 2), np.linspace(-0.02, 0.02, 16), indexing="ij")
    way = speed.reshape(-1, 1) * dt * np.arange(1, poses + 1)
    yaw = way * bend.reshape(-1, 1)
    xy = np.stack([way * np.sinc(yaw / np.pi), way * yaw / 2], axis=-1)
    return Plan(xy=xy.astype(np.float32), yaw=yaw.astype(np.float32), dt=dt)


@pytest.fixture(scope="module")
def street() -> dict:
    road = straight_road()
    lights = Lights(element=np.zeros(0, dtype=np.int64), state=np.zeros((0, 41), dtype=np.int64))
    line = np.array([[-100.0, 0.0], [400.0, 0.0]])
    around = surroundings_of(
        road, lights, instants=np.arange(41), route=np.array([0]), centre_line=line, around_xy=np.zeros(2)
    )
    state = CarState.unpacked(np.array([0.0, 0.0, 0.0, 8.0, *[0.0] * 7]))
    tracks = tracks_of([(30.0, 0.0, 0.0, 2.0), (10.0, 3.5, 0.0, 6.0)], 41)
    ahead = 8.0 * 0.5 * np.arange(1, 9)[None]
    steady = Plan(xy=np.stack([ahead, 0 * ahead], axis=-1), yaw=0 * ahead, dt=0.5)
    expert = simulate(steady, state, vehicle=PACIFICA)[0]
    return {"start": state, "tracks": tracks, "around": around, "expert": expert, "vehicle": PACIFICA, "history": None}


def test_blocks_make_no_difference(arcs: Plan, street: dict):
    ours = score_vocabulary(arcs, **street).measured("gen_gt")
    assert len(arcs.yaw) > BLOCK
    whole = simulate(arcs, street["start"], vehicle=PACIFICA)
    best = float((ours.expert.progress_m * ours.expert.multiplier)[0])
    wanted = score(whole, street["tracks"], street["around"], vehicle=PACIFICA, history=None, rules=PARITY)
    np.testing.assert_array_equal(ours.multiplicative[1:, 0], wanted.no_at_fault_collision)
    np.testing.assert_array_equal(ours.plans.time_to_collision, wanted.time_to_collision)
    np.testing.assert_array_equal(ours.plans.progress_m, wanted.progress_m)
    safe = wanted.progress_m * wanted.multiplier
    measure = np.maximum(safe, best)
    np.testing.assert_allclose(ours.plans.progress, np.where(measure > 5.0, safe / np.maximum(measure, 1.0), 1.0))
    assert 0.1 < wanted.multiplier.mean() < 0.9


def test_filters_forgive_what_the_human_failed(arcs: Plan, street: dict):
    ours = score_vocabulary(arcs, **street).plans
    human = score(
        CarState.unpacked(street["expert"].packed()[None]),
        street["tracks"],
        street["around"],
        vehicle=PACIFICA,
        history=None,
        rules=PARITY,
    )
    assert human.no_at_fault_collision == 0.0 and human.total == 0.0
    off, fixed, legacy = (
        dict(zip(COLUMNS, filtered_columns(ours, human, human_filter=mode).T, strict=True))
        for mode in ("off", "fixed", "legacy")
    )
    assert not off["no_at_fault_collision"].all() and not off["drivable_area"].all()
    for forgiven in (fixed, legacy):
        assert forgiven["no_at_fault_collision"].all()
        np.testing.assert_array_equal(forgiven["drivable_area"], off["drivable_area"])
    assert legacy["total"].all()
    assert fixed["total"][fixed["drivable_area"] == 0.0].max() == 0.0
    assert (fixed["total"] > off["total"]).any()
