"""The planner as a whole: the reference's choice in all golden scenes."""

from pathlib import Path

import numpy as np
import pytest

from golden import SCENES, GoldenScene, golden_scene
from simscale.experts.pdm_closed import RankedProposals, plan_pdm_closed
from simscale.experts.rules import PARITY
from simscale.geometry.angles import wrap
from simscale.scene import PACIFICA
from simscale.scoring import surroundings_of

TOLERANCE = 1e-6


def planned(scene: GoldenScene, *, exact: bool) -> RankedProposals:
    around = surroundings_of(
        scene.road,
        scene.lights,
        instants=np.arange(41),
        route=scene.route,
        centre_line=scene.centre_line,
        around_xy=scene.ego.xy,
    )
    return plan_pdm_closed(
        scene.ego,
        scene.history,
        scene.current,
        around,
        vehicle=PACIFICA,
        centre_line=scene.centre_line,
        speed_limit=scene.json["cache"]["pdm_target_velocities"][-1],
        rules=PARITY,
        exact=exact,
    )


@pytest.mark.shared
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("number", range(SCENES))
def test_plans_scores_and_choice_are_the_references(shared: Path, number: int, exact: bool):
    scene = golden_scene(shared, number)
    ours, z = planned(scene, exact=exact), scene.npz
    multi = [
        ours.scores.no_at_fault_collision,
        ours.scores.drivable_area,
        ours.scores.traffic_light,
        ours.scores.driving_direction,
    ]
    weighted = [ours.scores.progress, ours.scores.time_to_collision, ours.scores.lane_keeping]
    np.testing.assert_allclose(ours.rollouts.packed(), scene.local(z["pdm_prop_sim"]), atol=TOLERANCE)
    np.testing.assert_array_equal(multi, z["pdm_prop_multi"])
    np.testing.assert_allclose(weighted, z["pdm_prop_weighted"][:3], atol=TOLERANCE)
    np.testing.assert_allclose(ours.scores.progress_m, z["pdm_prop_progress"], atol=TOLERANCE)
    np.testing.assert_allclose(ours.scores.total, z["pdm_prop_scores"], atol=TOLERANCE)
    assert ours.order[0] == scene.json["cache"]["pdm_best"]
    golden = scene.local(z["pdm_traj_states"])
    np.testing.assert_allclose(ours.drive[:, :2], golden[:, :2], atol=TOLERANCE)
    np.testing.assert_allclose(wrap(ours.drive[:, 2] - golden[:, 2]), 0.0, atol=TOLERANCE)
