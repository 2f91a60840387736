"""First half of Algorithm 1: away from the human's path, into a state that the log never saw."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int

from simscale.dynamics import coast, simulate, with_steering
from simscale.generate.place import Place
from simscale.generate.sample import HORIZON, ROLLOUT_LENGTH
from simscale.generate.settings import GenerateSettings
from simscale.generate.verdict import perturbation_verdicts
from simscale.perturb.candidates import can_follow, cell_of, deviation_of, is_new_state, may_end_in_window
from simscale.perturb.sampling import Grid, draw, grid_of
from simscale.perturb.vocabulary import Vocabulary
from simscale.scene import CarState, EgoVehicle, Scene
from simscale.traffic.policy import Traffic, TrafficRollout

Array = np.ndarray

BATCHES = (1, 2, 5)
"""How many draws are driven at once: most rounds pass with the first, and a batch costs little more than one."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Every candidate of one token that ends in a new state, already rolled out, sorted into cells."""

    entry: Int[Array, " c"]  # of the vocabulary
    ego: CarState  # [c 50], coasting after the horizon
    deviation: Array  # [c 3] from the human: m, m, rad
    grid: Grid


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """One round of one token."""

    tried: Int[Array, " n"]  # candidates, in the order of the draw; the last one passed where `passed`
    reasons: tuple[str, ...]  # against each; empty for the one that passed
    cells: Int[Array, " n"]  # that each was drawn from
    rollouts: tuple[tuple[TrafficRollout, int], ...]  # traffic beside each: a batch and the place in it

    @property
    def passed(self) -> bool:
        """Whether the round found a perturbed state."""
        return bool(self.reasons) and not self.reasons[-1]


def candidates_of(
    scene: Scene, t0: int, vocabulary: Vocabulary, settings: GenerateSettings, *, vehicle: EgoVehicle
) -> Candidates:
    """Rolls out all that the car can follow, and keeps what ends in the window and outside the tube."""
    start, human = scene.ego[t0], scene.ego[t0 + HORIZON]
    perturb = settings.perturb
    speed = float(start.velocity[0])
    possible = np.flatnonzero(may_end_in_window(vocabulary.poses, start=start, human=human, settings=perturb))
    entry = possible[can_follow(vocabulary.poses[possible], speed=speed, settings=perturb)]
    ego = simulate(vocabulary.plan(entry), with_steering(start, vehicle=vehicle), vehicle=vehicle, steps=HORIZON)
    deviation = deviation_of(ego[:, HORIZON], human)
    kept = np.flatnonzero(is_new_state(deviation, settings=perturb))
    cells = cell_of(deviation[kept], settings=perturb)
    return Candidates(
        entry=entry[kept],
        ego=coast(ego[kept], ROLLOUT_LENGTH - 1 - HORIZON),
        deviation=deviation[kept],
        grid=grid_of(cells, np.arange(len(kept))),
    )


def attempt(
    candidates: Candidates,
    visited: Bool[Array, " c"],
    *,
    traffic: Traffic,
    place: Place,
    vehicle: EgoVehicle,
    history: CarState,
    settings: GenerateSettings,
    token: str,
    round_: int,
) -> Attempt:
    """One round: draws cells until a candidate passes the check, at most `max_tries`."""
    cells, drawn = draw(
        candidates.grid, visited, tries=settings.perturb.max_tries, seed=settings.seed, token=token, round_=round_
    )
    reasons: list[str] = []
    rollouts: list[tuple[TrafficRollout, int]] = []
    for size in BATCHES:
        batch = drawn[len(reasons) : len(reasons) + size]
        if len(batch) == 0:
            break
        ego = candidates.ego[batch]
        rollout = traffic.roll(traffic.start(), ego)
        verdicts = perturbation_verdicts(ego, rollout.tracks, place, vehicle=vehicle, history=history)
        kept = verdicts.index("") + 1 if "" in verdicts else len(verdicts)
        reasons += verdicts[:kept]
        rollouts += [(rollout, k) for k in range(kept)]
        if "" in verdicts:
            break
    return Attempt(
        tried=drawn[: len(reasons)], reasons=tuple(reasons), cells=cells[: len(reasons)], rollouts=tuple(rollouts)
    )
