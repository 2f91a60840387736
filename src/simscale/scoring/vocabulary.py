"""Scores of a whole vocabulary: thousands of trajectories from one decision point, in the traffic of the log.

They are what planners that choose from a vocabulary learn from. All trajectories and PDM-Closed form one batch
(`pdm_score_full_v2` of SimScale's fork), which we take block by block, so that 16,384 need little memory.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from simscale.dynamics import simulate
from simscale.scene import CarState, EgoVehicle, Plan, Tracks
from simscale.scoring.epdms import score
from simscale.scoring.human_filter import SUB_SCORES, human_filtered
from simscale.scoring.rules import PARITY, ScoringRules
from simscale.scoring.scores import FirstFailures, Scores, total_of
from simscale.scoring.surroundings import Surroundings

Array = np.ndarray

BLOCK = 512
"""Trajectories that are simulated and scored together (ours): their states fit into the processor's cache."""
COLUMNS = (*SUB_SCORES, "total")
"""What a planner learns of a trajectory; SimScale calls the last one `pdm_score`."""

ProgressMode = Literal["eval", "gen_gt"]
"""How progress is measured: `eval` against the best of the batch, as a benchmark does; `gen_gt`, the training
rewards, each trajectory by its safe metres (progress times multiplier) against PDM-Closed and itself."""
FilterMode = Literal["off", "fixed", "legacy"]
"""What becomes of sub-scores that the human fails as well, see `filtered_columns`."""


@dataclass(frozen=True, kw_only=True)
class VocabularyScores:
    """A vocabulary's scores at one decision point, before any filter."""

    plans: Scores  # [n], progress as in `eval`
    expert: Scores  # [1], PDM-Closed in the same batch

    @property
    def multiplicative(self) -> Float[Array, "n1 4"]:
        """NC, DAC, TLC and DDC, PDM-Closed in the first row (the reference's array and its order)."""
        return self._rows(lambda s: [s.no_at_fault_collision, s.drivable_area, s.traffic_light, s.driving_direction])

    @property
    def progress_m(self) -> Float[Array, " n1"]:
        """Metres along the centre line, PDM-Closed first."""
        return self._rows(lambda s: [s.progress_m])[:, 0]

    def weighted(self, progress: ProgressMode = "eval", *, rules: ScoringRules = PARITY) -> Float[Array, "n1 4"]:
        """EP, TTC, LK and HC, PDM-Closed in the first row."""
        measured = self.measured(progress, rules=rules)
        return measured._rows(lambda s: [s.progress, s.time_to_collision, s.lane_keeping, s.history_comfort])

    def measured(self, progress: ProgressMode, *, rules: ScoringRules = PARITY) -> "VocabularyScores":
        """The same with progress, and so the total, measured one way or the other."""
        safe, best = _safe(self.plans), float(_safe(self.expert)[0])
        if progress == "gen_gt":
            measure, measure_expert = np.maximum(safe, best), np.array([best])
            share, share_expert = safe, _safe(self.expert)
        else:
            farthest = max(float(safe.max(initial=0.0)), best)
            measure, measure_expert = np.full(len(safe), farthest), np.array([farthest])
            share, share_expert = self.plans.progress_m, self.expert.progress_m
        return VocabularyScores(
            plans=_with_progress(self.plans, _share(share, measure, rules), rules),
            expert=_with_progress(self.expert, _share(share_expert, measure_expert, rules), rules),
        )

    def _rows(self, columns: Callable[[Scores], list[Array]]) -> Float[Array, "n1 c"]:
        return np.concatenate([np.stack(columns(scores), axis=-1) for scores in (self.expert, self.plans)])


def score_vocabulary(
    plans: Plan,
    start: CarState,
    tracks: Tracks,
    around: Surroundings,
    *,
    expert: CarState,
    vehicle: EgoVehicle,
    history: CarState | None,
    rules: ScoringRules = PARITY,
    start_time_us: int | None = None,
) -> VocabularyScores:
    """Simulates and scores `n` plans from one state.

    Args:
        plans: Trajectories [n t] in the ego frame, 40 poses every 0.1 s or 8 every 0.5 s; float32 will do.
        start: The ego now (no batch axes).
        tracks: The others [a t], which do not react (the reference drops those that overlap the ego now).
        around: Map and lights at the decision point.
        expert: PDM-Closed's drive [t], as simulated.
        vehicle: The ego's dimensions.
        history: What precedes the drives at 10 Hz [h]; without one, comfort counts as kept.
        rules: Thresholds and switches.
        start_time_us: Time of the start, for agreement with the reference to the last digit.
    """

    def scored(ego: CarState) -> Scores:
        return score(ego, tracks, around, vehicle=vehicle, history=history, rules=rules, best_progress=0.0)

    blocks = []
    for first in range(0, len(plans.yaw), BLOCK):
        some = slice(first, first + BLOCK)
        plan = Plan(xy=plans.xy[some], yaw=plans.yaw[some], dt=plans.dt)
        blocks.append(scored(simulate(plan, start, vehicle=vehicle, start_time_us=start_time_us)))
    alone = scored(CarState.unpacked(expert.packed()[None]))
    return VocabularyScores(plans=_joined(blocks), expert=alone).measured("eval", rules=rules)


def filtered_columns(
    scores: Scores, human: Scores | None, *, human_filter: FilterMode, rules: ScoringRules = PARITY
) -> Float[Array, "n 9"]:
    """`COLUMNS` of a vocabulary after the human filter.

    QUIRK (`pdm_score_full_v2`): with `legacy`, the whole column of each sub-score that the human fails becomes 1, and
    so does the total where the human's is 0; else the total stays that of the unfiltered sub-scores. SimScale's
    published rewards are of this kind. With `fixed`, multiplier and total follow the filtered sub-scores, as in
    NAVSIM since 359c7f7.

    Args:
        scores: Scores [n] of the vocabulary.
        human: Scores [1] of the human's own drive, simulated and scored alone without a history; None: no filter.
        human_filter: What the filter does.
        rules: For the weights.
    """
    if human is None or human_filter == "off":
        return np.stack([getattr(scores, name) for name in COLUMNS], axis=-1)
    if human_filter == "fixed":
        scores = human_filtered(scores, human, rules)
        return np.stack([getattr(scores, name) for name in COLUMNS], axis=-1)
    failed = [float(getattr(human, name)[0]) == 0.0 for name in COLUMNS]
    columns = np.stack([getattr(scores, name) for name in COLUMNS], axis=-1)
    columns[:, failed] = 1.0
    return columns


def _safe(scores: Scores) -> Float[Array, " n"]:
    return scores.progress_m * scores.multiplier


def _share(metres: Float[Array, " n"], best: Float[Array, " n"], rules: ScoringRules) -> Float[Array, " n"]:
    far = best > rules.progress_threshold
    return np.where(far, np.clip(metres / np.where(far, best, 1.0), 0.0, 1.0), 1.0)


def _with_progress(scores: Scores, progress: Float[Array, " n"], rules: ScoringRules) -> Scores:
    kept = (scores.time_to_collision, scores.lane_keeping, scores.history_comfort)
    return replace(scores, progress=progress, total=total_of(scores.multiplier, progress, *kept, rules))


def _joined(blocks: list[Scores]) -> Scores:
    def join(nouns: list[Scores] | list[FirstFailures]) -> dict[str, Array]:
        names = [name for name, value in vars(nouns[0]).items() if isinstance(value, np.ndarray)]
        return {name: np.concatenate([getattr(noun, name) for noun in nouns]) for name in names}

    return Scores(**join(blocks), first=FirstFailures(**join([block.first for block in blocks])))
