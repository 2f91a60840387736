"""One way to ask any planner, and other projects' ways to ask ours."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from simscale.planners import PLANNERS, Observations, plan
from simscale.planners.adapters import AlpasimPolicy, NavsimAgent, observed
from simscale.scene import BadInput

COUNT = 3


@pytest.fixture(scope="module", params=PLANNERS)
def model(request):
    kind = PLANNERS[request.param]
    return kind.build(kind.presets["nano"], seed=1)


@pytest.fixture(scope="module")
def seen() -> Observations:
    draw = np.random.default_rng(0)
    rgb = draw.integers(0, 256, (COUNT, 3, 64, 256), dtype=np.uint8)
    return Observations(rgb=rgb, status=draw.normal(size=(COUNT, 8)).astype(np.float32))


def same_plans(one, other) -> None:
    np.testing.assert_allclose(one.xy, other.xy, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(one.yaw, other.yaw, rtol=1e-4, atol=1e-4)


def test_plans_are_the_same_twice_alone_and_in_a_batch(model, seen):
    whole, again = plan(model, seen), plan(model, seen)
    np.testing.assert_array_equal(whole.xy, again.xy)
    assert not model.training
    assert whole.xy.shape[:1] == (COUNT,) and whole.yaw.shape == whole.xy.shape[:-1]
    assert whole.yaw.shape[1] * whole.dt == pytest.approx(4.0)
    same_plans(plan(model, seen, batch=2), whole)
    alone = plan(model, seen.part(2, 3))
    np.testing.assert_allclose(alone.xy[0], whole.xy[2], rtol=1e-4, atol=1e-4)


def test_planning_trains_nothing_and_reads_images_of_either_kind(model, seen):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train()
    whole = plan(model, seen)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    same_plans(plan(model, Observations(rgb=seen.rgb / np.float32(255), status=seen.status)), whole)


def test_the_seed_decides_for_those_that_draw_and_for_nobody_else(model, seen):
    kind = next(kind for kind in PLANNERS.values() if isinstance(model.config, type(kind.presets["nano"])))
    one, other = plan(model, seen, seed=1), plan(model, seen, seed=2)
    assert np.array_equal(one.xy, other.xy) == (not kind.seeded)


def test_what_a_planner_cannot_read_is_named(model, seen):
    def refused(observations, *words: str) -> None:
        with pytest.raises(BadInput) as error:
            plan(model, observations, where="token-3")
        assert all(word in str(error.value) for word in ("token-3", *words)), str(error.value)

    refused(Observations(rgb=seen.rgb[..., :128], status=seen.status), "64 x 128 pixels", "64 x 256")
    histogram = np.zeros((COUNT, 1, 64, 64), dtype=np.float32)
    refused(Observations(rgb=seen.rgb, status=seen.status, lidar=histogram), "LiDAR", "images alone")
    refused(Observations(rgb=seen.rgb, status=np.full((COUNT, 8), np.nan)), "status", "not a number")


@dataclass
class Request:
    """What AlpaSim's batch worker hands over."""

    images: dict
    command_one_hot: np.ndarray = field(default_factory=lambda: np.array([0, 1, 0, 0], np.float32))
    velocity_xy: np.ndarray = field(default_factory=lambda: np.array([5.0, 0.1], np.float32))
    acceleration_xy: np.ndarray = field(default_factory=lambda: np.array([0.2, 0.0], np.float32))
    noise_seed: int | None = None
    noise_index: int | None = None


@pytest.fixture(scope="module")
def images() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(1)
    return {name: draw.integers(0, 256, (1080, 1920, 3), dtype=np.uint8) for name in ("CAM_L0", "CAM_F0", "CAM_R0")}


