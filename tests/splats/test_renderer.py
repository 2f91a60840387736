"""A street of known Gaussians, seen by the second renderer."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy.spatial import ConvexHull, Delaunay

from simscale.render import CHANNELS, Image, Renderer, SemanticClass
from simscale.render.lenses import distorted
from simscale.scene import TrackKind
from simscale.splats.gaussians import Gaussians, joined
from simscale.splats.pictures import corners_of
from simscale.splats.placing import placing_of, stretched
from simscale.splats.renderer import SplatRenderer
from simscale.splats.street import Exposures, quats_of
from splats.clouds import random_gaussians
from splats.streets import BLUE, CAR, GREY, LENS, NO_LIGHTS, RED, SIZE, WALL, blobs, others, rig, small_street

NOBODY = others()


@pytest.fixture(scope="module")
def renderer() -> SplatRenderer:
    return SplatRenderer(small_street())


def seen(renderer: SplatRenderer, tracks=NOBODY, *, pose=None, cameras=None, channels=CHANNELS) -> Image:
    pose = np.eye(4) if pose is None else pose
    (image,) = renderer.render(cameras or rig(), pose, tracks, NO_LIGHTS, channels=channels)
    return image


def aside(left: float) -> np.ndarray:
    pose = np.eye(4)
    pose[1, 3] = left
    return pose


def outline(world_from_box: np.ndarray, size=CAR) -> np.ndarray:
    """Pixels inside the projected box, for an ego at the origin."""
    corner = (world_from_box @ corners_of(size))[:3]
    u = LENS[0, 2] - LENS[0, 0] * corner[1] / corner[0]
    v = LENS[1, 2] - LENS[1, 1] * (corner[2] - 1.5) / corner[0]
    points = np.stack([u, v], axis=-1)
    hull = Delaunay(points[ConvexHull(points).vertices])
    grid = np.stack(np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1])), axis=-1)
    return hull.find_simplex(grid) >= 0


def box_at(x: float, y: float, yaw: float) -> np.ndarray:
    pose = np.eye(4)
    pose[:2, :2] = [[math.cos(yaw), -math.sin(yaw)], [math.sin(yaw), math.cos(yaw)]]
    pose[:3, 3] = (x, y, CAR[2] / 2)
    return pose


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()


def test_it_is_a_renderer_and_draws_what_is_there(renderer):
    assert isinstance(renderer, Renderer)
    image = seen(renderer)
    top, middle = (3, SIZE[0] // 2), (32, SIZE[0] // 2)
    np.testing.assert_allclose(image.rgb[middle] / 255, GREY, atol=0.03)
    np.testing.assert_allclose(image.rgb[top] / 255, BLUE, atol=0.03)
    assert image.depth[middle] == pytest.approx(WALL, abs=0.05) and image.depth[top] == np.inf
    assert image.semantic[top] == SemanticClass.SKY and image.semantic[middle] == SemanticClass.OBJECT
    assert (image.instance == -1).all()
    none = seen(renderer, channels=("depth",))
    assert none.rgb is None and none.instance is None and none.semantic is None and none.depth is not None


@pytest.mark.parametrize("place", [(10.0, 0.0, 0.0), (10.0, 2.0, 0.0), (9.0, -1.5, 1.2), (14.0, 2.0, -2.5)])
def test_a_car_stands_where_the_simulation_has_it(renderer, place):
    image = seen(renderer, others(("another", 40.0, 0.0, 0.0), ("car", *place)))
    mask = image.instance == 1
    assert overlap(mask, outline(box_at(*place))) > 0.8
    assert (image.semantic[mask] == SemanticClass.VEHICLE).all()
    np.testing.assert_allclose(image.rgb[mask].mean(axis=0) / 255, RED, atol=0.08)
    assert 0 < image.depth[mask].min() < place[0] + 1


def test_the_same_arguments_give_the_same_bytes_whatever_was_drawn_before(renderer):
    tracks = others(("car", 10.0, 1.0, 0.3), ("stranger", 13.0, -3.0, 0.0))
    fresh = seen(SplatRenderer(small_street()), tracks)
    seen(renderer, others(("car", 9.0, 0.0, 0.0)))
    for again in (seen(renderer, tracks), seen(renderer, tracks)):
        for name in CHANNELS:
            np.testing.assert_array_equal(getattr(again, name), getattr(fresh, name))
        assert again.trust == fresh.trust


def test_colour_does_not_depend_on_the_other_channels(renderer):
    tracks = others(("car", 10.0, 1.0, 0.3))
    np.testing.assert_array_equal(seen(renderer, tracks).rgb, seen(renderer, tracks, channels=("rgb",)).rgb)


def test_the_lens_is_put_back(renderer):
    """A red ball in a known direction shows where the lens bends that direction to."""
    place = np.array([15.0, 4.0, 3.6])
    ball = blobs(place[None], RED, 0.25)
    street = small_street()
    drawn = SplatRenderer(dataclasses.replace(street, world=joined(street.world, ball)))
    on_plane = np.array([-place[1] / place[0], -(place[2] - 1.5) / place[0]])
    for lens in ((0.0,) * 5, (-0.35, 0.17, -0.002, 0.0005, -0.05), (0.3, 0.0, 0.01, 0.0, 0.0)):
        rgb = seen(drawn, cameras=rig(distortion=lens)).rgb.astype(float)
        red = np.clip(rgb[..., 0] - rgb[..., 1] - 60, 0, None) * (rgb[..., 0] > rgb[..., 2])
        v, u = np.indices(red.shape)
        found = np.array([(u * red).sum(), (v * red).sum()]) / red.sum()
        expected = distorted(on_plane, np.array(lens)) * 80.0 + LENS[:2, 2]
        np.testing.assert_allclose(found, expected, atol=0.2)


def test_a_lens_with_no_distortion_to_speak_of_is_a_pinhole(renderer):
    tracks = others(("car", 10.0, 1.0, 0.3))
    plain, warped = (seen(renderer, tracks, cameras=rig(distortion=(k, 0, 0, 0, 0))) for k in (0.0, 1e-9))
    assert np.abs(plain.rgb.astype(int) - warped.rgb).max() <= 3
    assert (plain.instance == warped.instance).mean() > 0.99


def test_more_rays_smooth_and_do_not_shift(renderer):
    tracks = others(("car", 10.0, 1.0, 0.3))
    one, two = seen(renderer, tracks), seen(renderer.at(rays=2), tracks)
    assert one.rgb.shape == two.rgb.shape and renderer.rays == 1
    red = [(image.rgb[..., 0] > image.rgb[..., 1] + 60) for image in (one, two)]
    centre = [np.argwhere(mask).mean(axis=0) for mask in red]
    np.testing.assert_allclose(*centre, atol=0.25)


def test_each_camera_has_its_own_exposure():
    affine = torch.eye(3, 4).repeat(2, 1, 1, 1)
    affine[0, 0, :, :3] *= 0.5
    affine[1, 0, 0, 3] = 0.2
    drawn = SplatRenderer(small_street(exposures=Exposures(camera=("CAM_F0", "CAM_L0"), affine=affine)))
    names = {name: dataclasses.replace(rig(), name=(name,)) for name in ("CAM_F0", "CAM_L0", "CAM_B0")}
    colour = {name: seen(drawn, cameras=cameras).rgb[32, 48] / 255 for name, cameras in names.items()}
    np.testing.assert_allclose(colour["CAM_F0"], [0.25, 0.25, 0.25], atol=0.02)
    np.testing.assert_allclose(colour["CAM_L0"], [0.7, 0.5, 0.5], atol=0.02)
    np.testing.assert_allclose(colour["CAM_B0"], [0.475, 0.375, 0.375], atol=0.02)  # of another rig: the mean


def test_height_and_tilt_are_those_of_the_log():
    flat, hilly = SplatRenderer(small_street()), SplatRenderer(small_street(ego_z=1.0, pitch=0.1))
    tilted = np.eye(4)
    tilted[0, 3], tilted[2, 3] = 1.3, 1.0
    tilted[:3, :3] = [[math.cos(0.1), 0, math.sin(0.1)], [0, 1, 0], [-math.sin(0.1), 0, math.cos(0.1)]]
    upright = np.eye(4)
    upright[0, 3] = 1.3  # the simulation knows places and headings alone
    expected = seen(flat, pose=tilted).rgb
    np.testing.assert_array_equal(seen(hilly, pose=upright).rgb, expected)
    np.testing.assert_array_equal(seen(hilly, pose=tilted).rgb, expected)  # it has a tilt of its own
    loose = SplatRenderer(small_street(ego_z=1.0, pitch=0.1), grounded=False)
    np.testing.assert_array_equal(seen(loose, pose=upright).rgb, seen(flat, pose=upright).rgb)


def test_a_car_that_is_moved_keeps_its_logged_height():
    street = small_street(ego_z=0.5)
    placing = placing_of(street, others(("car", 11.9, 1.0, 0.4)))
    np.testing.assert_allclose(placing.world_from_box[0, :3, 3], [11.9, 1.0, 1.25])
    np.testing.assert_allclose(placing.world_from_box[0, :2, 0], [math.cos(0.4), math.sin(0.4)])


def test_agents_without_a_node_are_filled_in_and_told(renderer):
    own = seen(renderer, others(("car", 10.0, 0.0, 0.0)))
    assert own.trust.filled == 0.0 and own.trust.left_out == 0
    stranger = seen(renderer, others(("stranger", 10.0, 0.0, 0.0)))
    np.testing.assert_array_equal(stranger.rgb, own.rgb)
    assert stranger.trust.filled == pytest.approx((own.instance == 0).mean(), abs=0.01)
    wide = CAR * [1.2, 1.3, 1.2]
    large = seen(renderer, others(("lorry", 10.0, 0.0, 0.0), size=wide))
    box = np.eye(4)
    box[:3, 3] = (10.0, 0.0, wide[2] / 2)
    assert overlap(large.instance == 0, outline(box, wide)) > 0.85


def test_agents_that_nobody_looks_like_are_left_out_and_told(renderer):
    walkers = others(("a", 10.0, 0.0, 0.0), ("b", 12.0, 1.0, 0.0), ("c", -10.0, 0.0, 0.0), kind=TrackKind.PEDESTRIAN)
    image = seen(renderer, walkers)
    np.testing.assert_array_equal(image.rgb, seen(renderer).rgb)
    assert image.trust.left_out == 2  # the third is behind


def test_who_parked_without_a_node_is_part_of_the_street(renderer):
    home = seen(renderer, others(("parked", 15.0, -6.0, 0.0)))
    away = seen(renderer, others(("parked", 15.0, 2.0, 0.0)))
    assert home.trust.left_out == 0 and away.trust.left_out == 1
    np.testing.assert_array_equal(home.rgb, away.rgb)


def test_trust_knows_the_nearest_view_and_the_uncovered(renderer):
    assert seen(renderer).trust.view_distance == pytest.approx(0.0, abs=1e-9)
    shifted = seen(renderer, pose=aside(1.5)).trust
    assert shifted.view_distance == pytest.approx(1.5) and shifted.coverage > 0.95
    back = np.diag([-1.0, -1.0, 1.0, 1.0])
    behind = seen(renderer, pose=back).trust
    assert behind.view_angle == pytest.approx(math.pi) and behind.coverage == 0.0


def test_stretching_a_ball_along_axes_is_exact():
    balls, by = random_gaussians(20, degree=0), torch.tensor([2.0, 0.5, 1.5]).repeat(20, 1)
    aligned = Gaussians(**balls.tensors() | {"quats": torch.tensor([[1.0, 0, 0, 0]]).repeat(20, 1)})
    longer = stretched(aligned, by)
    torch.testing.assert_close(longer.log_scales, aligned.log_scales + by.log())
    quarter = torch.from_numpy(quats_of(np.array([[[0, -1.0, 0], [1, 0, 0], [0, 0, 1]]]))).float().repeat(20, 1)
    turned = stretched(Gaussians(**balls.tensors() | {"quats": 3 * quarter}), by)
    torch.testing.assert_close(turned.log_scales, balls.log_scales + by[:, [1, 0, 2]].log())
    torch.testing.assert_close(turned.means, balls.means * by)
