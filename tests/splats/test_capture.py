import dataclasses

import numpy as np
import pytest
from PIL import Image
from sources import LENS, SIZE, WALL, picture, shot_pose, wall_colour, write_kitti, write_nerfstudio

from simscale.render.lenses import distorted
from simscale.splats.capture import NO_AGENTS, Agents, Sweeps, frames_of, held_out_of
from simscale.splats.capture_images import centred_at_halves, lens_at, photograph
from simscale.splats.capture_points import coloured, moved, owners, owners_of, seen_points
from simscale.splats.capture_source import capture_of
from simscale.splats.capture_start import StartSettings, graded_voxels, start_points, usual, voxels
from simscale.splats.capture_stereo import StereoSettings


def agents_of(*paths: list[tuple[float, float, float]], size=(4.0, 2.0, 1.6)) -> Agents:
    """Boxes on the ground along (x, y, yaw), an instant every 0.1 s."""
    pose = np.tile(np.eye(4), (len(paths), len(paths[0]), 1, 1))
    for a, path in enumerate(paths):
        for t, (x, y, yaw) in enumerate(path):
            pose[a, t, :2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
            pose[a, t, :3, 3] = x, y, size[2] / 2
    count, steps = pose.shape[:2]
    return Agents(
        id=tuple(str(a) for a in range(count)),
        kind=np.zeros(count, dtype=np.int64),
        size=np.tile(np.array(size), (count, 1)),
        timestamp_us=np.arange(steps, dtype=np.int64) * 100_000,
        world_from_box=pose,
        valid=np.ones((count, steps), dtype=bool),
    )


def test_a_box_goes_straight_and_turns_the_short_way():
    agents = agents_of([(0.0, 0.0, 3.1), (2.0, 1.0, -3.1)])
    pose, known = agents.at(25_000)
    assert known.all()
    np.testing.assert_allclose(pose[0, :2, 3], [0.5, 0.25])
    turn = 3.1 + 0.25 * (2 * np.pi - 6.2)
    np.testing.assert_allclose(pose[0, :2, 0], [np.cos(turn), np.sin(turn)])


def test_a_box_is_unknown_before_and_after_it_was_seen():
    agents = agents_of([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0)])
    assert agents.at(-40_000)[1].all() and agents.at(140_000)[1].all()
    assert not agents.at(-60_000)[1].any() and not agents.at(160_000)[1].any()
    assert not NO_AGENTS.at(0)[1].any()


def test_who_moved_and_who_parked():
    agents = agents_of([(0.0, 0.0, 0.0), (3.0, 4.0, 0.0)], [(5.0, 5.0, 0.0)] * 2)
    np.testing.assert_allclose(agents.travelled, [5.0, 0.0])


def test_all_cameras_of_an_instant_are_held_out_together():
    times = np.array([0, 1, 100, 101, 200, 201, 300, 301]) * 1000
    held = held_out_of(times, np.zeros(8, dtype=np.int64), ("a", "b") * 4, every=2)
    assert held.tolist() == [False, False, True, True] * 2
    short = held_out_of(np.array([0, 10**6, 2 * 10**6]), np.zeros(3, dtype=np.int64), ("a",) * 3, every=8)
    assert short.tolist() == [False, True, False]  # something is always scored
    assert not held_out_of(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64), ("a",), every=8).any()
    fast = held_out_of(np.arange(6) * 33_000, np.zeros(6, dtype=np.int64), ("a",) * 6, every=3)
    assert fast.tolist() == [False, True, False] * 2  # a video's frames are instants of their own


def wall_frames(tmp_path, count=2, **more):
    write_nerfstudio(tmp_path / "src", count, **more)
    return capture_of(tmp_path / "src", hold_out_every=0)


def test_a_smaller_photograph_looks_along_the_same_rays(tmp_path):
    capture = wall_frames(tmp_path)
    half = photograph(capture.frames, 0, width=48)
    assert half.rgb.shape == (32, 48, 3)
    ideal = picture(shot_pose(0), half.intrinsics, (48, 32))
    assert np.abs(half.rgb.astype(float) - ideal).mean() < 2
    np.testing.assert_allclose(centred_at_halves(half.intrinsics)[:2, 2], [24, 16])  # the middle of the image
    np.testing.assert_allclose(lens_at(capture.frames, 0, 48)[0, 0], 40)


