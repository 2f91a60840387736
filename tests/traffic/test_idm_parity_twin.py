"""Reactive vehicles in compiled loops drive as with Shapely: on the goldens, in towns, and where many lanes cross."""

import dataclasses

import numpy as np
import pytest
import shapely

from golden import SCENES, golden_scene
from simscale.geometry.polygons import ragged
from simscale.scene import CarState, RoadKind, RoadMap, Scene, TrackKind
from simscale.town import TownSettings, town_scenes
from simscale.traffic.idm_parity import idm_parity, idm_parity_of
from simscale.traffic.idm_parity_build import NAVSIM_RULES
from simscale.traffic.idm_parity_snap import exact_snaps_of, snaps_of
from simscale.traffic.idm_parity_street import Street
from simscale.traffic.rollout import TrafficRollout
from worlds import straight_scene, tracks_of

Array = np.ndarray
SAMPLES = 41
TOWN = TownSettings(size=260.0, drives=2, duration=14.0, cars_per_km=34.0)


def assert_same(fast: TrafficRollout, exact: TrafficRollout, within: float = 1e-6) -> None:
    np.testing.assert_allclose(fast.tracks.xy, exact.tracks.xy, rtol=0, atol=within)
    np.testing.assert_allclose(fast.tracks.yaw, exact.tracks.yaw, rtol=0, atol=within)
    np.testing.assert_allclose(fast.tracks.velocity, exact.tracks.velocity, rtol=0, atol=within)
    np.testing.assert_array_equal(fast.tracks.valid, exact.tracks.valid)
    np.testing.assert_array_equal(fast.present, exact.present)


def assert_golden_twins(shared, number: int, egos: slice) -> None:
    scene = golden_scene(shared, number)
    fast, exact = (
        idm_parity_of(
            scene.current, scene.tracks, scene.ego, scene.road, vehicle=scene.vehicle, rules=NAVSIM_RULES, exact=exact
        )
        for exact in (False, True)
    )
    ego = scene.car(scene.npz["nr_sim"][scene.npz["r_index"]])[egos]
    assert_same(fast.roll(fast.start(), ego), exact.roll(exact.start(), ego))


@pytest.mark.shared
@pytest.mark.parametrize("number", [1, 4, 24])
def test_golden_vehicles_drive_as_with_shapely(shared, number):
    assert_golden_twins(shared, number, slice(number % 16, number % 16 + 1))


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize("number", range(SCENES))
def test_golden_vehicles_drive_as_with_shapely_beside_every_ego(shared, number):
    assert_golden_twins(shared, number, slice(None))


def assert_twins(scene: Scene, t0: int, egos: CarState, within: float = 1e-6) -> None:
    fast, exact = (idm_parity(scene, t0, vehicle=scene.vehicle, rules=NAVSIM_RULES, exact=e) for e in (False, True))
    np.testing.assert_array_equal(fast.drivers.row, exact.drivers.row)
    np.testing.assert_array_equal(fast.parked, exact.parked)
    whole = fast.roll(fast.start(), egos)
    assert_same(whole, exact.roll(exact.start(), egos), within)
    state = whole.state_at(slice(None), 11)
    assert_same(fast.roll(state, egos[:, 11:]), exact.roll(state, egos[:, 11:]), within)


def strayed(scene: Scene, t0: int, rng: np.random.Generator, count: int) -> CarState:
    """The logged drive, and some that lie metres beside it."""
    packed = np.repeat(scene.ego.packed()[None, t0 : t0 + SAMPLES], count, axis=0)
    packed[1:, :, :3] += rng.normal(0, [3.0, 3.0, 0.3], (count - 1, 1, 3))
    return CarState.unpacked(packed)


def assert_town_twins(seed: int, *instants: int) -> None:
    rng = np.random.default_rng(seed)
    for scene in town_scenes(seed, settings=TOWN):
        for t0 in instants:
            # The reference straightens footprints by up to 1e-5 m; without that, both agree to 1e-9 here.
            assert_twins(scene, t0, strayed(scene, t0, rng, 2), within=1e-5)


@pytest.mark.slow
def test_a_town_s_vehicles_drive_as_with_shapely():
    assert_town_twins(1, 40)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_towns_vehicles_drive_as_with_shapely(seed):
    assert_town_twins(seed, 0, 40, 80)


