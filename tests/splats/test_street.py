"""Streets: agents stand where their boxes are, both of their sides are drawn, and a folder gives back what it got."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from clouds import random_gaussians
from scipy.spatial.transform import Rotation

from simscale.scene import BadInput
from simscale.splats.capture import Agents
from simscale.splats.densify import axes_of
from simscale.splats.files_asset import read_asset, write_asset
from simscale.splats.gaussians import Gaussians
from simscale.splats.street import SKY, WORLD, AgentClouds, Drive, Exposures, Street, assembled, multiplied, posed
from simscale.splats.street_file import read_street, write_street


def agents() -> Agents:
    pose = np.tile(np.eye(4), (2, 3, 1, 1))
    pose[0, :, 0, 3] = (10.0, 11.0, 12.0)
    pose[1, :, :3, :3] = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    pose[1, :, :3, 3] = (0.0, 5.0, 1.0)
    return Agents(
        id=("car", "walker"),
        kind=np.array([0, 1]),
        size=np.array([[4.0, 2.0, 1.5], [0.6, 0.6, 1.8]]),
        timestamp_us=np.array([0, 100_000, 200_000]),
        world_from_box=pose,
        valid=np.ones((2, 3), dtype=bool),
    )


def street() -> Street:
    return Street(
        name="lane",
        world=random_gaussians(20, degree=1),
        sky=random_gaussians(5, degree=1, seed=1),
        clouds=AgentClouds(
            gaussians=random_gaussians(7, degree=0, seed=2),
            agent=torch.tensor([0, 0, 0, 0, 1, 1, 1]),
            mirrored=np.array([True, False]),
        ),
        agents=agents(),
        exposures=Exposures.neutral(("front", "left"), 2),
        drive=Drive(
            camera=np.array([0, 1]),
            traversal=np.array([0, 1]),
            timestamp_us=np.array([0, 5]),
            world_from_camera=np.tile(np.eye(4), (2, 1, 1)),
            ego_us=np.array([0]),
            world_from_ego=np.eye(4)[None],
        ),
    )


def covariances(gaussians: Gaussians) -> np.ndarray:
    root = axes_of(gaussians)
    return (root @ root.transpose(1, 2)).numpy()


def test_agents_go_where_their_boxes_go():
    made = street()
    pose = made.agents.world_from_box[:, 0]
    placed, source = posed(made.clouds, pose, np.array([False, True]))
    own = made.clouds.gaussians.at(source)
    turn = pose[1, :3, :3]
    np.testing.assert_allclose(placed.means, own.means.numpy() @ turn.T + pose[1, :3, 3], atol=1e-5)
    np.testing.assert_allclose(covariances(placed), turn @ covariances(own) @ turn.T, rtol=1e-4, atol=1e-6)


def test_a_mirrored_agent_is_drawn_with_both_sides():
    made = street()
    placed, source = posed(made.clouds, np.tile(np.eye(4), (2, 1, 1)), np.array([True, False]))
    assert source.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    flip = np.diag([1.0, -1.0, 1.0])
    np.testing.assert_allclose(placed.means[4:], placed.means[:4].numpy() @ flip, atol=1e-6)
    np.testing.assert_allclose(covariances(placed)[4:], flip @ covariances(placed)[:4] @ flip, rtol=1e-4, atol=1e-6)


def test_every_gaussian_knows_its_node():
    made = street()
    gaussians, node = assembled(made, made.agents.world_from_box[:, 0], np.array([True, True]))
    assert node.tolist() == [WORLD] * 20 + [SKY] * 5 + [0] * 4 + [1] * 3 + [0] * 4
    assert len(gaussians) == len(node)
    assert gaussians.sh_degree == 1


def test_nobody_is_there_without_agents():
    made = street()
    gaussians, node = assembled(made, made.agents.world_from_box[:, 0], np.array([False, False]))
    assert len(gaussians) == 25
    assert set(node.tolist()) == {WORLD, SKY}


def test_moving_the_boxes_moves_nothing_else():
    made = street()
    pose = made.agents.world_from_box[:, 0].copy()
    there, node = assembled(made, pose, np.array([True, True]))
    pose[0, 1, 3] += 2.0
    moved, _ = assembled(made, pose, np.array([True, True]))
    shift = (moved.means - there.means).numpy()
    np.testing.assert_allclose(shift[node == 0], np.tile([0.0, 2.0, 0.0], (8, 1)), atol=1e-5)
    assert not shift[node != 0].any()


def test_a_product_of_quaternions_is_one_rotation_after_the_other():
    random = np.random.default_rng(0)
    a, b = (Rotation.random(5, random_state=random) for _ in range(2))
    both = multiplied(*(torch.from_numpy(r.as_quat(scalar_first=True)) for r in (a, b)))
    found = Rotation.from_quat(both.numpy(), scalar_first=True)
    np.testing.assert_allclose((found.inv() * a * b).magnitude(), 0, atol=1e-12)


def test_gradients_reach_the_boxes_frames():
    made = street()
    leaf = Gaussians(**{n: v.clone().requires_grad_() for n, v in made.clouds.gaussians.tensors().items()})
    placed, _ = posed(replace(made.clouds, gaussians=leaf), made.agents.world_from_box[:, 0], np.array([True, True]))
    placed.means[:, 1].sum().backward()
    grad = leaf.means.grad.numpy()
    np.testing.assert_allclose(grad[:4], np.tile([0.0, 0.0, 0.0], (4, 1)), atol=1e-6)  # the two sides cancel
    np.testing.assert_allclose(grad[4:], np.tile([1.0, 0.0, 0.0], (3, 1)), atol=1e-6)  # turned by 90 degrees


def test_what_is_written_is_read_back(tmp_path):
    made = street()
    write_street(made, tmp_path, made={"psnr": 26.5})
    back, how = read_street(tmp_path)
    assert how == {"psnr": 26.5}
    assert (back.name, back.agents.id, back.exposures.camera) == (made.name, made.agents.id, made.exposures.camera)
    for mine, theirs in (
        (made.world, back.world),
        (made.sky, back.sky),
        (made.clouds.gaussians, back.clouds.gaussians),
    ):
        for name, value in mine.tensors().items():
            assert torch.equal(value, theirs.tensors()[name]), name
    np.testing.assert_array_equal(made.agents.world_from_box, back.agents.world_from_box)
    np.testing.assert_array_equal(made.drive.camera, back.drive.camera)
    assert not math.isnan(float(back.exposures.affine.sum()))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("agents.agent", torch.tensor([1, 1, 1, 1, 0, 0, 0])),
        ("agents.agent", torch.tensor([0, 0, 0, 0, 1, 1, 9])),
        ("agents.agent", torch.tensor([0.0] * 7)),
        ("agents.mirrored", torch.tensor([True])),
        ("boxes.valid", torch.ones(2, 9, dtype=torch.bool)),
        ("drive.traversal", torch.tensor([0])),
        ("exposures.affine", torch.zeros(3, 2, 3, 4)),
        ("world.means", torch.full((20, 3), math.nan)),
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(tmp_path, name, wrong):
    write_street(street(), tmp_path, made={})
    asset = read_asset(tmp_path)
    write_asset(replace(asset, tensors=asset.tensors | {name: wrong}), tmp_path)
    with pytest.raises(BadInput):
        read_street(tmp_path)