def test_a_bent_photograph_becomes_a_pinholes(tmp_path):
    bend = np.array([-0.2, 0.05, 0.002, -0.001, 0.0])
    u, v = np.meshgrid(np.arange(SIZE[0]), np.arange(SIZE[1]))
    capture = wall_frames(tmp_path)
    # the bent picture: at every pixel the colour of the ray that the lens bends there, by search over the ideal grid
    fine = np.stack(np.meshgrid(np.linspace(-1.2, 1.2, 801), np.linspace(-0.8, 0.8, 534)), axis=-1)
    put = distorted(fine, bend) @ LENS[:2, :2].T + LENS[:2, 2]
    column, row = np.round(put[..., 0]).astype(int), np.round(put[..., 1]).astype(int)
    inside = (column >= 0) & (row >= 0) & (column < SIZE[0]) & (row < SIZE[1])
    pose = shot_pose(0)
    ray = np.concatenate([fine, np.ones((*fine.shape[:2], 1))], axis=-1) @ pose[:3, :3].T
    at = pose[:3, 3] + ray * ((WALL - pose[0, 3]) / ray[..., 0])[..., None]
    bent, count = np.zeros((SIZE[1], SIZE[0], 3)), np.zeros((SIZE[1], SIZE[0]))
    np.add.at(bent, (row[inside], column[inside]), wall_colour(at[..., 1], at[..., 2])[inside])
    np.add.at(count, (row[inside], column[inside]), 1)
    assert (count > 0).all() and u.size == v.size
    Image.fromarray((bent / count[..., None]).clip(0, 255).astype(np.uint8)).save(capture.frames.path[0])
    frames = dataclasses.replace(capture.frames, distortion=np.tile(bend, (2, 1)))
    straight = photograph(frames, 0)
    off = np.abs(straight.rgb.astype(float) - picture(pose))[straight.valid]
    assert straight.valid.mean() > 0.95 and off.mean() < 2.0
    assert np.abs(photograph(capture.frames, 0).rgb.astype(float) - picture(pose)).mean() > 3 * off.mean()


def test_a_mask_takes_the_bonnet_out(tmp_path):
    capture = wall_frames(tmp_path)
    mask = np.full((SIZE[1], SIZE[0]), 255, dtype=np.uint8)
    mask[50:] = 0
    Image.fromarray(mask).save(tmp_path / "mask.png")
    frames = dataclasses.replace(capture.frames, mask=(tmp_path / "mask.png", None))
    assert photograph(frames, 0).valid[:50].all() and not photograph(frames, 0).valid[50:].any()
    assert not photograph(frames, 0, width=48).valid[26:].any() and photograph(frames, 1).valid.all()


def swept(capture, xyz: np.ndarray, *, at_us: int = 0):
    sweeps = Sweeps(
        xyz=xyz.astype(np.float32),
        sweep=np.zeros(len(xyz), dtype=np.int32),
        timestamp_us=np.array([at_us]),
        world_from_lidar=np.eye(4)[None],
    )
    return dataclasses.replace(capture, sweeps=sweeps, metric=True)


def wall_grid(x: float = WALL) -> np.ndarray:
    y, z = np.meshgrid(np.linspace(-2, 3, 80), np.linspace(0.2, 2.8, 60))
    return np.stack([np.full(y.size, x), y.ravel(), z.ravel()], axis=-1)


def test_points_get_the_colour_of_the_place_that_they_hit(tmp_path):
    capture = swept(wall_frames(tmp_path), wall_grid())
    rgb, known = coloured(capture)
    assert known.mean() > 0.9
    off = np.abs(rgb[known].astype(float) - wall_colour(*wall_grid()[known, 1:].T))
    assert off.mean() < 8


def test_what_is_held_out_tells_no_colours(tmp_path):
    capture = swept(wall_frames(tmp_path), wall_grid())
    held = dataclasses.replace(capture.frames, held_out=np.array([True, True]))
    assert not coloured(dataclasses.replace(capture, frames=held))[1].any()


def test_points_behind_others_are_not_seen(tmp_path):
    behind = wall_grid(20.0) * np.array([1.0, 1.5, 1.0])
    capture = swept(wall_frames(tmp_path), np.concatenate([wall_grid(), behind]))
    seen = seen_points(capture, 0, 0).index
    covered = seen_points(swept(capture, behind), 0, 0).index + len(wall_grid())
    assert (seen < len(wall_grid())).sum() > 2000
    assert len(np.intersect1d(seen, covered)) < 0.02 * len(covered)  # the wall hides them all


def test_points_go_with_their_agent():
    agents = agents_of([(10.0, 0.0, 0.0), (12.0, 0.0, 0.0)], [(0.0, 20.0, 0.0)] * 2)
    xyz = np.array([[11.0, 0.5, 1.0], [11.0, 0.5, 0.05], [11.0, 3.0, 1.0], [0.0, 20.0, 1.0]])
    owner = owners_of(xyz, agents, 0)
    assert owner.tolist() == [0, -1, -1, 1]  # a body, the road below it, the air beside it, a parked car
    there, known = moved(xyz, owner, agents, from_us=0, to_us=100_000)
    np.testing.assert_allclose(there, xyz + np.array([[2.0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]]))
    assert known.all()


