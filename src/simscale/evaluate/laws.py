"""Two laws that lead a car away from the human's drive into states where a second stage can start.

`generator` is the one that training data come from, with a seed of its own. `unseen` is another one altogether: it
follows the human for 1.5 s and then, for 2.5 s instead of 4, adds smooth offsets to the human's own motion instead of
taking an entry of a vocabulary; the offsets are wider, and the car may still move sideways at the end. A planner that
learned the generator's states alone, and not to drive, fails the second law.

Both are checked as generation checks (no contact, on the road, not oncoming, no red light, comfortable, not lost), and
a good driver must still have a way on (`chance.py`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from simscale.dynamics import coast, simulate, with_steering
from simscale.evaluate.chance import can_be_saved
from simscale.evaluate.seeds import PERTURBATION_SEED
from simscale.generate.perturbing import attempt, candidates_of
from simscale.generate.place import place_of, token_name
from simscale.generate.records import tracks_beside
from simscale.generate.sample import HORIZON, ROLLOUT_LENGTH
from simscale.generate.settings import GenerateSettings
from simscale.generate.verdict import perturbation_verdicts
from simscale.geometry.angles import wrap
from simscale.geometry.se2 import rotate, to_child
from simscale.perturb.candidates import deviation_of, is_new_state
from simscale.perturb.vocabulary import Vocabulary
from simscale.scene import CarState, Plan, Scene
from simscale.scene.seeds import generator_of
from simscale.traffic.rollout import Traffic, TrafficRollout

Array = np.ndarray

HISTORY = 15
"""Steps before the decision point that comfort sees: 1.5 s."""
MOST_ROUNDS = 2
"""The generator's law makes so many rounds for each start that is wanted, should some find none."""


@dataclass(frozen=True, kw_only=True)
class Departure:
    """A drive of 4 s away from the human's, with the traffic beside it."""

    ego: CarState  # [50]; sample 0 is the log's state, sample 40 the second-stage start
    rollout: TrafficRollout  # a batch ...
    index: int  # ... and the place in it
    deviation: Float[Array, "3"]  # of sample 40 from the human: longitudinal m, lateral m, yaw rad


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where departures start: an instant of a log."""

    scene: Scene
    line: Array  # centre line of the route, [n 2]
    instant: int
    traffic: Traffic  # that starts there
    vocabulary: Vocabulary


@dataclass(frozen=True, kw_only=True)
class UnseenLaw:
    """Offsets from the human's motion. All ours; wider and faster than any of the generator's."""

    steps: int = 25  # over which they grow: 2.5 s
    largest_lon: float = 9.0  # m, ahead or behind
    largest_lat: float = 3.5  # m, to either side
    largest_rate: float = 1.5  # m/s sideways, left over at the end
    draws: int = 48  # offsets that are tried for one group
    batch: int = 12  # of them at once


SETTINGS = GenerateSettings(seed=PERTURBATION_SEED)
"""Of the generator's law: its default preset, whose draws no training set repeats."""
WIDEST = GenerateSettings(preset="wide").perturb
"""A state beyond this window is none that one recovers from."""


def generator_law(origin: Origin, count: int) -> list[Departure]:
    """Up to `count` departures as `simscale generate` makes them, each in a cell of its own."""
    scene, t0 = origin.scene, origin.instant
    candidates = candidates_of(scene, t0, origin.vocabulary, SETTINGS, vehicle=scene.vehicle)
    place = place_of(scene, t0, centre_line=origin.line)
    visited, found = np.zeros(len(candidates.grid), dtype=bool), []
    for round_ in range(MOST_ROUNDS * count):
        if len(found) == count:
            break
        tried = attempt(
            candidates,
            visited,
            traffic=origin.traffic,
            place=place,
            vehicle=scene.vehicle,
            history=scene.ego[t0 - HISTORY : t0],
            settings=SETTINGS,
            token=token_name(scene.id, t0),
            round_=round_,
        )
        visited[tried.cells] = True
        if tried.passed:
            (rollout, index), chosen = tried.rollouts[-1], int(tried.tried[-1])
            ego, deviation = candidates.ego[chosen], candidates.deviation[chosen]
            drive = Departure(ego=ego, rollout=rollout, index=index, deviation=deviation)
            found += [drive] if _has_a_chance(origin, drive) else []
    return found


