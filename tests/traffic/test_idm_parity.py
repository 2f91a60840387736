"""NAVSIM's reactive traffic against the goldens of the official code, and facts that hold for it in any world."""

import numpy as np
import pytest

from golden import SCENES, GoldenScene, golden_scene
from simscale.geometry.angles import wrap
from simscale.traffic.idm_parity import IdmParity, idm_parity_of
from simscale.traffic.idm_parity_build import NAVSIM_RULES

Array = np.ndarray


def reactive(scene: GoldenScene) -> IdmParity:
    return idm_parity_of(scene.current, scene.tracks, scene.ego, scene.road, vehicle=scene.vehicle, rules=NAVSIM_RULES)


def golden_rows(scene: GoldenScene, rollout: int, sample: int) -> tuple[list[str], Array, Array]:
    """Names, boxes (x, y, yaw, length, width) and velocities of the vehicles of one golden sample."""
    z = scene.npz
    rows = slice(*z["r_idm_start"][rollout, sample : sample + 2])
    names = [scene.json["track_tokens"][number] for number in z["r_idm_track"][rows]]
    return names, scene.local(z["r_idm_box"][rows]), z["r_idm_vel"][rows]


@pytest.mark.shared
@pytest.mark.parametrize("number", range(SCENES))
def test_vehicles_drive_as_in_the_official_code(shared, number):
    scene = golden_scene(shared, number)
    egos = scene.car(scene.npz["nr_sim"][scene.npz["r_index"][scene.npz["r_idm_traj"]]])
    tracks = reactive(scene).roll(reactive(scene).start(), egos).tracks
    for k in range(len(egos.yaw)):
        for t in range(egos.yaw.shape[1]):
            names, boxes, velocity = golden_rows(scene, k, t)
            there = np.flatnonzero((tracks.kind[k] == 0) & tracks.valid[k, :, t])
            assert sorted(tracks.id[a] for a in there) == sorted(names)
            row = [tracks.id.index(name) for name in names]
            np.testing.assert_allclose(tracks.xy[k, row, t], boxes[:, :2], rtol=0, atol=1e-6)
            np.testing.assert_allclose(wrap(tracks.yaw[k, row, t] - boxes[:, 2]), 0, atol=1e-6)
            np.testing.assert_allclose(tracks.size[k, row, :2], boxes[:, 3:5], rtol=0, atol=1e-6)
            np.testing.assert_allclose(tracks.velocity[k, row, t], velocity, rtol=0, atol=1e-6)