def navsim_input(images: dict, request: Request) -> SimpleNamespace:
    """What NAVSIM hands to an agent: four frames, the last of them the present."""
    nothing = SimpleNamespace(**{name.lower(): SimpleNamespace(image=None) for name in images})
    cameras = SimpleNamespace(**{name.lower(): SimpleNamespace(image=image) for name, image in images.items()})
    ego = SimpleNamespace(
        driving_command=request.command_one_hot.astype(int),
        ego_velocity=request.velocity_xy,
        ego_acceleration=request.acceleration_xy,
    )
    return SimpleNamespace(cameras=[nothing] * 3 + [cameras], ego_statuses=[None] * 3 + [ego], lidars=[])


def test_navsim_and_alpasim_get_the_plan(model, images):
    request = Request(images)
    found = AlpasimPolicy(model).predict_batch([request, request])
    told = (request.command_one_hot, request.velocity_xy, request.acceleration_xy)
    direct = plan(model, observed(model, images, told))
    expected = np.column_stack([direct.xy[0], direct.yaw[0]])
    for each in found:
        np.testing.assert_allclose(each.trajectory, expected, rtol=1e-4, atol=1e-4)
    assert AlpasimPolicy(model).predict_batch([]) == []

    agent = NavsimAgent(model)
    agent.initialize()
    assert agent.get_sensor_config().get_sensors_at_iteration(3) == ["cam_l0", "cam_f0", "cam_r0"]
    assert agent.get_sensor_config().get_sensors_at_iteration(0) == [] and not agent.requires_scene and agent.name()
    trajectory = agent.compute_trajectory(navsim_input(images, request))
    np.testing.assert_allclose(trajectory.poses, expected, rtol=1e-4, atol=1e-4)
    sampling = trajectory.trajectory_sampling
    assert sampling.time_horizon == 4.0 and sampling.num_poses == len(expected)
    assert sampling.interval_length == direct.dt


def test_a_request_may_bring_its_own_seed(images):
    kind = PLANNERS["diffusiondrive"]
    policy = AlpasimPolicy(kind.build(kind.presets["nano"], seed=1))
    seeds = [(7, 0), (7, 1), (7, 0), (8, 0)]
    batch = [Request(images, noise_seed=seed, noise_index=index) for seed, index in seeds]
    one, two, again, other = (each.trajectory for each in policy.predict_batch(batch))
    np.testing.assert_allclose(one, again, rtol=1e-4, atol=1e-4)
    assert not np.array_equal(one, two) and not np.array_equal(one, other)


def test_a_missing_camera_is_named_at_either_door(model, images):
    two = {name: image for name, image in images.items() if name != "CAM_F0"}
    with pytest.raises(BadInput, match="request 0: cameras is CAM_L0, CAM_R0 without CAM_F0"):
        AlpasimPolicy(model).predict_batch([Request(two)])
    lacking = navsim_input(images, Request(images))
    lacking.cameras[-1].cam_f0.image = None
    with pytest.raises(BadInput, match="without CAM_F0"):
        NavsimAgent(model).compute_trajectory(lacking)
    with pytest.raises(BadInput, match="command is of shape"):
        AlpasimPolicy(model).predict_batch([Request(images, command_one_hot=np.zeros(3))])


def test_a_planner_with_lidar_reads_navsims_points(images):
    from dataclasses import replace

    nano = PLANNERS["ltf"].presets["nano"]
    model = PLANNERS["ltf"].build(replace(nano, trunk=replace(nano.trunk, latent=False, bev_size=256)), seed=0)
    agent, given = NavsimAgent(model), navsim_input(images, Request(images))
    assert agent.get_sensor_config().get_sensors_at_iteration(3)[-1] == "lidar_pc"
    with pytest.raises(BadInput, match="LiDAR is absent"):
        agent.compute_trajectory(given)
    cloud = np.random.default_rng(0).uniform(-30, 30, (6, 500))
    given.lidars = [None, None, None, SimpleNamespace(lidar_pc=cloud)]
    one = agent.compute_trajectory(given).poses
    given.lidars[-1].lidar_pc = -cloud
    assert np.abs(agent.compute_trajectory(given).poses - one).max() > 1e-5
    assert not torch.is_inference_mode_enabled()