def unseen_law(origin: Origin, count: int, *, law: UnseenLaw | None = None) -> list[Departure]:
    """Up to `count` departures by smooth offsets from the human's motion."""
    law = law or UnseenLaw()
    scene, t0 = origin.scene, origin.instant
    drives = _offset_drives(origin, law)
    deviation = deviation_of(drives[:, HORIZON], scene.ego[t0 + HORIZON])
    new = np.flatnonzero(is_new_state(deviation, settings=WIDEST))
    place, history = place_of(scene, t0, centre_line=origin.line), scene.ego[t0 - HISTORY : t0]
    found: list[Departure] = []
    for first in range(0, len(new), law.batch):
        ego = drives[new[first : first + law.batch]]
        rollout = origin.traffic.roll(origin.traffic.start(), ego)
        verdicts = perturbation_verdicts(ego, rollout.tracks, place, vehicle=scene.vehicle, history=history)
        for index, reason in enumerate(verdicts):
            if reason or len(found) == count:
                continue
            off = deviation[new[first + index]]
            drive = Departure(ego=ego[index], rollout=rollout, index=index, deviation=off)
            found += [drive] if _has_a_chance(origin, drive) else []
        if len(found) == count:
            break
    return found


def _has_a_chance(origin: Origin, drive: Departure) -> bool:
    scene, now = origin.scene, origin.instant + HORIZON
    return can_be_saved(
        drive.ego[HORIZON],
        drive.ego[HORIZON - HISTORY : HORIZON],
        tracks_beside(drive.rollout, drive.index).at(HORIZON, HORIZON + 1),
        place_of(scene, now, centre_line=origin.line),
        traffic=origin.traffic,
        state=drive.rollout.state_at(drive.index, HORIZON),
        vehicle=scene.vehicle,
    )


def _offset_drives(origin: Origin, law: UnseenLaw) -> CarState:
    """All draws of a group, driven, [k 50]: first as the human, then away from it, then coasting."""
    scene, begin = origin.scene, origin.instant + HORIZON - law.steps
    human = scene.ego[begin : begin + law.steps + 1]
    rng = generator_of(PERTURBATION_SEED, token_name(scene.id, origin.instant), "unseen")
    bounds = np.array([law.largest_lon, law.largest_lat, law.largest_rate])
    lon, lat, rate = (rng.uniform(-1.0, 1.0, size=(law.draws, 3)) * bounds).T
    share = np.arange(law.steps + 1) / law.steps
    grown = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)  # from 0 to 1, flat at both ends
    leaning = share**3 * (-4.0 + 7.0 * share - 3.0 * share**2)  # from 0 to 0, flat at first, slope 1 at the end
    sideways = lat[:, None] * grown + (rate * law.steps * scene.dt)[:, None] * leaning
    offset = np.stack([lon[:, None] * grown, sideways], axis=-1)
    xy = human.xy + rotate(offset, np.broadcast_to(human.yaw, offset.shape[:-1]))
    plan = _plan_along(xy, human)
    start = with_steering(scene.ego[begin], vehicle=scene.vehicle)
    driven = coast(simulate(plan, start, vehicle=scene.vehicle, steps=law.steps), ROLLOUT_LENGTH - 1 - HORIZON).packed()
    before = with_steering(scene.ego[origin.instant : begin], vehicle=scene.vehicle).packed()
    before = np.broadcast_to(before, (law.draws, *before.shape))
    return CarState.unpacked(np.concatenate([before, driven], axis=1))


def _plan_along(xy: Float[Array, "k t 2"], human: CarState) -> Plan:
    """Poses [k t-1] every 0.1 s along a motion that starts as the human; the heading is that of the motion."""
    step = np.gradient(xy, axis=1)
    moves = np.hypot(step[..., 0], step[..., 1]) > 0.03
    along = np.arctan2(step[..., 1], step[..., 0])
    yaw = np.where(moves, human.yaw + wrap(along - human.yaw), human.yaw)
    start_xy, start_yaw = human.xy[0], float(human.yaw[0])
    xy, yaw = to_child(xy[:, 1:], yaw[:, 1:], frame_xy=start_xy, frame_yaw=start_yaw)
    return Plan(xy=xy, yaw=yaw, dt=0.1)


LAWS: dict[str, Callable[[Origin, int], list[Departure]]] = {"generator": generator_law, "unseen": unseen_law}
"""By the name that results carry."""
