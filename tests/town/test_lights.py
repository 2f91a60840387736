import itertools

import numpy as np
import pytest

from simscale.scene import LightState
from simscale.scene.seeds import generator_of
from simscale.town.layout import layout_of
from simscale.town.lights import ALL_RED, LEAST_GREEN, MOST_GREEN, WALK, YELLOW, Signals

DT = 0.1


@pytest.fixture
def layout():
    return layout_of(generator_of(0, "town", "roads"), size=400.0)


def run(layout, steps, waiting, coming, inside):
    signals = Signals(layout, generator_of(0, "lights"), dt=DT)
    everywhere = np.ones(4 * len(layout.xy), dtype=bool)
    return np.stack(
        [signals.step(everywhere & waiting, everywhere & coming, everywhere & inside) for _ in range(steps)]
    )


def lit_arms(layout):
    for crossing in np.flatnonzero(layout.lights):
        yield 4 * crossing + np.flatnonzero(layout.arm_street[crossing] >= 0)


def spells(state, which):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], (state == which).astype(int), [0]])))
    return [(end - begin) * DT for begin, end in edges.reshape(-1, 2) if begin > 0 and end < len(state)]


def test_with_a_queue_everywhere_every_approach_gets_its_turn(layout):
    state = run(layout, 1500, True, True, False)
    for arms in lit_arms(layout):
        for approach in arms:
            np.testing.assert_allclose(spells(state[:, approach], LightState.GREEN), MOST_GREEN, atol=DT + 1e-9)
            np.testing.assert_allclose(spells(state[:, approach], LightState.YELLOW), YELLOW, atol=DT + 1e-9)
            others = (len(arms) - 1) * (MOST_GREEN + YELLOW + ALL_RED) + ALL_RED
            red = spells(state[:, approach], LightState.RED)
            assert red
            np.testing.assert_allclose(red, others, atol=1.0)


def test_never_more_than_one_approach_may_enter(layout):
    state = run(layout, 800, True, True, False)
    for arms in lit_arms(layout):
        assert ((state[:, arms] != LightState.RED).sum(1) <= 1).all()


def test_colours_follow_each_other_as_they_should(layout):
    state = run(layout, 800, True, False, False)
    green, yellow, red = LightState.GREEN, LightState.YELLOW, LightState.RED
    for arms in lit_arms(layout):
        for approach in arms:
            column = state[:, approach]
            changes = {(int(a), int(b)) for a, b in itertools.pairwise(column) if a != b}
            assert changes <= {(green, yellow), (yellow, red), (red, green)}


def test_green_that_nobody_uses_ends_early_and_stays_where_nobody_waits(layout):
    for arms in lit_arms(layout):
        unused = run(layout, 400, True, False, False)
        assert np.isclose(spells(unused[:, arms[0]], LightState.GREEN), LEAST_GREEN, atol=DT + 1e-9).all()
        alone = run(layout, 400, False, True, False)
        assert (alone[:, arms] == alone[:1, arms]).all()


def test_yellow_waits_for_those_inside(layout):
    state = run(layout, 600, True, True, True)
    for arms in lit_arms(layout):
        assert (state[-1, arms] == LightState.YELLOW).sum() == 1


def test_a_crossing_without_lights_is_always_green(layout):
    state = run(layout, 50, True, True, False)
    for crossing in np.flatnonzero(layout.lights == 0):
        assert (state[:, 4 * crossing : 4 * crossing + 4] == LightState.GREEN).all()


def test_people_get_a_phase_in_which_all_cars_have_red_until_they_are_across(layout):
    signals = Signals(layout, generator_of(0, "lights"), dt=DT)
    nobody, crossings = np.zeros(4 * len(layout.xy), dtype=bool), np.zeros(len(layout.xy), dtype=bool)
    walked = np.zeros(len(layout.xy), dtype=int)
    for _ in range(600):
        state = signals.step(nobody, nobody, nobody, on_foot=~crossings, across=signals.walk)
        walked += signals.walk
        for crossing in np.flatnonzero(signals.walk):
            arms = np.flatnonzero(layout.arm_street[crossing] >= 0)
            assert (state[4 * crossing + arms] == LightState.RED).all()
    assert (walked[layout.lights > 0] * DT >= WALK - DT).all()
    assert (walked[layout.lights == 0] == 0).all()
