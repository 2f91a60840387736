"""PDMS of v1 by closed forms, and by what must differ from EPDMS. There are no reference numbers for it."""

import numpy as np
import pytest
from scipy.signal import savgol_filter

from simscale.scene import DT, PACIFICA, CarState, Lights, Tracks
from simscale.scoring import Surroundings, surroundings_of
from simscale.scoring.pdms import SAMPLES, SUB_SCORES, PdmsScores, drive_comfort, masked_progress, pdms, pdms_total
from worlds import straight_road, tracks_of

NO_LIGHTS = Lights(element=np.zeros(0, dtype=np.int64), state=np.zeros((0, 41), dtype=np.int64))


def around() -> Surroundings:
    return surroundings_of(
        straight_road(),
        NO_LIGHTS,
        instants=np.arange(41),
        route=np.array([0]),
        centre_line=np.array([[-100.0, 0.0], [400.0, 0.0]]),
        around_xy=np.zeros(2),
    )


def drives(*rows: tuple[float, float]) -> CarState:
    """Straight drives (y, speed) at constant speed."""
    packed = np.zeros((len(rows), 41, 11))
    for k, (y, speed) in enumerate(rows):
        packed[k, :, 0], packed[k, :, 1], packed[k, :, 3] = speed * DT * np.arange(41), y, speed
    return CarState.unpacked(packed)


def scored(ego: CarState, tracks: Tracks | None = None) -> PdmsScores:
    return pdms(ego, tracks_of([], SAMPLES) if tracks is None else tracks, around(), vehicle=PACIFICA)


def test_a_plain_drive_is_perfect_and_the_slower_one_gets_its_share():
    found = scored(drives((0.0, 10.0), (0.0, 4.0)))
    np.testing.assert_allclose(found.progress, [1.0, 0.4])
    np.testing.assert_allclose(found.total, [1.0, (5 * 0.4 + 5 + 2) / 12])
    np.testing.assert_allclose(found.progress_m, [40.0, 16.0])


def test_what_the_multipliers_take_away_counts_for_no_progress():
    raw, multiplier = np.array([20.0, 30.0, 10.0]), np.array([1.0, 0.0, 0.5])
    np.testing.assert_allclose(masked_progress(raw, multiplier), [1.0, 0.0, 0.25])
    np.testing.assert_allclose(masked_progress(raw / 10, multiplier), [1.0, 0.0, 1.0])  # nobody gets 5 m
    np.testing.assert_allclose(masked_progress(raw, np.zeros(3)), 0.0)


def test_the_wrong_side_of_the_road_is_shown_and_costs_nothing():
    found = scored(drives((0.0, 10.0), (7.0, 10.0)))
    np.testing.assert_array_equal(found.driving_direction, [1.0, 0.0])
    assert found.total[1] == 1.0  # lane keeping is no part of it either


def test_time_to_collision_is_tested_to_the_end_of_the_drive_and_beyond():
    """A car that the ego would reach 0.6 s after its last sample: v2's 41 samples of tracks end before."""
    ego, front = drives((0.0, 10.0)), PACIFICA.length / 2 + PACIFICA.rear_axle_to_centre
    beyond = 40.0 + front + 6.0 + 2.25
    standing = tracks_of([(beyond, 0.0, 0.0, 0.0)], SAMPLES)
    assert scored(ego, standing).time_to_collision == 0.0
    assert scored(ego, tracks_of([(beyond + 4.0, 0.0, 0.0, 0.0)], SAMPLES)).time_to_collision == 1.0
    assert scored(ego, standing).no_at_fault_collision == 1.0


def accelerating(accel: np.ndarray, yaw: np.ndarray | None = None) -> CarState:
    packed = np.zeros((1, 41, 11))
    packed[0, :, 5] = accel
    packed[0, :, 2] = 0.0 if yaw is None else yaw
    return CarState.unpacked(packed)


@pytest.mark.parametrize(("accel", "kept"), [(2.39, True), (2.41, False), (-4.04, True), (-4.06, False)])
def test_comfort_of_a_constant_acceleration_is_that_of_its_limits(accel: float, kept: bool):
    assert drive_comfort(accelerating(np.full(41, accel)))[0] == kept


def test_comfort_looks_at_one_parabola_through_the_whole_drive():
    """A short jolt that v2 would not forgive; and a slow swing that is too much, as SciPy says it."""
    jolt = np.where(np.arange(41) == 20, 6.0, 0.0)
    assert drive_comfort(accelerating(jolt))[0] == 1.0
    time = np.arange(41) * DT
    for size in np.linspace(0.5, 6.0, 12):
        accel = size * np.sin(np.pi * time / 4.0)
        smooth = savgol_filter(accel, 41, 2)
        jerk = savgol_filter(np.round(savgol_filter(accel, 8, 2), 8), 41, 2, deriv=1, delta=DT)
        kept = smooth.min() > -4.05 and smooth.max() < 2.40 and np.abs(jerk).max() < 4.13
        assert drive_comfort(accelerating(accel))[0] == kept


def test_comfort_limits_turning():
    time = np.arange(41) * DT
    assert drive_comfort(accelerating(np.zeros(41), 0.94 * time))[0] == 1.0
    assert drive_comfort(accelerating(np.zeros(41), 0.96 * time))[0] == 0.0
    assert drive_comfort(accelerating(np.zeros(41), 0.94 * time + 3.0 - 2 * np.pi * (time > 0.2)))[0] == 1.0


def test_the_total_is_linear_in_what_is_weighted_and_zero_without_a_multiplier():
    ones = np.ones(4)
    parts = np.array([0.0, 1.0, 0.5, 1.0]), np.array([1.0, 0.0, 1.0, 1.0]), np.array([1.0, 1.0, 0.0, 1.0])
    np.testing.assert_allclose(pdms_total(ones, *parts), [7 / 12, 7 / 12, 7.5 / 12, 1.0])
    np.testing.assert_array_equal(pdms_total(0 * ones, *parts), 0.0)
    assert SUB_SCORES[5] == "driving_direction"
