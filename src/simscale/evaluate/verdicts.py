"""The verdict on one plan at one token, in parity mode: driven, judged, and excused where the human failed as well.

PDM-Closed drives in the traffic that reacts to the judged plan, invisible, as the measure of progress. The human drives
in traffic of its own.
"""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from simscale.evaluate.navsim_start import NavsimStart, driven, expert_drive, pdm_closed, reacting, replayed
from simscale.evaluate.protocol import PDMS_V1, Protocol
from simscale.experts.pdm_closed import RankedProposals, plan_pdm_closed
from simscale.experts.rules import PARITY as PDM_PARITY
from simscale.geometry.se2 import to_parent
from simscale.scene import CarState, Plan, Tracks
from simscale.scoring.epdms import score
from simscale.scoring.human_filter import SUB_SCORES, human_filtered, human_filtered_legacy
from simscale.scoring.pdms import SAMPLES as PDMS_SAMPLES
from simscale.scoring.pdms import SUB_SCORES as PDMS_SUB_SCORES
from simscale.scoring.pdms import drive_comfort, masked_progress, pdms, pdms_total
from simscale.scoring.rules import PARITY
from simscale.scoring.scores import Scores

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What becomes of one plan."""

    shown: Float[Array, " c"]  # sub-scores as tables show them, in the order of the score's own `SUB_SCORES`
    counted: Float[Array, " c"]  # as the score counts them: others under the legacy human filter alone
    ego: CarState  # as driven, [41]
    end_xy: Float[Array, "2"]  # of the plan, not of the drive; m


def samples_of(protocol: Protocol) -> int:
    """How many samples of the others a protocol looks at."""
    return PDMS_SAMPLES if protocol.score == PDMS_V1 else PARITY.samples


def verdict_on(plan: Plan, start: NavsimStart, expert: CarState, protocol: Protocol, *, with_human: bool) -> Verdict:
    """Judges a plan `[t]`.

    Args:
        plan: In the ego's frame.
        start: The token.
        expert: PDM-Closed's drive there, see `expert_of`.
        protocol: How.
        with_human: Whether the human filter applies, as it does in first stages.
    """
    one = Plan(xy=plan.xy[None].astype(np.float64), yaw=plan.yaw[None].astype(np.float64), dt=plan.dt)
    ego = driven(start, one)
    both = CarState.unpacked(np.concatenate([expert.packed()[None], ego.packed()]))
    end, _ = to_parent(one.xy[0, -1:], one.yaw[0, -1:], frame_xy=start.ego.xy, frame_yaw=float(start.ego.yaw))
    if protocol.score == PDMS_V1:
        found = pdms(both, start.log, start.around, vehicle=start.vehicle)
        shown = counted = np.array([float(getattr(found, name)[1]) for name in PDMS_SUB_SCORES])
    else:
        shown, counted = _epdms(both, start, protocol, with_human=with_human)
    return Verdict(shown=shown, counted=counted, ego=ego[0], end_xy=end[0])


def expert_of(start: NavsimStart, protocol: Protocol) -> tuple[CarState, Plan]:
    """PDM-Closed's drive `[41]`, against which progress is measured, and its plan `[t]`."""
    if protocol.score != PDMS_V1:
        planned = pdm_closed(start, exact=protocol.exact)
        best = int(planned.order[0])
    else:
        planned, best = _pdm_closed_of_v1(start, exact=protocol.exact)
    plan = Plan(xy=planned.plans.xy[best], yaw=planned.plans.yaw[best], dt=planned.plans.dt)
    return expert_drive(start, planned), plan


def _epdms(
    both: CarState, start: NavsimStart, protocol: Protocol, *, with_human: bool
) -> tuple[Float[Array, "8"], Float[Array, "8"]]:
    """Sub-scores of the second drive as they are shown, and as they count."""
    tracks = _others(start, both[1:], protocol)
    scores = score(both, tracks, start.around, vehicle=start.vehicle, history=start.history, rules=PARITY)
    if not with_human or protocol.human_filter == "none":
        return _row(scores, 1), _row(scores, 1)
    drive = driven(start, start.human)
    around = _others(start, drive, protocol)
    human = score(drive, around, start.around, vehicle=start.vehicle, history=None, rules=PARITY)
    if protocol.human_filter == "legacy":
        return _row(human_filtered_legacy(scores, human), 1), _row(scores, 1)
    fixed = _row(human_filtered(scores, human, PARITY), 1)
    return fixed, fixed


def _others(start: NavsimStart, ego: CarState, protocol: Protocol) -> Tracks:
    """Everybody `[a 41]` beside the one drive of `ego [1 41]`."""
    if protocol.traffic == "log-replay":
        return replayed(start)
    moved = reacting(start, ego, exact=protocol.exact)
    names = ("xy", "z", "yaw", "velocity", "size", "kind", "valid")
    return replace(moved, **{name: getattr(moved, name)[0] for name in names})


def _row(scores: Scores, n: int) -> Float[Array, "8"]:
    return np.array([float(getattr(scores, name)[n]) for name in SUB_SCORES])


def _pdm_closed_of_v1(start: NavsimStart, *, exact: bool) -> tuple[RankedProposals, int]:
    """The planner with v1's score for its own proposals, which counts comfort and sees time-to-collision to the end."""
    planned = plan_pdm_closed(
        start.ego,
        start.history,
        start.current,
        start.around,
        vehicle=start.vehicle,
        centre_line=start.centre_line,
        speed_limit=start.speed_limit,
        rules=replace(PDM_PARITY, seconds_beyond=(PDMS_SAMPLES - PARITY.samples) * 0.1),
        exact=exact,
    )
    scores = planned.scores
    multiplier = scores.no_at_fault_collision * scores.drivable_area
    progress, comfort = masked_progress(scores.progress_m, multiplier), drive_comfort(planned.rollouts)
    best = int(np.argmax(pdms_total(multiplier, progress, scores.time_to_collision, comfort)))
    if best == int(planned.order[0]):
        return planned, best
    xy, yaw = to_parent(
        planned.plans.xy[best], planned.plans.yaw[best], frame_xy=start.ego.xy, frame_yaw=float(start.ego.yaw)
    )
    first = np.append(planned.start_xy[best], planned.start_yaw[best])
    return replace(planned, drive=np.concatenate([first[None], np.column_stack([xy, yaw])])), best
