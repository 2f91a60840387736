"""Moments and examples: the same arrays, whether a log or a simulation they came from."""

import dataclasses

import numpy as np
import pytest

from made import made_sample
from simscale.dataset.example import example_of, planner_input, pose_of, view_of
from simscale.dataset.moment import logged_instants, logged_moment, simulated_moments
from simscale.generate.sample import HORIZON, no_agents
from simscale.render import Image, navsim_rig
from simscale.render.rigs import chosen
from simscale.scene import BadInput, CarState
from worlds import changed, straight_scene

SIZE = (16, 64)


class Recorder:
    """Paints every camera in a colour of its own and remembers what it was asked for."""

    def render(self, cameras, world_from_ego, tracks, lights, *, channels=("rgb",)):
        self.asked = (cameras, world_from_ego, tracks, lights)
        sizes = cameras.size_px
        colours = [np.full((h, w, 3), 50 * i + 10, dtype=np.uint8) for i, (w, h) in enumerate(sizes)]
        return tuple(Image(rgb=colour, depth=None, instance=None, semantic=None) for colour in colours)


def test_a_log_has_its_decision_points_where_history_and_future_are_there():
    scene = straight_scene(seconds=8.0)
    assert list(logged_instants(scene)) == [15, 20, 25, 30, 35, 40]
    with pytest.raises(AssertionError):
        logged_moment(scene, 41)


def test_a_logged_moment_has_the_humans_future_in_the_egos_frame():
    turned = 0.7
    scene = straight_scene(speed=8.0, boxes=[(30.0, 3.5, 0.0, 5.0)])
    moment = logged_moment(scene, 20)
    assert moment.token == "straight-t0020" and moment.expert == "human" and not moment.is_sim
    np.testing.assert_allclose(moment.trajectory[:, 0], 8.0 * 0.5 * np.arange(1, 9), atol=1e-5)
    np.testing.assert_allclose(moment.trajectory[:, 1:], 0.0, atol=1e-6)
    np.testing.assert_allclose(moment.tracks.xy, [[[40.0, 3.5]]])
    states = scene.ego.packed().copy()
    c, s = np.cos(turned), np.sin(turned)
    states[:, :2] = states[:, :2] @ np.array([[c, s], [-s, c]])
    states[:, 2] += turned
    elsewhere = logged_moment(changed(scene, ego=CarState.unpacked(states)), 20)
    np.testing.assert_allclose(elsewhere.trajectory, moment.trajectory, atol=1e-5)


def test_a_sample_gives_one_moment_for_each_accepted_expert_at_the_perturbed_state():
    scene = straight_scene(seconds=12.0, boxes=[(30.0, 3.5, 0.0, 5.0)])
    sample = dataclasses.replace(made_sample(3, log="straight"), agents=no_agents(50))
    (moment,) = simulated_moments(scene, sample)
    assert moment.token == f"{sample.token}-planner" and moment.image == sample.token and moment.is_sim
    assert moment.instant == sample.t0 + HORIZON
    np.testing.assert_array_equal(moment.state.packed(), sample.ego[HORIZON].packed())
    np.testing.assert_allclose(moment.tracks.xy, scene.tracks.xy[:, 60:61])
    label = sample.experts[0]
    here, last = label.ego[0], label.ego[40]
    forward = np.array([np.cos(here.yaw), np.sin(here.yaw)])
    assert moment.trajectory[-1, 0] == pytest.approx(float((last.xy - here.xy) @ forward), abs=1e-5)
    both = dataclasses.replace(sample, experts=(label, dataclasses.replace(label, name="recovery")))
    assert [m.expert for m in simulated_moments(scene, both)] == ["planner", "recovery"]


def test_planner_input_puts_the_cameras_side_by_side_and_poses_the_car_on_the_ground():
    scene = straight_scene()
    scene = changed(scene, ego_z=np.full(len(scene), 2.5))
    renderer, state = Recorder(), scene.ego[30]
    rgb, status = planner_input(
        renderer, view_of(scene, SIZE), scene, instant=30, state=state, tracks=scene.tracks.at(30, 31)
    )
    assert rgb.shape == (3, *SIZE) and rgb.dtype == np.uint8 and status.shape == (8,)
    assert [rgb[0, 0, x] for x in (0, 32, 63)] == [10, 60, 110]  # left, front, right
    np.testing.assert_allclose(renderer.asked[1][:3, 3], [24.0, 0.0, 2.5], atol=1e-9)
    np.testing.assert_allclose(pose_of(scene, 10_000, state)[:3, :3], np.eye(3), atol=1e-9)


def test_an_example_is_its_moment_seen():
    scene = straight_scene()
    moment = logged_moment(scene, 20)
    example = example_of(moment, scene, renderer=Recorder(), view=view_of(scene, SIZE))
    assert (example.token, example.is_sim) == (moment.token, False)
    np.testing.assert_array_equal(example.trajectory, moment.trajectory)


def test_a_rig_that_lacks_a_camera_is_refused_by_name():
    scene = changed(straight_scene(), cameras=chosen(navsim_rig(), "CAM_F0", "CAM_R0"))
    with pytest.raises(BadInput, match=r"CAM_F0, CAM_R0 without CAM_L0"):
        view_of(scene, SIZE)


def test_a_rig_of_other_cameras_is_seen_as_navsims_would_see():
    rig = navsim_rig()
    other = dataclasses.replace(rig, name=tuple(f"ring_{i}" for i in range(len(rig.name))))
    view = view_of(changed(straight_scene(), cameras=other), SIZE)
    expected = view_of(changed(straight_scene(), cameras=rig), SIZE)
    np.testing.assert_array_equal(view.ego_from_camera, expected.ego_from_camera)
