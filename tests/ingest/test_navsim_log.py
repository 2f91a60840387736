"""From frames at 2 Hz to nouns at 10 Hz: straight drives that one can compute by hand, and the reference's quirks."""

from dataclasses import replace

import numpy as np
import pytest

from simscale.ingest.navsim_log import (
    FRAMES,
    NOW,
    LogFrames,
    boxes_of_frame,
    current_tracks,
    ego_states,
    history_10hz,
    human_plan,
    lights_of,
    observed_tracks,
    yaw_of_quaternion,
)
from simscale.scene import LightState, TrackKind
from worlds import straight_road

SPEED, YAW = 8.0, 0.3
AHEAD = np.array([np.cos(YAW), np.sin(YAW)])


def frames(appearances: dict[str, dict[int, tuple[float, float]]], **fields) -> LogFrames:
    """An ego that drives straight on; boxes by name: where they are ahead of and beside the ego, by frame."""
    names = tuple(appearances)
    rows = [(f, a, at[f]) for f in range(FRAMES) for a, at in enumerate(appearances.values()) if f in at]
    box = np.zeros((len(rows), 7))
    box[:, :2] = np.array([where for _, _, where in rows]).reshape(-1, 2)
    box[:, 3:6] = [4.0, 2.0, 1.5]
    time = np.arange(FRAMES) * 500_000 + 1_600_000_000_000_000
    made = LogFrames(
        timestamp_us=time,
        ego_xy=SPEED * 0.5 * (np.arange(FRAMES) - NOW)[:, None] * AHEAD,
        ego_yaw=np.full(FRAMES, YAW),
        ego_velocity=np.tile([SPEED, 0.0], (FRAMES, 1)),
        ego_acceleration=np.zeros((FRAMES, 2)),
        start=np.searchsorted(np.array([f for f, _, _ in rows]), np.arange(FRAMES + 1)),
        track=np.array([a for _, a, _ in rows], dtype=np.int64),
        kind=np.zeros(len(rows), dtype=np.int64),
        box=box,
        velocity=np.tile([SPEED, 0.0, 0.0], (len(rows), 1)),
        track_id=names,
        lights=((),) * FRAMES,
    )
    return replace(made, **fields)


def test_who_keeps_the_distance_drives_as_fast_as_the_ego():
    log = frames({"lead": dict.fromkeys(range(FRAMES), (20.0, 1.0))})
    tracks = observed_tracks(log)
    aside = np.array([-np.sin(YAW), np.cos(YAW)])
    expected = (20.0 + SPEED * 0.1 * np.arange(41))[:, None] * AHEAD + aside
    np.testing.assert_allclose(tracks.xy[0], expected, atol=1e-9)
    np.testing.assert_allclose(tracks.velocity[0], np.tile(SPEED * AHEAD, (41, 1)), atol=1e-12)
    np.testing.assert_allclose(tracks.yaw[0], YAW, atol=1e-12)
    assert tracks.valid.all()


def test_a_track_is_there_from_its_first_frame_to_its_last_and_over_gaps():
    log = frames({"gap": {NOW + 1: (10.0, 0.0), NOW + 4: (10.0, 0.0)}})
    tracks = observed_tracks(log)
    np.testing.assert_array_equal(np.flatnonzero(tracks.valid[0]), np.arange(5, 21))
    np.testing.assert_allclose(tracks.xy[0, 10], (10.0 + SPEED * 1.0) * AHEAD, atol=1e-9)


def test_quirk_a_track_seen_once_is_always_there():
    tracks = observed_tracks(frames({"once": {NOW + 6: (15.0, 0.0)}}))
    assert tracks.valid.all()
    np.testing.assert_allclose(tracks.xy[0], np.tile((15.0 + SPEED * 3.0) * AHEAD, (41, 1)), atol=1e-9)


def test_who_was_seen_only_before_now_is_not_there():
    tracks = observed_tracks(frames({"past": {0: (5.0, 0.0), 2: (5.0, 0.0)}, "now": {NOW: (9.0, 0.0)}}))
    assert tracks.id == ("now",)
    assert current_tracks(frames({})).xy.shape == (0, 1, 2)
    assert observed_tracks(frames({})).xy.shape == (0, 41, 2)


def test_headings_turn_the_short_way():
    log = frames({"turning": {NOW: (10.0, 0.0), NOW + 1: (10.0, 0.0)}})
    log.box[:, 6] = [np.pi - 0.1 - YAW, -np.pi + 0.1 - YAW]
    yaw = observed_tracks(log).yaw[0, :6]
    np.testing.assert_allclose(np.abs(yaw), np.pi - 0.1 + 0.04 * np.array([0, 1, 2, 2, 1, 0]), atol=1e-9)


def test_boxes_come_by_kind_and_static_ones_do_not_move():
    log = frames({"cone": {NOW: (10.0, 0.0)}, "walker": {NOW: (11.0, 0.0)}, "car": {NOW: (12.0, 0.0)}})
    log.kind[:] = [TrackKind.TRAFFIC_CONE, TrackKind.PEDESTRIAN, TrackKind.VEHICLE]
    boxes = boxes_of_frame(log, NOW)
    np.testing.assert_array_equal(boxes.track, [2, 1, 0])
    np.testing.assert_allclose(np.hypot(*boxes.velocity.T), [SPEED, SPEED, 0.0], atol=1e-12)


@pytest.mark.parametrize(("last_us", "samples"), [(1_500_000, 14), (1_500_001, 15), (1_497_517, 14)])
def test_quirk_history_leaves_its_last_sample_out(last_us, samples):
    log = frames({})
    time = log.timestamp_us.copy()
    time[NOW:] += last_us - 1_500_000
    history = history_10hz(replace(log, timestamp_us=time))
    assert len(history.yaw) == samples
    np.testing.assert_allclose(history.xy[0], -1.5 * SPEED * AHEAD, atol=1e-9)
    np.testing.assert_allclose(history.velocity, np.tile([SPEED, 0.0], (samples, 1)))


def test_the_human_goes_straight_on():
    plan = human_plan(frames({}))
    np.testing.assert_allclose(plan.xy[0, :, 0], SPEED * 0.5 * np.arange(1, 9), atol=1e-9)
    np.testing.assert_allclose(plan.xy[0, :, 1], 0.0, atol=1e-9)
    np.testing.assert_allclose(plan.yaw[0], 0.0, atol=1e-12)


def test_a_logged_state_neither_steers_nor_turns():
    state = ego_states(frames({})).packed()
    np.testing.assert_array_equal(state[:, 7:], 0.0)


def test_a_light_is_held_for_half_a_second_and_the_last_frame_counts_once():
    road = straight_road()
    red = [(road.id[0], True)]
    shown = [red if f in (NOW, NOW + 8) else [(road.id[0], False), ("elsewhere", True)] for f in range(FRAMES)]
    lights = lights_of(frames({}, lights=tuple(map(tuple, shown))), road)
    np.testing.assert_array_equal(np.flatnonzero(lights.state[0] == LightState.RED), [0, 1, 2, 3, 4, 40])
    assert lights.state.shape == (1, 41)


def test_yaw_of_a_quaternion_about_z():
    yaw = np.linspace(-3.1, 3.1, 7)
    wxyz = np.stack([np.cos(yaw / 2), 0 * yaw, 0 * yaw, np.sin(yaw / 2)], axis=-1)
    np.testing.assert_allclose(yaw_of_quaternion(3.0 * wxyz), yaw, atol=1e-12)