def test_voxels_are_means_and_forget_the_order():
    xyz = np.array([[0.01, 0, 0], [0.09, 0, 0], [0.5, 0.5, -0.5]])
    rgb = np.array([[0, 0, 0], [100, 50, 0], [9, 9, 9]], dtype=np.uint8)
    made, colour = voxels(xyz, rgb, side=0.15)
    np.testing.assert_allclose(np.sort(made[:, 0]), [0.05, 0.5], rtol=1e-6)
    assert [50, 25, 0] in colour.tolist()
    again, _ = voxels(xyz[::-1], rgb[::-1], side=0.15)
    np.testing.assert_allclose(made, again)


def test_voxels_grow_with_the_distance():
    rng = np.random.default_rng(0)
    near = rng.uniform(0, 3, (20_000, 3))
    far = near + np.array([60.0, 0.0, 0.0])
    rgb = np.zeros((20_000, 3), dtype=np.uint8)
    camera = np.zeros((1, 3))
    here, _ = graded_voxels(near, rgb, camera, side=0.3, near=20.0)
    there, _ = graded_voxels(far, rgb, camera, side=0.3, near=20.0)
    assert len(here) == 1000  # 10 voxels along each side
    assert 27 <= len(there) <= 64  # 1.2 m wide: they need not be aligned with the cube
    assert len(graded_voxels(far, rgb, camera, side=0.3, near=0.0)[0]) >= 1000


def test_points_are_thinned_to_what_is_asked_for(tmp_path):
    capture = swept(wall_frames(tmp_path), wall_grid())
    assert len(start_points(capture, StartSettings(voxel=0.05))) > 1000
    assert 100 < len(start_points(capture, StartSettings(voxel=0.05, most=300))) <= 300


def test_a_point_far_from_all_others_is_no_start():
    rng = np.random.default_rng(0)
    xyz = np.concatenate([rng.uniform(0, 1, (500, 3)), [[30.0, 30.0, 30.0]]])
    kept = usual(xyz, neighbours=20, deviations=2.0)
    assert not kept[-1] and kept[:-1].mean() > 0.9


def test_start_points_of_agents_stand_in_their_boxes(tmp_path):
    y, z = np.meshgrid(np.linspace(-0.9, 0.9, 19), np.linspace(0.3, 1.5, 13))
    back = np.stack([np.full(y.size, 4.5), y.ravel(), z.ravel()], axis=-1)
    capture = swept(wall_frames(tmp_path), np.concatenate([back, wall_grid()]))
    capture = dataclasses.replace(capture, agents=agents_of([(6.0, 0.0, np.pi)] * 2, size=(3.0, 2.0, 1.6)))
    start = start_points(capture)
    own = start.of(0)
    assert start.method == "lidar" and len(own) > 100 and len(start.of(-1)) > 100
    np.testing.assert_allclose(own.xyz[:, 0], 1.5, atol=1e-3)  # its front, for it comes towards us
    assert (owners(capture)[: len(back)] == 0).all()


def test_photographs_alone_give_points_on_the_wall(tmp_path):
    capture = capture_of(write_kitti(tmp_path / "src"), hold_out_every=0)
    settings = StartSettings(stereo=StereoSettings(width=96, stride=2, least_alike=0.9), voxel=0.02)
    start = start_points(capture, settings)
    assert start.method == "triangulated" and len(start) > 300
    first = capture.frames.world_from_camera[0]
    world = (start.xyz - first[:3, 3]) @ first[:3, :3]  # in the first camera's frame
    shot = shot_pose(0)
    off = world @ shot[:3, :3].T + shot[:3, 3]
    assert np.median(np.abs(off[:, 0] - WALL)) < 0.15


def test_frames_come_in_the_order_of_time(tmp_path):
    frames = frames_of(
        path=[tmp_path / "b", tmp_path / "a"],
        camera=["x", "x"],
        timestamp_us=[200, 100],
        world_from_camera=[np.eye(4)] * 2,
        intrinsics=[np.eye(3)] * 2,
        size_px=[(1, 1)] * 2,
        hold_out_every=0,
    )
    assert [path.name for path in frames.path] == ["a", "b"]


@pytest.mark.parametrize("every", [1, -2])
def test_nothing_to_train_on_is_refused(tmp_path, every):
    from simscale.scene import BadInput

    with pytest.raises(BadInput, match="hold out every"):
        capture_of(write_nerfstudio(tmp_path / "src", 2), hold_out_every=every)
