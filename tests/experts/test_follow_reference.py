"""The reference's proposals: its own numbers in all golden scenes, and facts about single roads."""

from pathlib import Path

import numpy as np
import pytest

from golden import SCENES, GoldenScene, golden_scene
from simscale.experts.follow_reference import Unrolled, extended_reference, follow_reference
from simscale.experts.forecast import forecast_of, touches_ego
from simscale.experts.paths import headings_of, parallel_paths
from simscale.experts.rules import PARITY
from simscale.experts.way import Way, way_of
from simscale.geometry.angles import wrap
from simscale.scene import PACIFICA

STEPS = 40
TOLERANCE = 1e-6


def red_rings(scene: GoldenScene) -> list[np.ndarray]:
    """Lanes of the corrected route before which a light is red now."""
    red = scene.lights.element[scene.lights.state[:, 0] == 3]
    return [scene.road.ring(int(element)) for element in red if element in scene.route]


def way(scene: GoldenScene, *, exact: bool) -> Way:
    forecast = forecast_of(scene.current, scene.ego, vehicle=PACIFICA, samples=51, rules=PARITY)
    return way_of(
        parallel_paths(scene.centre_line, offsets=PARITY.lateral_offsets),
        forecast.of_agents(np.flatnonzero(~touches_ego(forecast, scene.ego, vehicle=PACIFICA))),
        red_rings(scene),
        start_xy=scene.ego.xy,
        targets=np.array(scene.json["cache"]["pdm_target_velocities"]),
        vehicle=PACIFICA,
        rules=PARITY,
        exact=exact,
    )


def unrolled(scene: GoldenScene, through: Way) -> Unrolled:
    return follow_reference(through, start_speed=float(scene.ego.velocity[0]), steps=STEPS)


@pytest.mark.shared
def test_headings_are_the_references(shared: Path):
    for number in range(SCENES):
        scene = golden_scene(shared, number)
        np.testing.assert_allclose(
            wrap(headings_of(scene.centre_line) - scene.npz["centerline_xyh"][:, 2]), 0.0, atol=TOLERANCE
        )


@pytest.mark.shared
def test_forecast_is_the_references(shared: Path):
    for number in range(SCENES):
        scene = golden_scene(shared, number)
        forecast = forecast_of(scene.current, scene.ego, vehicle=PACIFICA, samples=51, rules=PARITY)
        names = scene.json["cache"]["forecast_tokens"][0]
        assert list(forecast.id) == [name for name in names if not name.startswith("red_light")]
        for sample, key in ((0, "forecast0"), (20, "forecast10"), (50, "forecast25")):
            corners, start = scene.local(scene.npz[f"{key}_xy"]), scene.npz[f"{key}_start"]
            centres = [corners[start[a] : start[a] + 4].mean(axis=0) for a in range(len(forecast.id))]
            np.testing.assert_allclose(forecast.xy[:, sample], centres, atol=TOLERANCE)


@pytest.mark.shared
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("number", range(SCENES))
def test_proposals_are_the_references(shared: Path, number: int, exact: bool):
    scene = golden_scene(shared, number)
    ours = unrolled(scene, way(scene, exact=exact))
    golden = scene.npz["pdm_prop_idm"][:, : STEPS + 1]
    np.testing.assert_allclose(ours.lead, scene.npz["pdm_prop_lead"][:, : STEPS + 1], atol=TOLERANCE)
    np.testing.assert_allclose(ours.station, golden[..., 0], atol=TOLERANCE)
    np.testing.assert_allclose(ours.speed, golden[..., 1], atol=TOLERANCE)


@pytest.mark.shared
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("number", range(SCENES))
def test_the_chosen_proposal_goes_on_to_five_seconds(shared: Path, number: int, exact: bool):
    scene = golden_scene(shared, number)
    best, through = scene.json["cache"]["pdm_best"], way(scene, exact=exact)
    longer = extended_reference(through, unrolled(scene, through), best, steps=50)
    xy, yaw = through.paths.poses_of(np.array([best // len(through.targets)]), longer.station)
    golden = scene.local(scene.npz["pdm_traj_states"])
    np.testing.assert_allclose(longer.station[0], scene.npz["pdm_prop_idm"][best, :, 0], atol=TOLERANCE)
    np.testing.assert_allclose(xy[0], golden[:, :2], atol=TOLERANCE)
    np.testing.assert_allclose(wrap(yaw[0] - golden[:, 2]), 0.0, atol=TOLERANCE)
