import dataclasses

import numpy as np
import pytest

from sceneries import areas_of, rectangle, sample_scenery
from simscale.geometry.boxes import corners_of
from simscale.geometry.se3 import inverse
from simscale.render import CHANNELS, SemanticClass, navsim_rig, planner_view, stitched
from simscale.render.lidar import roof_lidar, sweep
from simscale.render.rigs import chosen
from simscale.scene import LightState, TrackKind, Tracks
from simscale.town.raycast import RayCaster
from simscale.town.scenery import KERB, AreaKind, Buildings, Sky, bare_scenery

NO_LIGHTS = np.zeros(0, dtype=np.int64)
CAR = (4.6, 1.84, 1.45)
SIZES = {
    "small": (3.7, 1.65, 1.50),
    "hatchback": (4.1, 1.78, 1.46),
    "saloon": CAR,
    "off-road": (4.7, 1.90, 1.68),
    "van": (5.3, 2.02, 2.30),
    "lorry": (8.0, 2.5, 3.4),
    "bus": (12.0, 2.55, 3.1),
}


def tracks_of(*rows: tuple) -> Tracks:
    """Rows of x, y, yaw, (length, width, height), kind."""
    n = len(rows)
    size = np.array([row[3] for row in rows], dtype=float).reshape(n, 3)
    return Tracks(
        xy=np.array([row[:2] for row in rows], dtype=float).reshape(n, 1, 2),
        z=size[:, 2:] / 2,
        yaw=np.array([row[2] for row in rows], dtype=float).reshape(n, 1),
        velocity=np.zeros((n, 1, 2)),
        size=size,
        kind=np.array([int(row[4]) for row in rows], dtype=np.int64),
        valid=np.ones((n, 1), dtype=bool),
        id=tuple(f"agent{i}" for i in range(n)),
    )


def car(x: float, y: float, yaw: float = 0.0, size: tuple = CAR) -> tuple:
    return (x, y, yaw, size, TrackKind.VEHICLE)


