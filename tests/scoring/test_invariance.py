"""What must not matter to a score: where north is, how agents are numbered, what else is scored; and no NaN, ever."""

from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simscale.dynamics import simulate
from simscale.geometry.angles import wrap
from simscale.geometry.se2 import rotate
from simscale.scene import PACIFICA, CarState, Lights, LightState, Plan, RoadKind, RoadMap, TrackKind, Tracks
from simscale.scoring import PARITY, SOUND, Scores, ScoringRules, Surroundings, score, surroundings_of
from worlds import straight_road, tracks_of

pytestmark = pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # beartype picks what it checks

Array = np.ndarray
HAIR = 1e-6
"""What changes when everything grows or shrinks by this, m, m/s or 1, is at a threshold, and left out."""
SAME = 1e-6
FEW = settings(max_examples=40, deadline=None, derandomize=True)
SAMPLES = 50
CENTRE_LINE = np.array([[-100.0, 0.0], [20.0, 0.0], [400.0, 0.0]])


@dataclass(frozen=True, kw_only=True)
class Motion:
    """Where the world is carried."""

    turn: float = 0.0
    shift: tuple[float, float] = (0.0, 0.0)

    def points(self, xy: Array) -> Array:
        return rotate(xy, np.full(xy.shape[:-1], self.turn)) + np.array(self.shift)

    def car(self, state: CarState) -> CarState:
        return replace(state, xy=self.points(state.xy), yaw=wrap(state.yaw + self.turn))

    def tracks(self, tracks: Tracks) -> Tracks:
        velocity = rotate(tracks.velocity, np.full(tracks.yaw.shape, self.turn))
        return replace(tracks, xy=self.points(tracks.xy), yaw=wrap(tracks.yaw + self.turn), velocity=velocity)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A car on the road of `crossing` with plans, among others."""

    state: CarState
    plans: Plan
    tracks: Tracks
    red: bool


def between(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_subnormal=False)


def car(x: float, y: float, yaw: float, speed: float, accel: float, steer: float) -> CarState:
    return CarState.unpacked(np.array([x, y, yaw, speed, 0.0, accel, 0.0, steer, 0.0, 0.0, 0.0]))


def plans(drives: list[tuple[float, float, float, float]]) -> Plan:
    """Arcs from (speed, acceleration, curvature, sideways drift) to eight poses every 0.5 s."""
    speed, accel, curvature, drift = np.array(drives).T[..., None]
    time = 0.5 * np.arange(1, 9)
    way = np.maximum(speed * time + accel * time**2 / 2, 0.0)
    yaw = way * curvature
    x, y = way * np.sinc(yaw / np.pi), way * yaw / 2 + drift * np.minimum(time / 2, 1.0)
    return Plan(xy=np.stack([x, y], axis=-1), yaw=yaw, dt=0.5)


def others(boxes: list[tuple[TrackKind, float, float, float, float]]) -> Tracks:
    tracks = tracks_of([place for _, *place in boxes], SAMPLES)  # type: ignore[misc]
    return replace(tracks, kind=np.array([int(kind) for kind, *_ in boxes], dtype=np.int64))


cases = st.builds(
    Case,
    state=st.builds(
        car, between(-5, 5), between(-2, 6), between(-0.3, 0.3), between(0, 15), between(-3, 2), between(-0.1, 0.1)
    ),
    plans=st.builds(
        plans,
        st.lists(
            st.tuples(between(0, 16), between(-3, 2), between(-0.03, 0.03), between(-4, 4)), min_size=1, max_size=5
        ),
    ),
    tracks=st.builds(
        others,
        st.lists(
            st.tuples(
                st.sampled_from(TrackKind), between(-20, 60), between(-5, 11), between(-np.pi, np.pi), between(0, 12)
            ),
            max_size=7,
        ),
    ),
    red=st.booleans(),
)
motions = st.builds(Motion, turn=between(-np.pi, np.pi), shift=st.tuples(between(-1e6, 1e6), between(-1e6, 1e6)))


def crossing() -> RoadMap:
    """The straight road of `worlds` with a junction over all its lanes, and a connector through it."""
    road = straight_road()
    rings = [[[25, -3], [38, -3], [38, 10], [25, 10]], [[25, -1.7], [38, -1.7], [38, 1.7], [25, 1.7]]]
    return replace(
        road,
        id=(*road.id, "junction", "connector"),
        kind=np.append(road.kind, [RoadKind.INTERSECTION, RoadKind.CONNECTOR]),
        xy=np.concatenate([road.xy, *np.array(rings, dtype=np.float64)]),
        start=np.append(road.start, len(road.xy) + np.array([4, 8])),
        centre_start=np.append(road.centre_start, [len(road.centre_xy)] * 2),
        speed_limit=np.append(road.speed_limit, [0.0, 0.0]),
        has_speed_limit=np.append(road.has_speed_limit, [False, False]),
        group=np.append(road.group, [-1, 0]),
    )


def around_of(case: Case, motion: Motion) -> Surroundings:
    road = crossing()
    shown = np.full((1, SAMPLES), int(LightState.RED if case.red else LightState.GREEN))
    return surroundings_of(
        replace(road, xy=motion.points(road.xy), centre_xy=motion.points(road.centre_xy)),
        Lights(element=np.array([5]), state=shown),
        instants=np.arange(SAMPLES),
        route=np.array([0]),
        centre_line=motion.points(CENTRE_LINE),
        around_xy=motion.car(case.state).xy,
    )


def scores_of(case: Case, motion: Motion, rules: ScoringRules, *, grown: float = 0.0, moved: float = 0.0) -> Scores:
    start = motion.car(case.state)
    drives = simulate(case.plans, start, vehicle=PACIFICA)
    drives = replace(drives, xy=drives.xy + moved)
    past = np.repeat(start.packed()[None], 14, axis=0)
    return score(
        drives,
        motion.tracks(case.tracks),
        around_of(case, motion),
        vehicle=replace(PACIFICA, length=PACIFICA.length + grown, width=PACIFICA.width + grown),
        history=CarState.unpacked(past),
        rules=rules,
        best_progress=20.0,
    )


def eased(rules: ScoringRules, by: float) -> ScoringRules:
    """All thresholds that are numbers a little higher; offsets and windows are whole and stay."""
    numbers = {f.name: getattr(rules, f.name) for f in fields(rules) if isinstance(getattr(rules, f.name), float)}
    asked = {name: value + by for name, value in numbers.items() if "weight" not in name and "score" not in name}
    return replace(rules, **asked)


def judgements(scores: Scores) -> dict[str, Array]:
    """All that is yes or no, or a sample."""
    numbers = ("progress", "progress_m", "total", "first")
    found = {name: value for name, value in vars(scores).items() if name not in numbers}
    return found | vars(scores.first)


def alike(one: Scores, other: Scores) -> bool:
    pairs = zip(judgements(one).values(), judgements(other).values(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def far_from_thresholds(case: Case, here: Scores, rules: ScoringRules) -> bool:
    """Whether a hair more or less of anything changes no judgement."""
    hair = (-HAIR, HAIR)
    grown = [scores_of(case, Motion(), rules, grown=by) for by in hair]
    moved = [scores_of(case, Motion(), rules, moved=by) for by in hair]
    easy = [scores_of(case, Motion(), eased(rules, by)) for by in hair]
    return all(alike(here, there) for there in (*grown, *moved, *easy))


def assert_equal(one: Scores, other: Scores, rows: object = slice(None)) -> None:
    """To the last bit; of `one` the given rows."""
    for name, value in vars(one).items():
        if name != "first":
            np.testing.assert_array_equal(value[rows], getattr(other, name), err_msg=name)
    for name, value in vars(one.first).items():
        np.testing.assert_array_equal(value[rows], getattr(other.first, name), err_msg=name)


@FEW
@given(case=cases, motion=motions, rules=st.sampled_from([PARITY, SOUND]))
def test_scores_stay_when_the_world_is_carried_elsewhere(case: Case, motion: Motion, rules: ScoringRules):
    here = scores_of(case, Motion(), rules)
    assume(far_from_thresholds(case, here, rules))
    there = scores_of(case, motion, rules)
    assert alike(here, there)
    for name in ("progress", "progress_m", "total"):
        np.testing.assert_allclose(getattr(here, name), getattr(there, name), rtol=0, atol=SAME)


@FEW
@given(case=cases, order=st.permutations(range(7)), rules=st.sampled_from([PARITY, SOUND]))
def test_scores_stay_when_the_agents_are_numbered_otherwise(case: Case, order: list[int], rules: ScoringRules):
    turned = np.array([a for a in order if a < len(case.tracks.id)], dtype=np.int64)
    there = replace(case, tracks=case.tracks.of_agents(turned))
    assert_equal(scores_of(case, Motion(), rules), scores_of(there, Motion(), rules))


@FEW
@given(case=cases, rules=st.sampled_from([PARITY, SOUND]))
def test_each_plan_scores_in_a_batch_as_alone(case: Case, rules: ScoringRules):
    together = scores_of(case, Motion(), rules)
    for k in range(len(case.plans.yaw)):
        one = Plan(xy=case.plans.xy[k : k + 1], yaw=case.plans.yaw[k : k + 1], dt=case.plans.dt)
        assert_equal(together, scores_of(replace(case, plans=one), Motion(), rules), slice(k, k + 1))


FAR, FAST = 1e7, 100.0
coordinate = between(-FAR, FAR)
velocity = between(-FAST, FAST)
angle = between(-100.0, 100.0)


@st.composite
def anything(draw: st.DrawFn) -> tuple[Plan, CarState, CarState, Tracks, Array, Array]:
    """Plans, state, history, others, a ring and a line: numbers of any kind below 1e7 m and 100 m/s."""

    def numbers(*shape: int, of: st.SearchStrategy[float]) -> Array:
        count = int(np.prod(shape))
        few = draw(st.lists(of, min_size=1, max_size=6))
        return np.resize(np.array(few), count).reshape(shape)

    poses = draw(st.sampled_from([8, 40]))
    near = draw(st.sampled_from([coordinate, between(-50.0, 50.0)]))
    plan = Plan(xy=numbers(3, poses, 2, of=near), yaw=numbers(3, poses, of=angle), dt=4.0 / poses)
    states = np.zeros((15, 11))
    states[:, :2], states[:, 2], states[:, 3:5] = (
        numbers(15, 2, of=near),
        numbers(15, of=angle),
        numbers(15, 2, of=velocity),
    )
    states[:, 5:7], states[:, 9:] = numbers(15, 2, of=velocity), numbers(15, 2, of=angle)
    boxes = tracks_of([(0.0, 0.0, 0.0, 0.0)] * 3, SAMPLES)
    boxes = replace(
        boxes,
        xy=numbers(3, SAMPLES, 2, of=near),
        yaw=numbers(3, SAMPLES, of=angle),
        velocity=numbers(3, SAMPLES, 2, of=velocity),
        size=numbers(3, 3, of=between(0.0, FAST)),
        valid=numbers(3, SAMPLES, of=between(-1.0, 1.0)) > 0,
    )
    return (
        plan,
        CarState.unpacked(states[14]),
        CarState.unpacked(states[:14]),
        boxes,
        numbers(24, of=near),
        numbers(8, of=near),
    )


@FEW
@given(world=anything(), rules=st.sampled_from([PARITY, SOUND]))
def test_there_is_no_nan_whatever_comes(
    world: tuple[Plan, CarState, CarState, Tracks, Array, Array], rules: ScoringRules
):
    plan, state, history, tracks, corners, line = world
    drives = simulate(plan, state, vehicle=PACIFICA)
    assert np.isfinite(drives.packed()).all()
    road = crossing()
    around = surroundings_of(
        replace(road, xy=np.concatenate([corners.reshape(12, 2), road.xy[12:]])),
        Lights(element=np.array([5]), state=np.full((1, SAMPLES), int(LightState.RED))),
        instants=np.arange(SAMPLES),
        route=np.array([0]),
        centre_line=line.reshape(4, 2),
        around_xy=state.xy,
    )
    found = score(drives, tracks, around, vehicle=PACIFICA, history=history, rules=rules)
    for name, value in judgements(found).items():
        assert np.isfinite(value).all(), name
    for value in (found.progress, found.progress_m, found.total):
        assert np.isfinite(value).all()
    assert ((found.total >= 0) & (found.total <= 1)).all() and ((found.progress >= 0) & (found.progress <= 1)).all()
