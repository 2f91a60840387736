"""Plans do not depend on where north is, where the map begins, or in which order the agents are listed."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from one_road import CENTRE, SAMPLES, boxes, car, history_of, road

from simscale.experts.pdm_closed import RankedProposals, plan_pdm_closed
from simscale.experts.rules import PARITY, SOUND, PdmClosedRules
from simscale.geometry.angles import wrap
from simscale.geometry.se2 import rotate
from simscale.scene import PACIFICA, CarState, Lights, LightState, TrackKind, Tracks
from simscale.scoring import surroundings_of

Array = np.ndarray
FAR = 1e-6
"""Situations that change when everything grows or shrinks by this, m, are at a threshold and left out."""
SAME = 1e-6
RULES = pytest.mark.parametrize("rules", [PARITY, SOUND], ids=["parity", "sound"])
LIMITED = settings(max_examples=15, deadline=None, derandomize=True)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A car on the straight road among others, in plain numbers."""

    y: float
    yaw: float
    speed: float
    accel: float
    others: list[tuple[TrackKind, float, float, float, float]]  # kind, x, y, yaw, speed
    red: bool
    nudge: float = 0.0  # how far the car is moved, m

    @property
    def state(self) -> CarState:
        still = car(y=self.y, yaw=self.yaw, speed=self.speed, accel=self.accel)
        return replace(still, xy=still.xy + self.nudge)

    @property
    def tracks(self) -> Tracks:
        kinds = np.array([int(kind) for kind, *_ in self.others], dtype=np.int64)
        return replace(boxes(*((x, y, yaw, speed) for _, x, y, yaw, speed in self.others)), kind=kinds)


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Where the world is carried."""

    turn: float
    shift: tuple[float, float]

    def points(self, xy: Array) -> Array:
        return rotate(xy, np.full(xy.shape[:-1], self.turn)) + np.array(self.shift)

    def states(self, state: CarState) -> CarState:
        return replace(state, xy=self.points(state.xy), yaw=wrap(state.yaw + self.turn))

    def tracks(self, tracks: Tracks) -> Tracks:
        return replace(
            tracks,
            xy=self.points(tracks.xy),
            yaw=wrap(tracks.yaw + self.turn),
            velocity=rotate(tracks.velocity, np.full(tracks.yaw.shape, self.turn)),
        )


NOWHERE = Motion(turn=0.0, shift=(0.0, 0.0))


def between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False)


cases = st.builds(
    Case,
    y=between(-1.2, 1.2),
    yaw=between(-0.3, 0.3),
    speed=between(0.0, 15.0),
    accel=between(-2.0, 1.5),
    others=st.lists(
        st.tuples(
            st.sampled_from(TrackKind),
            between(-25.0, 70.0),
            between(-6.0, 6.0),
            between(-np.pi, np.pi),
            between(-1.0, 12.0),
        ),
        max_size=6,
    ),
    red=st.booleans(),
)
motions = st.builds(Motion, turn=between(-np.pi, np.pi), shift=st.tuples(between(-1e6, 1e6), between(-1e6, 1e6)))


def planned(
    case: Case, motion: Motion, rules: PdmClosedRules, *, grown: float = 0.0, exact: bool = False
) -> RankedProposals:
    still = road()
    moved = replace(still, xy=motion.points(still.xy), centre_xy=motion.points(still.centre_xy))
    lights = Lights(
        element=np.array([1] if case.red else [], dtype=np.int64),
        state=np.full((int(case.red), SAMPLES), int(LightState.RED)),
    )
    state, line = motion.states(case.state), motion.points(CENTRE)
    around = surroundings_of(
        moved,
        lights,
        instants=np.arange(SAMPLES),
        route=np.array([0, 1]),
        centre_line=line,
        around_xy=state.xy,
    )
    return plan_pdm_closed(
        state,
        motion.states(history_of(case.state)),
        motion.tracks(case.tracks),
        around,
        vehicle=replace(PACIFICA, length=PACIFICA.length + grown, width=PACIFICA.width + grown),
        centre_line=line,
        speed_limit=13.0,
        rules=rules,
        exact=exact,
    )


def sub_scores(ranked: RankedProposals) -> Array:
    s = ranked.scores
    return np.stack(
        [
            s.no_at_fault_collision,
            s.drivable_area,
            s.driving_direction,
            s.traffic_light,
            s.progress,
            s.time_to_collision,
            s.lane_keeping,
            s.history_comfort,
            s.total,
        ]
    )


def difference(one: RankedProposals, two: RankedProposals) -> float:
    """The largest difference of plans, in their egos' frames, and of scores."""
    parts = [
        one.plans.xy - two.plans.xy,
        wrap(one.plans.yaw - two.plans.yaw),
        one.rollouts.velocity - two.rollouts.velocity,
        sub_scores(one) - sub_scores(two),
    ]
    return max(float(np.abs(part).max()) for part in parts)


def far_from_thresholds(case: Case, rules: PdmClosedRules, plan: RankedProposals, *, ties_count: bool = True) -> bool:
    """Whether a hair more or less changes no decision.

    Which of several objects that overlap the car leads is decided by the directions of x and y: a tie, in parity.
    """
    if ties_count and plan.unrolled is not None:
        gaps = plan.unrolled.lead[:, 2::2, 0] - plan.unrolled.station[:, 1:-1:2]
        if (gaps == 0).any():
            return False
    return all(
        difference(plan, planned(replace(case, nudge=by), NOWHERE, rules, grown=by)) < 100 * FAR for by in (-FAR, FAR)
    )


@RULES
@LIMITED
@given(case=cases, motion=motions)
def test_a_plan_moves_with_the_world(rules: PdmClosedRules, case: Case, motion: Motion):
    here = planned(case, NOWHERE, rules)
    assume(far_from_thresholds(case, rules, here))
    there = planned(case, motion, rules)
    assert difference(here, there) < SAME
    best = here.scores.total[here.order[0]]
    assert there.scores.total[there.order[0]] == pytest.approx(best, abs=SAME)


@RULES
@LIMITED
@given(case=cases, seed=st.integers(0, 1000))
def test_the_order_of_the_agents_does_not_matter(rules: PdmClosedRules, case: Case, seed: int):
    here = planned(case, NOWHERE, rules)
    order = np.random.Generator(np.random.Philox(seed)).permutation(len(case.others))
    there = planned(replace(case, others=[case.others[i] for i in order]), NOWHERE, rules)
    assert difference(here, there) < 1e-12
    np.testing.assert_array_equal(here.order, there.order)


@LIMITED
@given(case=cases)
def test_the_kernels_plan_as_the_geometry_library_does(case: Case):
    fast, exact = planned(case, NOWHERE, PARITY), planned(case, NOWHERE, PARITY, exact=True)
    assume(far_from_thresholds(case, PARITY, fast, ties_count=False))
    assert fast.unrolled is not None and exact.unrolled is not None
    np.testing.assert_allclose(fast.unrolled.lead, exact.unrolled.lead, atol=1e-9)
    assert difference(fast, exact) < 1e-9
    np.testing.assert_array_equal(fast.order, exact.order)
