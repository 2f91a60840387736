"""The two splits of the town, made from seeds: streets that nobody trained on.

`towntest`: instants of logs, in pairs half a second apart, scored while the log replays (as navtest).
`townhard`: groups as in navhard (scoring.md 7.2): an instant, the one half a second before it, and states around where
drives from them end, each again with its own state half a second before it. All traffic reacts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from simscale.evaluate.aggregate import Group
from simscale.evaluate.laws import HISTORY, LAWS, Departure, Origin
from simscale.evaluate.seeds import TEST_SEEDS
from simscale.evaluate.starts import Split, Start, logged_history, logged_state
from simscale.experts import PARITY, plan_pdm_closed
from simscale.generate.place import centre_line_of, place_of, token_name
from simscale.generate.records import tracks_beside
from simscale.generate.sample import HORIZON
from simscale.perturb.vocabulary import Vocabulary
from simscale.scene import CarState, Plan, Scene, Tracks
from simscale.traffic.policy import policy_of
from simscale.traffic.rollout import TrafficState
from simscale.traffic.rules import TrafficRules

Array = np.ndarray

FIRST = 20
"""Earliest instant of a token: it has 2 s of log before it."""
BEFORE = 5
"""Steps from `prev` to `now`."""


@dataclass(frozen=True, kw_only=True)
class SplitSize:
    """How much of a split is made."""

    towns: int  # of `TEST_SEEDS`, the first so many
    drives: int  # in each
    spacing: float  # between two groups or pairs of tokens of a drive, s
    pairs: int = 0  # second-stage starts of a group, for each law
    town_size: float = 400.0  # m


SPLITS: dict[str, dict[str, SplitSize]] = {
    "towntest": {
        "tiny": SplitSize(towns=2, drives=3, spacing=4.0),
        "quick": SplitSize(towns=4, drives=6, spacing=2.0),
        "default": SplitSize(towns=8, drives=6, spacing=1.0),
        "full": SplitSize(towns=16, drives=6, spacing=1.0),
    },
    "townhard": {
        "tiny": SplitSize(towns=2, drives=3, spacing=6.0, pairs=2),
        "quick": SplitSize(towns=4, drives=6, spacing=4.0, pairs=4),
        "default": SplitSize(towns=8, drives=6, spacing=3.0, pairs=5),
        "full": SplitSize(towns=16, drives=6, spacing=2.0, pairs=6),
    },
}
"""Tokens from quick on: towntest 336, 1,344, 2,688; townhard about 1.3, 3 and 12 thousand."""


def seeds_of(size: SplitSize) -> tuple[int, ...]:
    """Towns that a split of this size lies in."""
    assert size.towns <= len(TEST_SEEDS), f"{size.towns} towns of {len(TEST_SEEDS)}"
    return TEST_SEEDS[: size.towns]


def towntest_of(
    scenes: tuple[Scene, ...],
    size: SplitSize,
    *,
    label: str = "own",
    on_done: Callable[[int], None] = lambda scenes: None,
) -> Split:
    """Logged starts in pairs, half a second apart.

    Args:
        scenes: Drives of 7 s and more.
        size: How many pairs.
        label: What the size is called.
        on_done: Told after each scene.
    """
    starts: list[Start] = []
    drive, pairs = [], []
    for number, scene in enumerate(scenes):
        line = centre_line_of(scene)
        for now in _instants(scene, size, last=len(scene) - 1 - HORIZON):
            starts += [logged_start(scene, line, t) for t in (now - BEFORE, now)]
            pairs.append((len(starts) - 1, len(starts) - 2))
            drive += [number, number]
        on_done(1)
    return Split(
        name="towntest",
        size=label,
        scenes=scenes,
        starts=tuple(starts),
        drive=np.array(drive, dtype=np.int64),
        groups=(),
        pairs=np.array(pairs, dtype=np.int64).reshape(-1, 2),
    )


def townhard_of(
    scenes: tuple[Scene, ...],
    size: SplitSize,
    vocabulary: Vocabulary,
    *,
    label: str = "own",
    on_done: Callable[[int], None] = lambda scenes: None,
) -> Split:
    """Groups of two stages; a group for which no second-stage start is found is left out.

    Args:
        scenes: Drives of 16 s and more.
        size: How many groups and starts.
        vocabulary: The generator's law draws from it.
        label: What the size is called.
        on_done: Told after each scene.
    """
    starts: list[Start] = []
    drive: list[int] = []
    groups: list[Group] = []
    for number, scene in enumerate(scenes):
        for chains in _chains(scene, size, vocabulary):
            first = len(starts)
            starts += [start for pair in chains for start in pair]
            index = first + np.arange(2 * len(chains)).reshape(-1, 2)
            groups.append(Group(now=int(index[0, 0]), prev=int(index[0, 1]), pairs=index[1:]))
        drive += [number] * (len(starts) - len(drive))
        on_done(1)
    first_stage = np.array([(g.now, g.prev) for g in groups], dtype=np.int64).reshape(-1, 2)
    return Split(
        name="townhard",
        size=label,
        scenes=scenes,
        starts=tuple(starts),
        drive=np.array(drive, dtype=np.int64),
        groups=tuple(groups),
        pairs=np.concatenate([first_stage, *(g.pairs for g in groups)]),
    )


def _instants(scene: Scene, size: SplitSize, *, last: int) -> range:
    return range(FIRST + BEFORE, last + 1, round(size.spacing / scene.dt))


def _chains(scene: Scene, size: SplitSize, vocabulary: Vocabulary) -> Iterator[list[tuple[Start, Start]]]:
    """For each group (now, prev) of the first stage, then those of the second."""
    line = centre_line_of(scene)
    traffic_at = policy_of("idm", scene, rules=TrafficRules())
    for now in _instants(scene, size, last=len(scene) - 1 - 2 * HORIZON):
        traffic = traffic_at(now, vehicle=scene.vehicle)
        origin = Origin(scene=scene, line=line, instant=now, traffic=traffic, vocabulary=vocabulary)
        departures = [(law, drive) for law, drawn in LAWS.items() for drive in drawn(origin, size.pairs)]
        if not departures:
            continue
        chains = [(logged_start(scene, line, now), logged_start(scene, line, now - BEFORE))]
        for number, (law, drive) in enumerate(departures):
            name = f"{token_name(scene.id, now)}-{law}{number:02d}"
            late, early = (
                departed_start(origin, drive, step, law=law, token=f"{name}{suffix}")
                for step, suffix in ((HORIZON, ""), (HORIZON - BEFORE, "-prev"))
            )
            chains.append((late, early))
        yield chains


def logged_start(scene: Scene, line: Array, instant: int) -> Start:
    """A start of the first stage."""
    return start_of(
        scene,
        line,
        instant,
        token=token_name(scene.id, instant),
        ego=logged_state(scene.ego[instant]),
        history=logged_history(scene, instant),
        tracks=scene.tracks.at(instant, instant + 1),
    )


def departed_start(origin: Origin, drive: Departure, step: int, *, law: str, token: str) -> Start:
    """A start of the second stage: a departure after so many steps, with its own past (ours: also its steering)."""
    return start_of(
        origin.scene,
        origin.line,
        origin.instant + step,
        token=token,
        ego=drive.ego[step],
        history=drive.ego[step - HISTORY : step],
        tracks=tracks_beside(drive.rollout, drive.index).at(step, step + 1),
        law=law,
        anchor=origin.instant,
        traffic_state=drive.rollout.state_at(drive.index, step),
    )


def start_of(
    scene: Scene,
    line: Array,
    instant: int,
    *,
    token: str,
    ego: CarState,
    history: CarState,
    tracks: Tracks,
    law: str = "",
    anchor: int | None = None,
    traffic_state: TrafficState | None = None,
) -> Start:
    """A start from any state, with PDM-Closed's plan from there; see `Start`."""
    place = place_of(scene, instant, centre_line=line)
    ranked = plan_pdm_closed(
        ego,
        history,
        tracks,
        place.around,
        vehicle=scene.vehicle,
        centre_line=line,
        speed_limit=place.speed_limit,
        rules=PARITY,
    )
    best = int(ranked.order[0])
    return Start(
        token=token,
        scene=scene,
        line=line,
        instant=instant,
        stage=2 if law else 1,
        law=law,
        ego=ego,
        history=history,
        tracks=tracks,
        anchor=instant if anchor is None else anchor,
        traffic_state=traffic_state,
        expert=Plan(xy=ranked.plans.xy[best], yaw=ranked.plans.yaw[best], dt=ranked.plans.dt),
    )
