"""Whether a car can still be saved: second stages start where driving well makes a difference.

A state may touch nobody and be on the road, and yet be lost half a second later, its momentum leading off the road.
Nobody could tell agents apart there. So a start counts if one of the sound planner's best proposals, driven in the
traffic that reacts to it, keeps all four multipliers (ours; one in twelve of the generator's states fails).
"""

from simscale.experts import SOUND, plan_pdm_closed
from simscale.generate.place import Place
from simscale.scene import CarState, EgoVehicle, Tracks
from simscale.scoring.epdms import score
from simscale.scoring.rules import PARITY
from simscale.traffic.rollout import Traffic, TrafficState

FULL = 1.0
TRIED = 5
"""Of the planner's proposals, the best by its own forecast, as in generation."""


def can_be_saved(
    ego: CarState,
    history: CarState,
    tracks: Tracks,
    place: Place,
    *,
    traffic: Traffic,
    state: TrafficState,
    vehicle: EgoVehicle,
) -> bool:
    """Whether a good driver has a way on from here.

    Args:
        ego: The car, [].
        history: Before that, [h].
        tracks: Everybody now, [a 1].
        place: Road, route and lights now.
        traffic: Who drives around.
        state: Where they are now.
        vehicle: The ego's dimensions.
    """
    ways = plan_pdm_closed(
        ego,
        history,
        tracks,
        place.around,
        vehicle=vehicle,
        centre_line=place.centre_line,
        speed_limit=place.speed_limit,
        rules=SOUND,
    )
    best = ways.rollouts[ways.order[:TRIED]]
    beside = traffic.roll(state, best).tracks
    scores = score(best, beside, place.around, vehicle=vehicle, history=history, rules=PARITY)
    return bool((scores.multiplier == FULL).any())
