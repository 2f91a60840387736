"""Rewarding: every trajectory of a vocabulary judged at one moment, as scoring planners learn it.

As SimScale has it (`pdm_score_full_v2`): others do not react. At a decision point of a log they replay it, and nobody
is blamed for what the human failed as well. From the perturbed state of a sample they do what they did beside the
expert's answer, so there are as many rewards of a sample as accepted answers, and there is nobody to forgive.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from simscale.dataset.moment import HUMAN, accepted_labels
from simscale.dynamics import simulate
from simscale.evaluate.judge import log_replay
from simscale.evaluate.splits import logged_start, start_of
from simscale.evaluate.starts import Start, human_plan
from simscale.generate.answering import HISTORY
from simscale.generate.place import centre_line_of, token_name
from simscale.generate.records import tracks_beside
from simscale.generate.sample import HORIZON, Sample, tracks_during
from simscale.scene import CarState, Plan, Scene, Tracks
from simscale.scoring.epdms import score
from simscale.scoring.rules import PARITY
from simscale.scoring.scores import Scores
from simscale.scoring.vocabulary import VocabularyScores, score_vocabulary

Array = np.ndarray

SAMPLES = HORIZON + 1
"""Instants of a drive that is judged."""


@dataclass(frozen=True, kw_only=True)
class Rewarded:
    """The scores of a vocabulary at one moment."""

    token: str  # of the moment
    driver: str  # who drove the moment's future, beside whom the others did what they do
    scores: VocabularyScores  # before any filter
    human: Scores | None  # [1], of the human's own drive; None where there is none


def rewarded_log(scene: Scene, instant: int, plans: Plan, *, line: Float[Array, "n 2"] | None = None) -> Rewarded:
    """Scores plans at a decision point of a log.

    Args:
        scene: With 1.5 s of log before the instant and 4 s after.
        instant: Of the scene's grid.
        plans: Of the vocabulary, [n 40], in the ego frame.
        line: Centre line of the scene's route, where it is at hand.
    """
    start = logged_start(scene, centre_line_of(scene) if line is None else line, instant)
    human = _driven(human_plan(start), start)
    traffic, state = log_replay()(start)
    tracks = tracks_beside(traffic.roll(state, human), 0)
    verdict = score(human, tracks, start.place.around, vehicle=scene.vehicle, history=None, rules=PARITY)
    return Rewarded(
        token=token_name(scene.id, instant), driver=HUMAN, scores=_scored(start, tracks, plans), human=verdict
    )


def rewarded_sample(
    scene: Scene, sample: Sample, plans: Plan, *, line: Float[Array, "n 2"] | None = None
) -> Iterator[Rewarded]:
    """Scores plans from a sample's perturbed state, once beside each accepted answer.

    Args:
        scene: That the sample came from.
        sample: Of `simscale generate`.
        plans: Of the vocabulary, [n 40], in the ego frame.
        line: Centre line of the scene's route, where it is at hand.
    """
    scene = replace(scene, vehicle=sample.vehicle)
    line = centre_line_of(scene) if line is None else line
    for label in accepted_labels(sample):
        beside = tracks_during(scene, label.agents, t0=sample.t0 + HORIZON).at(0, SAMPLES)
        start = start_of(
            scene,
            line,
            sample.t0 + HORIZON,
            token=f"{sample.token}-{label.name}",
            ego=sample.state,
            history=sample.ego[HORIZON - HISTORY : HORIZON],
            tracks=beside.at(0, 1),
        )
        yield Rewarded(token=start.token, driver=label.name, scores=_scored(start, beside, plans), human=None)


def _scored(start: Start, tracks: Tracks, plans: Plan) -> VocabularyScores:
    return score_vocabulary(
        plans,
        start.ego,
        tracks,
        start.place.around,
        expert=_driven(start.expert, start)[0],
        vehicle=start.scene.vehicle,
        history=start.history,
        rules=PARITY,
    )


def _driven(plan: Plan, start: Start) -> CarState:
    one = Plan(xy=plan.xy[None], yaw=plan.yaw[None], dt=plan.dt)
    return simulate(one, start.ego, vehicle=start.scene.vehicle, steps=HORIZON)