@pytest.mark.slow
def test_a_town_s_vehicles_are_put_onto_the_lanes_that_shapely_finds():
    rng = np.random.default_rng(5)
    scene = next(town_scenes(2, settings=TOWN))
    lanes = scene.road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR)
    lines = [scene.road.centre_line(int(m)) for m in rng.choice(lanes, 150)]
    points = np.stack([line[rng.integers(len(line))] for line in lines]) + rng.normal(0, 1.5, (150, 2))
    yaw = rng.uniform(-np.pi, np.pi, 150)
    fast, exact = snaps_of(scene.road, points, yaw), exact_snaps_of(scene.road, points, yaw)
    np.testing.assert_array_equal(fast.lane, exact.lane)
    np.testing.assert_array_equal(fast.in_intersection, exact.in_intersection)
    on_lane = fast.lane >= 0
    assert 20 < on_lane.sum() < 150
    np.testing.assert_allclose(fast.station[on_lane], exact.station[on_lane], rtol=0, atol=1e-9)
    np.testing.assert_allclose(fast.pose[on_lane], exact.pose[on_lane], rtol=0, atol=1e-9)
    np.testing.assert_allclose(fast.distance[on_lane], exact.distance[on_lane], rtol=0, atol=1e-9)


def star_scene(rng: np.random.Generator, cars: int) -> Scene:
    """Bent lanes of 80 m in all directions through one place, and a vehicle on its way there on each."""
    step = np.linspace(0.0, 80.0, 60)
    yaw = rng.uniform(-np.pi, np.pi, (cars, 1)) + rng.uniform(-0.015, 0.015, (cars, 1)) * (step - 40.0)
    lines = np.cumsum(np.stack([np.cos(yaw), np.sin(yaw)], -1) * (step[1] - step[0]), axis=1)
    lines -= lines[:, 30:31] + rng.normal(0, 2.0, (cars, 1, 2))
    rings = [np.asarray(shapely.LineString(line).buffer(1.8, cap_style="flat").exterior.coords)[:-1] for line in lines]
    at = rng.integers(2, 26, cars)
    boxes = [(*lines[i, at[i]], float(yaw[i, at[i]]), float(rng.uniform(0, 12))) for i in range(cars)]
    scene = straight_scene(seconds=5.0)
    xy, start = ragged(rings)
    centre_xy, centre_start = ragged(list(lines))
    road = RoadMap(
        id=tuple(f"lane-{i}" for i in range(cars)),
        kind=np.full(cars, int(RoadKind.LANE)),
        xy=xy,
        start=start,
        centre_xy=centre_xy,
        centre_start=centre_start,
        speed_limit=np.full(cars, 12.0),
        has_speed_limit=rng.random(cars) < 0.5,
        next_lane=np.zeros((0, 2), dtype=np.int64),
        group=np.arange(cars),
    )
    return dataclasses.replace(scene, road=road, tracks=tracks_of(boxes, len(scene)))


def test_where_many_lanes_cross_the_same_vehicles_lead(monkeypatch):
    ties = []
    first_of_equals = Street._first_of_equals

    def counted(street, i):
        ties.append(i)
        return first_of_equals(street, i)

    monkeypatch.setattr(Street, "_first_of_equals", counted)
    rng = np.random.default_rng(17)
    for cars in (3, 7, 10, 10):
        scene = star_scene(rng, cars)
        # Lanes as good as straight: the reference straightens them by up to 1e-5 m.
        assert_twins(scene, 0, strayed(scene, 0, rng, 2), within=1e-5)
    assert len(ties) > 50  # several footprints overlap the driver's: the reference's tree decides


def test_pedestrians_and_parked_cars_are_the_same():
    boxes = [(20.0, -4.0, 0.0, 0.0), (22.0, -4.3, 0.2, 0.0), (40.0, 0.5, 0.0, 0.05), (18.0, -2.0, 0.0, 1.0)]
    scene = straight_scene(boxes=[*boxes, (-30.0, 0.4, 0.0, 9.0), (10.0, 3.0, 0.0, 3.0)])
    kind = scene.tracks.kind.copy()
    kind[3] = TrackKind.PEDESTRIAN
    walking = dataclasses.replace(scene, tracks=dataclasses.replace(scene.tracks, kind=kind))
    assert_twins(walking, 0, strayed(walking, 0, np.random.default_rng(1), 3))