def pose(x: float, y: float, yaw: float) -> np.ndarray:
    motion = np.eye(4)
    motion[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    motion[:2, 3] = x, y
    return motion


def front(scale: float = 0.2):
    return chosen(navsim_rig(scale), "CAM_F0")


def all_road() -> dict:
    return {"areas": areas_of([(AreaKind.ASPHALT, rectangle(-200, -200, 200, 200))])}


@pytest.fixture(scope="module")
def street() -> RayCaster:
    return RayCaster(sample_scenery())


@pytest.fixture(scope="module")
def plain() -> RayCaster:
    return RayCaster(dataclasses.replace(bare_scenery("plain"), **all_road()))


def projected(cameras, world_from_ego: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Pixels of points of the world, by the textbook."""
    camera_from_world = inverse(world_from_ego @ cameras.ego_from_camera[0])
    seen = points @ camera_from_world[:3, :3].T + camera_from_world[:3, 3]
    pixel = seen @ cameras.intrinsics[0].T
    return pixel[:, :2] / pixel[:, 2:]


def box_corners(tracks: Tracks, agent: int = 0) -> np.ndarray:
    flat = corners_of(tracks.xy[:, 0], tracks.yaw[:, 0], tracks.size[:, 0], tracks.size[:, 1])[agent]
    height = tracks.size[agent, 2]
    return np.concatenate([np.column_stack([flat, np.full(4, z)]) for z in (0.0, height)])


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("place", [(12.0, 0.0, 0.0), (14.0, 4.0, 0.6), (18.0, -5.0, 2.5), (30.0, 3.0, np.pi)])
def test_agents_are_where_their_boxes_are(plain, name, place):
    tracks, cameras, ego = tracks_of(car(*place, size=SIZES[name])), front(0.5), pose(-3.0, 0.5, 0.05)
    (image,) = plain.render(cameras, ego, tracks, NO_LIGHTS, channels=("instance",))
    mask = image.instance == 0
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    low, high = np.array([columns[0], rows[0]]) - 0.5, np.array([columns[-1], rows[-1]]) + 0.5
    pixel = projected(cameras, ego, box_corners(tracks))
    edge = np.array([959.5, 539.5])
    box_low, box_high = pixel.min(0).clip(-0.5, edge), pixel.max(0).clip(-0.5, edge)
    shared = np.prod((np.minimum(high, box_high) - np.maximum(low, box_low)).clip(0))
    union = np.prod(high - low) + np.prod(box_high - box_low) - shared
    assert shared / union >= 0.8, (low, high, box_low, box_high)
    assert (low >= box_low - 1).all() and (high <= box_high + 1).all()


def test_the_ground_is_as_far_away_as_its_plane(plain):
    cameras = front()
    (image,) = plain.render(cameras, pose(3.0, 2.0, 0.4), tracks_of(), NO_LIGHTS, channels=("depth", "semantic"))
    v = np.arange(cameras.size_px[0, 1])
    down = (v - cameras.intrinsics[0, 1, 2]) / cameras.intrinsics[0, 1, 1]
    below = down > 0.03
    expected = 1.8 / down[below]
    np.testing.assert_allclose(image.depth[below], np.tile(expected[:, None], (1, image.depth.shape[1])), rtol=1e-5)
    assert np.isinf(image.depth[down < 0]).all()
    assert (image.semantic[down < 0] == SemanticClass.SKY).all(), "the horizon is level, at the height of the eye"


def test_a_wall_is_as_far_away_as_it_stands():
    wall = Buildings(
        xy=np.array([[25.0, 0.0]]),
        yaw=np.array([np.pi / 2]),
        size=np.array([[60.0, 10.0, 30.0]]),
        roof=np.zeros(1),
        facade=np.zeros(1, dtype=np.int64),
        seed=np.zeros(1, dtype=np.int64),
    )
    caster = RayCaster(dataclasses.replace(bare_scenery("wall"), buildings=wall, **all_road()))
    (image,) = caster.render(front(), pose(0, 0, 0), tracks_of(), NO_LIGHTS, channels=("depth", "semantic"))
    seen = image.semantic == SemanticClass.BUILDING
    assert seen.mean() > 0.4
    np.testing.assert_allclose(image.depth[seen], 20.0 - 1.65, rtol=1e-6)


def test_the_kerb_is_a_step_of_its_height():
    areas = areas_of(
        [(AreaKind.PAVEMENT, rectangle(-50, -50, 50, 50)), (AreaKind.ASPHALT, rectangle(-50, -50, 50, 0.0))]
    )
    caster = RayCaster(dataclasses.replace(bare_scenery("kerb"), areas=areas))
    down = np.zeros((200, 3))
    down[:, 2] = -1.0
    y = np.linspace(-1.0, 1.0, 200)
    heights = [2.0 - caster.ranges(np.array([0.0, at, 2.0]), down[:1], tracks_of(), limit=9.0)[0][0] for at in y]
    np.testing.assert_allclose(heights, np.where(y >= 0, KERB, 0.0), atol=1e-9)
    level = np.array([[0.0, np.cos(0.02), -np.sin(0.02)]])
    distance, _, _ = caster.ranges(np.array([0.0, -3.0, 0.11]), level, tracks_of(), limit=9.0)
    assert distance[0] * np.cos(0.02) == pytest.approx(3.0, abs=0.02), "a low ray ends at the kerb's face"


def test_the_left_camera_shows_what_is_on_the_left(plain):
    tracks, rig = tracks_of(car(4, 8), car(4, -8)), navsim_rig(0.05)
    images = plain.render(rig, pose(0, 0, 0), tracks, NO_LIGHTS, channels=("instance",))
    seen = {name: set(np.unique(image.instance)) - {-1} for name, image in zip(rig.name, images, strict=True)}
    assert seen["CAM_L0"] == {0} and seen["CAM_R0"] == {1} and not seen["CAM_B0"]
    (ahead,) = plain.render(front(), pose(-16, 0, 0), tracks, NO_LIGHTS, channels=("instance",))
    left, right = (np.argwhere(ahead.instance == k)[:, 1].mean() for k in (0, 1))
    assert left < right


@pytest.mark.parametrize("azimuth", [0.3, 2.2, 4.0])
def test_shadows_fall_on_the_side_away_from_the_sun(azimuth):
    sun = np.array([np.cos(azimuth) * 0.7, np.sin(azimuth) * 0.7, np.sqrt(1 - 0.49)])
    tower = Buildings(
        xy=np.zeros((1, 2)),
        yaw=np.zeros(1),
        size=np.array([[4.0, 4.0, 6.0]]),
        roof=np.zeros(1),
        facade=np.zeros(1, dtype=np.int64),
        seed=np.zeros(1, dtype=np.int64),
    )
    sky = Sky(sun=sun, clouds=0.0, haze=2000.0, seed=0)
    still = RayCaster(dataclasses.replace(bare_scenery("tower", sky=sky), buildings=tower, **all_road()))
    moving = RayCaster(dataclasses.replace(bare_scenery("car", sky=sky), **all_road()))
    for caster, tracks, reach in (
        (still, tracks_of(), 5.0),
        (moving, tracks_of(car(0, 0, azimuth, SIZES["van"])), 3.4),
    ):
        lit = brightness(caster, tracks, reach * sun[:2] / 0.7)
        dark = brightness(caster, tracks, -reach * sun[:2] / 0.7)
        assert dark < 0.75 * lit


def brightness(caster: RayCaster, tracks: Tracks, at: np.ndarray) -> float:
    """Mean of a small picture of the ground, taken from straight above."""
    cameras = front(0.02)
    above = np.eye(4)
    above[:3, :3] = [[0, -1, 0], [-1, 0, 0], [0, 0, -1]]
    above[:3, 3] = (*at, 3.0)
    narrow = cameras.intrinsics.copy()
    narrow[:, [0, 1], [0, 1]] *= 4.0
    cameras = dataclasses.replace(cameras, ego_from_camera=above[None], intrinsics=narrow)
    (image,) = caster.render(cameras, np.eye(4), tracks, NO_LIGHTS)
    return float(image.rgb.mean())


def test_the_same_arguments_give_the_same_bytes(street):
    tracks = tracks_of(car(-20, -2), (-30, 6.9, 0.0, (0.6, 0.6, 1.75), TrackKind.PEDESTRIAN))
    rig = chosen(navsim_rig(0.1), "CAM_F0", "CAM_L1")
    again = RayCaster(sample_scenery())
    for one, two in zip(
        street.render(rig, pose(-45, -2, 0.1), tracks, np.array([1, 3]), channels=CHANNELS),
        again.render(rig, pose(-45, -2, 0.1), tracks, np.array([1, 3]), channels=CHANNELS),
        strict=True,
    ):
        for name in CHANNELS:
            assert getattr(one, name).tobytes() == getattr(two, name).tobytes()


def test_another_origin_is_another_name_of_the_same_place(street):
    origin = np.array([-40.0, 10.0, 0.0])
    here, tracks = pose(-45, -2, 0.1), tracks_of(car(-20, -2))
    moved = dataclasses.replace(tracks, xy=tracks.xy - origin[:2])
    there = here.copy()
    there[:3, 3] -= origin
    (one,) = street.render(front(0.1), here, tracks, np.array([1, 1]))
    (two,) = street.at(origin).render(front(0.1), there, moved, np.array([1, 1]))
    assert np.abs(one.rgb.astype(int) - two.rgb).mean() < 0.05


def test_the_planners_view_is_a_crop_of_the_whole_images(street):
    rig, view = navsim_rig(0.25), planner_view(navsim_rig(), (256, 1024))
    tracks, here = tracks_of(car(-25, -2.2), car(-10, 2.3, np.pi)), pose(-45, -2, 0)
    whole = street.render(chosen(rig, "CAM_L0", "CAM_F0", "CAM_R0"), here, tracks, np.array([1, 1]), channels=CHANNELS)
    parts = street.render(view, here, tracks, np.array([1, 1]), channels=CHANNELS)
    cuts = ((7, -7, 104, -104), (7, -7, 0, 480), (7, -7, 104, -104))
    for full, part, (top, bottom, left, right) in zip(whole, parts, cuts, strict=True):
        np.testing.assert_array_equal(full.semantic[top:bottom, left:right], part.semantic)
        np.testing.assert_allclose(full.depth[top:bottom, left:right], part.depth, rtol=1e-4)
        np.testing.assert_array_equal(full.instance[top:bottom, left:right], part.instance)
    assert stitched(parts).shape == (256, 1024, 3)


def test_light_heads_show_their_state(street):
    camera, here = front(0.5), pose(14, -2.5, 0)
    colours = {}
    for state in (LightState.RED, LightState.YELLOW, LightState.GREEN):
        lights = np.array([int(state), 0])
        (image,) = street.render(camera, here, tracks_of(), lights, channels=("rgb", "semantic"))
        head = image.rgb[image.semantic == SemanticClass.TRAFFIC_LIGHT].astype(int)
        lamp = head[head.max(1) > 180]
        assert len(lamp) >= 10
        colours[state] = lamp.mean(0)
    assert colours[LightState.RED][0] > 2 * colours[LightState.RED][1]
    assert colours[LightState.GREEN][1] > 2 * colours[LightState.GREEN][0]
    assert colours[LightState.YELLOW][0] > 150 < colours[LightState.YELLOW][1] and colours[LightState.YELLOW][2] < 120


def test_a_far_line_keeps_its_share_of_light():
    """Two renders of the same line half a pixel apart differ little: markings do not flicker."""
    scenery = sample_scenery()
    caster = RayCaster(scenery)
    totals = []
    for step in np.linspace(0.0, 0.4, 9):
        (image,) = caster.render(front(0.1), pose(-90 + step, -2, 0), tracks_of(), np.array([1, 1]))
        totals.append(float(image.rgb[58:75, 60:150].astype(float).mean()))
    assert np.ptp(totals) < 1.5, totals


def test_points_of_a_sweep_lie_on_surfaces(street):
    tracks, here = tracks_of(car(-30, 1.5, 0.2)), pose(-42, -2, 0.1)
    found = sweep(street, roof_lidar(beams=16, columns=360), here, tracks)
    world = found.xyz @ here[:3, :3].T + here[:3, 3]
    ground = np.isin(found.semantic, [SemanticClass.ROAD, SemanticClass.PAVEMENT])
    height = world[ground, 2]
    assert ((np.abs(height) < 1e-3) | (np.abs(height - KERB) < 1e-3) | ((height > 0) & (height < KERB))).all()
    on_car = world[found.instance == 0]
    assert len(on_car) > 30
    c, s = np.cos(0.2), np.sin(0.2)
    own = (on_car[:, :2] - [-30, 1.5]) @ np.array([[c, -s], [s, c]])
    assert (np.abs(own) <= np.array(CAR[:2]) / 2 + 1e-3).all()
    assert (np.abs(found.xyz).max(0) > 5).any() and set(found.beam) <= set(range(16))


def test_a_blind_spot_far_outside_the_town_is_grass_and_sky(plain):
    (image,) = plain.render(front(0.05), pose(5000.0, 0, 0), tracks_of(), NO_LIGHTS, channels=CHANNELS)
    assert set(np.unique(image.semantic)) == {int(SemanticClass.SKY), int(SemanticClass.TERRAIN)}


def test_two_rays_a_pixel_smooth_and_agree(street):
    tracks, here = tracks_of(car(-25, -2.2)), pose(-45, -2, 0)
    (one,) = street.render(front(0.1), here, tracks, np.array([1, 1]))
    (two,) = street.at(np.zeros(3), rays=2).render(front(0.1), here, tracks, np.array([1, 1]))
    difference = np.abs(one.rgb.astype(int) - two.rgb)
    assert 0.1 < difference.mean() < 6.0
