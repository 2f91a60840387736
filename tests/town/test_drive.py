import dataclasses

import numpy as np
import pytest
import shapely

from simscale.geometry.boxes import corners_of
from simscale.geometry.polylines import project
from simscale.scene import AGENT_KINDS, PACIFICA, BadInput, CarState, LightState
from simscale.scene.check import arrays_of, check
from simscale.scene.file import read_scene, write_scene
from simscale.scene.routing import path_of
from simscale.scene.seeds import generator_of
from simscale.scoring.epdms import score
from simscale.scoring.rules import SOUND
from simscale.scoring.surroundings import surroundings_of
from simscale.town import SMALL_TOWN, TownSettings, town_scenes
from simscale.town.layout import layout_of

JUDGED = (
    "no_at_fault_collision",
    "drivable_area",
    "driving_direction",
    "traffic_light",
    "time_to_collision",
    "lane_keeping",
    "history_comfort",
)


def ego_boxes(scene):
    count = len(scene)
    length, width = np.full(count, PACIFICA.length), np.full(count, PACIFICA.width)
    return shapely.polygons(corners_of(scene.ego.centre_xy(PACIFICA), scene.ego.yaw, length, width))


def test_drives_last_twenty_seconds_at_ten_hertz_from_the_origin(scenes):
    assert len(scenes) == 12
    for scene in scenes:
        check(scene, scene.id)
        assert len(scene) == 201
        assert (np.diff(scene.timestamp_us) == 100_000).all()
        np.testing.assert_array_equal(scene.ego.xy[0], 0.0)
        assert scene.vehicle is PACIFICA
        assert set(scene.tracks.kind) <= set(AGENT_KINDS)
    assert len({scene.id for scene in scenes}) == 12


def test_the_same_seed_gives_the_same_bytes(small_scenes):
    again = list(town_scenes(1, settings=SMALL_TOWN))
    for first, second in zip(small_scenes, again, strict=True):
        for (name, a), (other_name, b) in zip(arrays_of(first).items(), arrays_of(second).items(), strict=True):
            assert name == other_name
            assert a.tobytes() == b.tobytes(), name


def test_another_seed_gives_another_town():
    first, second = (layout_of(generator_of(seed, "town", "roads"), size=300.0) for seed in (1, 2))
    assert not np.isclose(first.xy[:, None], second.xy[None], atol=0.01).any()


def test_other_drives_leave_the_streets_as_they_are(small_scenes):
    other = next(town_scenes(1, settings=dataclasses.replace(SMALL_TOWN, drives=1, duration=1.0)))
    np.testing.assert_allclose(
        other.road.xy + other.origin[:2], small_scenes[0].road.xy + small_scenes[0].origin[:2], atol=1e-9
    )


def test_a_drive_survives_the_disk(small_scenes, tmp_path):
    scene = small_scenes[0]
    back = read_scene(write_scene(scene, tmp_path))
    for name, value in arrays_of(back).items():
        np.testing.assert_array_equal(value, arrays_of(scene)[name])


def test_the_ego_drives_comfortably(scenes):
    for scene in scenes:
        ego = scene.ego
        assert ego.acceleration[:, 0].min() > -4.05
        assert ego.acceleration[:, 0].max() < 2.4
        assert np.abs(ego.acceleration[:, 1]).max() < 4.0
        assert np.abs(np.diff(ego.acceleration[:, 0])).max() / scene.dt < 4.0
        assert np.abs(ego.yaw_rate).max() < 0.95
        assert np.abs(ego.yaw_accel).max() < 1.9
        assert np.abs(ego.velocity[:, 1]).max() < 0.1, "a rear axle does not slide"


def test_the_ego_keeps_to_its_route_and_touches_nothing(scenes):
    for scene in scenes:
        _, aside = project(path_of(scene.road, scene.route), scene.ego.xy)
        assert np.abs(aside).max() < 0.5
        tracks, ego = scene.tracks, ego_boxes(scene)
        for t in range(0, len(scene), 5):
            others = corners_of(tracks.xy[:, t], tracks.yaw[:, t], tracks.size[:, 0], tracks.size[:, 1])
            assert not shapely.intersects(ego[t], shapely.polygons(others)).any()


def test_the_ego_is_never_inside_a_red_connector_of_its_way(scenes, small_scenes):
    seen = 0
    for scene in [*scenes, *small_scenes]:
        ego = ego_boxes(scene)
        on_route = np.isin(scene.road.group[scene.lights.element], scene.road.group[scene.route])
        for element, state in zip(scene.lights.element[on_route], scene.lights.state[on_route], strict=True):
            inside = shapely.intersects(ego, shapely.Polygon(scene.road.ring(int(element))))
            seen += int(inside.any())
            assert not (inside & (state == LightState.RED)).any()
    assert seen > 3


def test_drives_show_turns_both_ways_stops_and_parked_cars(scenes):
    sorts = {"left": 0, "right": 0, "stands": 0, "parked": 0, "fast": 0}
    for scene in scenes:
        turned = np.unwrap(scene.ego.yaw)
        quarter = [turned[t + 60] - turned[t] for t in range(len(scene) - 60)]
        sorts["left"] += max(quarter) > 1.2
        sorts["right"] += min(quarter) < -1.2
        sorts["stands"] += bool((scene.ego.speed < 0.1).any())
        sorts["fast"] += bool((scene.ego.speed > 3.0).all())
        parked = np.array([name.startswith("parked") for name in scene.tracks.id], dtype=bool)
        apart = np.hypot(*(scene.tracks.xy[parked][:, :, :] - scene.ego.xy).transpose(2, 0, 1))
        sorts["parked"] += bool((apart < 6.0).any())
    assert min(sorts.values()) >= 1, sorts


@pytest.mark.parametrize(
    "settings",
    [TownSettings(size=100.0), TownSettings(drives=0), TownSettings(duration=0.1), TownSettings(cars_per_km=np.nan)],
)
def test_settings_that_make_no_town_are_refused(settings):
    with pytest.raises(BadInput, match="town: "):
        next(town_scenes(0, settings=settings))


@pytest.mark.slow
def test_the_human_scores_what_a_good_driver_should(scenes):
    lost = {name: [] for name in JUDGED}
    for scene in scenes:
        centre_line = path_of(scene.road, scene.route)
        for t0 in range(20, len(scene) - 50, 10):
            around = surroundings_of(
                scene.road,
                scene.lights,
                instants=np.arange(t0, t0 + 50),
                route=scene.route,
                centre_line=centre_line,
                around_xy=scene.ego.xy[t0],
            )
            driven = CarState.unpacked(scene.ego.packed()[None, t0 : t0 + 50])
            tracks, history = scene.tracks.at(t0, t0 + 50), scene.ego[t0 - 15 : t0]
            scores = score(driven, tracks, around, vehicle=PACIFICA, history=history, rules=SOUND)
            for name in JUDGED:
                lost[name].append(getattr(scores, name)[0] < 1.0)
    shares = {name: float(np.mean(values)) for name, values in lost.items()}
    assert max(shares.values()) < 0.05, shares
