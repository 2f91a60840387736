"""SimScale's scores of a vocabulary: twelve golden scenes, both kinds of progress, its own human filter."""

from pathlib import Path

import numpy as np
import pytest

from golden import GoldenScene, golden_scene
from simscale.dynamics import simulate, track
from simscale.scene import PACIFICA, CarState, Plan
from simscale.scoring import PARITY, Scores, Surroundings, score, surroundings_of
from simscale.scoring.vocabulary import VocabularyScores, filtered_columns, score_vocabulary

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
