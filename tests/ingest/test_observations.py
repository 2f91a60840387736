import numpy as np
import pytest

from simscale.ingest.observations import Observations, on_grid, tracks_on_grid, velocity_of, weighted_median


def tracks(time, x, *, y=0.0, yaw=0.0, noise=0.5, weight=1.0, steps=41):
    count = len(time)
    seen = Observations(
        time=np.asarray(time, dtype=float),
        track=np.zeros(count, dtype=np.int64),
        position=np.stack([np.broadcast_to(v, count).astype(float) for v in (x, y, 1.0)], axis=-1),
        yaw=np.broadcast_to(yaw, count).astype(float),
        noise=np.broadcast_to(noise, count).astype(float),
        weight=np.broadcast_to(weight, count).astype(float),
    )
    return tracks_on_grid(seen, steps=steps, name=("a",), kind=np.array([0]), size=np.ones((1, 3)))


def test_uneven_sweeps_of_even_motion_give_even_motion():
    time = np.sort(np.random.default_rng(1).uniform(-0.004, 0.004, 41) + np.arange(41) * 0.1)
    found = tracks(time, 5.0 * time, yaw=3.0 + 0.5 * time)
    assert found.valid.all()
    np.testing.assert_allclose(found.xy[0, :, 0], 0.5 * np.arange(41), atol=1e-9)
    np.testing.assert_allclose(found.velocity[0, :, 0], 5.0, atol=1e-6)
    turned = 3.0 + 0.05 * np.arange(41)
    np.testing.assert_allclose(np.exp(1j * found.yaw[0]), np.exp(1j * turned), atol=1e-9)


@pytest.mark.parametrize(("lost", "bridged"), [(1, True), (2, True), (3, False), (8, False)])
def test_short_gaps_are_bridged_and_long_ones_are_not_valid(lost, bridged):
    time = np.delete(np.arange(41) * 0.1, np.arange(10, 10 + lost))
    found = tracks(time, 5.0 * time)
    assert found.valid[0, 10 : 10 + lost].tolist() == [bridged] * lost
    assert found.valid[0].sum() == 41 if bridged else 41 - lost


def test_a_track_lives_from_its_first_to_its_last_observation():
    time = np.arange(12, 20) * 0.1 + 0.003
    found = tracks(time, 5.0 * time)
    assert np.flatnonzero(found.valid[0]).tolist() == list(range(12, 20))
    np.testing.assert_allclose(found.xy[0, 12:20, 0], 0.5 * np.arange(12, 20), atol=1e-9)


def test_a_wandering_parked_car_stands_where_it_was_seen_best():
    time = np.arange(41) * 0.1
    hidden = np.abs(time - 2.0) < 0.8
    x = np.where(hidden, 1.5, 0.02 * np.sin(9 * time))
    found = tracks(time, x, noise=np.where(hidden, 1.7, 0.5), weight=np.where(hidden, 1.0, 200.0))
    assert np.abs(found.xy[0, 0, 0]) < 0.03
    assert (found.xy == found.xy[:, :1]).all() and (found.velocity == 0).all()


@pytest.mark.parametrize("x", [lambda t: 0.3 * t, lambda t: np.maximum(t - 3.0, 0) * 2.0])
def test_a_car_that_creeps_or_starts_is_not_frozen(x):
    time = np.arange(41) * 0.1
    found = tracks(time, x(time))
    np.testing.assert_allclose(found.xy[0, :, 0], x(time), atol=1e-9)


def test_a_stop_between_two_drives_has_velocity_zero():
    time = np.arange(61) * 0.1
    x = 4.0 * np.minimum(time, 2.0) + 4.0 * np.maximum(time - 4.0, 0.0) + 0.01 * np.sin(20 * time)
    found = tracks(time, x, steps=61)
    assert (found.velocity[0, 26:35] == 0).all()
    assert (found.velocity[0, :15, 0] > 3.5).all() and (found.velocity[0, 46:, 0] > 3.5).all()


def test_tracks_between_two_instants_are_left_out():
    assert tracks([0.14, 0.16], [0.0, 0.1]).id == ()


def test_velocity_of_two_instants_is_their_difference():
    xy = np.array([[0.0, 0.0], [1.0, 2.0], [0.0, 0.0]])
    velocity = velocity_of(xy, np.array([True, True, False]))
    np.testing.assert_allclose(velocity, [[10, 20], [10, 20], [0, 0]])


def test_weighted_median_of_equal_weights_is_the_median():
    values = np.random.default_rng(0).normal(size=(11, 2))
    np.testing.assert_array_equal(weighted_median(values, np.ones(11)), np.median(values, axis=0))


def test_single_observation_holds_at_its_instant_only():
    values, valid = on_grid(np.array([0.2]), np.array([[7.0]]), steps=5)
    assert valid.tolist() == [False, False, True, False, False]
    assert values[2, 0] == 7.0
