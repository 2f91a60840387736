"""Any rig that covers the front shows the planner what NAVSIM's would."""

from dataclasses import replace

import numpy as np
import pytest

from simscale.render import navsim_rig, scaled
from simscale.render.lenses import directions_of
from simscale.render.panorama import PLANNER_CAMERAS, panorama_of, seen_through, stitched_crops
from simscale.render.rigs import NAVSIM_DISTORTION, chosen, looking
from simscale.scene import Cameras

SIZE = (64, 256)


def rig_of(yaws: list[float], *, size=(400, 225), focal=316.5, distortion=(0.0,) * 5, height=1.8) -> Cameras:
    """Cameras at one place in the middle of the car, by their yaw in degrees."""
    k = np.array([[focal, 0, size[0] / 2 - 0.5], [0, focal, size[1] / 2 - 0.5], [0, 0, 1]])
    return Cameras(
        name=tuple(f"cam{yaw:+.0f}" for yaw in yaws),
        intrinsics=np.tile(k, (len(yaws), 1, 1)),
        distortion=np.tile(np.array(distortion), (len(yaws), 1)),
        ego_from_camera=np.stack([looking(np.deg2rad(yaw), 1.0, 0.0, height) for yaw in yaws]),
        size_px=np.tile(np.array(size), (len(yaws), 1)),
    )


def photographs(rig: Cameras) -> list[np.ndarray]:
    """What a rig sees in a world of smooth colours infinitely far away."""
    images = []
    for c, (width, height) in enumerate(rig.size_px):
        ray = directions_of(rig.intrinsics[c], rig.distortion[c], width=int(width), height=int(height))
        ray = ray @ rig.ego_from_camera[c, :3, :3].T
        images.append(np.rint(127.5 + 120 * np.sin(3 * ray + [0.3, 1.1, 2.0])).astype(np.uint8))
    return images


def at_one_place(rig: Cameras) -> Cameras:
    pose = rig.ego_from_camera.copy()
    pose[:, :3, 3] = (1.0, 0.0, 1.8)
    return replace(rig, ego_from_camera=pose)


def off(found: np.ndarray, expected: np.ndarray) -> int:
    return int(np.abs(found.astype(int) - expected.astype(int)).max())


@pytest.fixture(scope="module")
def navsim() -> Cameras:
    return at_one_place(chosen(navsim_rig(), *PLANNER_CAMERAS))


@pytest.fixture(scope="module")
def expected(navsim) -> np.ndarray:
    return stitched_crops(photographs(navsim), SIZE)


def test_looked_up_in_navsims_own_rig_the_view_is_the_stitched_crops():
    rig = chosen(navsim_rig(distorted=True), *PLANNER_CAMERAS)
    draw = np.random.default_rng(0)
    images = [draw.integers(0, 256, (1080, 1920, 3), dtype=np.uint8) for _ in range(3)]
    panorama = panorama_of(rig, SIZE, seen_by=rig)
    assert panorama.covered == 1.0
    assert panorama.shows == {name: (name,) for name in PLANNER_CAMERAS}
    assert off(seen_through(panorama, images), stitched_crops(images, SIZE)) <= 1


@pytest.mark.parametrize(
    "rig",
    [
        rig_of([0, 55, -55, 110, -110, 180]),  # nuScenes
        rig_of([0, 45, -45, 99, -99], size=(512, 388), focal=420.0),  # Argoverse 2
        rig_of([0, 60, -60], size=(480, 384), focal=165.0),  # wide and small
        rig_of([0, 50, -50], size=(480, 320), focal=275.0, distortion=(-0.3, 0.1, 0.001, -0.001, -0.01)),
    ],
)
def test_any_rig_that_covers_the_front_shows_the_same(rig, expected, navsim):
    panorama = panorama_of(rig, SIZE, seen_by=navsim)
    found = seen_through(panorama, photographs(rig))
    seen = (panorama.camera >= 0).all(axis=(1, 3))
    assert panorama.covered > 0.99
    assert off(found[seen], expected[seen]) <= 2
    assert rig.name[0] in panorama.shows["CAM_F0"] and rig.name[0] not in panorama.shows["CAM_L0"][1:]


def test_a_smaller_copy_of_navsims_rig_shows_the_same(navsim, expected):
    small = scaled(navsim, size=(480, 270))
    assert off(seen_through(panorama_of(small, SIZE, seen_by=navsim), photographs(small)), expected) <= 2


def test_a_planner_that_learned_from_bent_images_sees_bent_images(navsim, expected):
    bent = replace(navsim, distortion=np.tile(np.array(NAVSIM_DISTORTION), (3, 1)))
    own, rig = scaled(bent, size=(480, 270)), rig_of([0, 60, -60], size=(480, 320), focal=225.0)
    wanted = seen_through(panorama_of(own, SIZE, seen_by=bent), photographs(own))
    assert off(seen_through(panorama_of(rig, SIZE, seen_by=bent), photographs(rig)), wanted) <= 2
    assert off(wanted, expected) > 20


def test_a_rig_that_does_not_cover_the_front_is_refused():
    with pytest.raises(ValueError, match=r"cam\+0 show 4\d% of the planner's view"):
        panorama_of(rig_of([0]), SIZE)
    with pytest.raises(ValueError, match="0%"):
        panorama_of(rig_of([180, 120]), SIZE)
    with pytest.raises(ValueError, match="CAM_R0 is 960 x 540"):
        stitched_crops([np.zeros((1080, 1920, 3), np.uint8)] * 2 + [np.zeros((540, 960, 3), np.uint8)], SIZE)
