"""Moment: what is to be seen, and what is to be driven, at one instant of a scene; no image and no planner yet.

There are two kinds. A logged moment is a decision point of a log: the human's state, everybody where the log has them,
and the human's next 4 s. A simulated moment is the perturbed state of a sample: the ego where no log has it, the
traffic as it reacted, and the next 4 s that an expert drove from there. Whoever makes images or targets of them does
not ask which.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from simscale.dataset.command import status_of
from simscale.generate.place import token_name
from simscale.generate.sample import HORIZON, ExpertLabel, Sample, tracks_during
from simscale.geometry.se2 import to_child
from simscale.scene import CarState, Scene, Tracks

Array = np.ndarray

HUMAN = "human"
"""Who drove the future of a logged moment; experts have the names that generation gives them."""
POSES = 8
"""Of a future."""
STEPS_A_POSE = 5
"""Grid steps between two of them: 0.5 s."""
HISTORY = 15
"""Grid steps of log that a logged moment needs before it: 1.5 s."""
FUTURE = POSES * STEPS_A_POSE
"""And after it: 4 s."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """One instant of a scene, with the future that a planner shall learn."""

    token: str  # unique within a dataset
    image: str  # names what is seen: moments that differ in their future alone share it
    log: str  # id of the scene
    instant: int  # grid instant, for the lights
    expert: str  # who drove the future
    round: int  # of the sample; 0 for a logged moment
    is_sim: bool
    state: CarState  # the ego, []
    tracks: Tracks  # everybody else, [a 1]
    trajectory: Float32[Array, "8 3"]  # x, y, heading at 0.5 to 4 s in the ego frame
    status: Float32[Array, "8"]  # command, velocity, acceleration


def logged_instants(scene: Scene) -> range:
    """Decision points of a log: every 0.5 s where it has 1.5 s before and 4 s after."""
    return range(HISTORY, len(scene) - FUTURE, STEPS_A_POSE)


def logged_moment(scene: Scene, instant: int) -> Moment:
    """A decision point of a log, with what the human did."""
    assert HISTORY <= instant < len(scene) - FUTURE, f"{scene.id} has no decision point at {instant}"
    state, token = scene.ego[instant], token_name(scene.id, instant)
    return Moment(
        token=token,
        image=token,
        log=scene.id,
        instant=instant,
        expert=HUMAN,
        round=0,
        is_sim=False,
        state=state,
        tracks=scene.tracks.at(instant, instant + 1),
        trajectory=_future(scene.ego[instant : instant + FUTURE + 1]),
        status=status_of(scene, state),
    )


def simulated_moments(scene: Scene, sample: Sample) -> Iterator[Moment]:
    """The perturbed state of a sample, once for each expert whose answer was accepted."""
    status = status_of(scene, sample.state)
    tracks = tracks_during(scene, sample.agents, t0=sample.t0).at(HORIZON, HORIZON + 1)
    for label in accepted_labels(sample):
        yield Moment(
            token=f"{sample.token}-{label.name}",
            image=sample.token,
            log=sample.log,
            instant=sample.t0 + HORIZON,
            expert=label.name,
            round=sample.round,
            is_sim=True,
            state=sample.state,
            tracks=tracks,
            trajectory=_future(label.ego[: FUTURE + 1]),
            status=status,
        )


def accepted_labels(sample: Sample) -> list[ExpertLabel]:
    """The answers that one would copy."""
    return [label for label in sample.experts if label.accepted]


def _future(ego: CarState) -> Float32[Array, "8 3"]:
    """Every fifth of the states after the first, in the frame of the first."""
    here, later = ego[0], ego[STEPS_A_POSE::STEPS_A_POSE]
    xy, yaw = to_child(later.xy, later.yaw, frame_xy=here.xy, frame_yaw=float(here.yaw))
    return np.concatenate([xy, yaw[:, None]], axis=-1).astype(np.float32)
