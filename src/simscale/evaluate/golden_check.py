"""A golden folder checked: what we make of its raw content against what the official code made of it.

Nothing but raw content goes in (log, map, route, trajectories). Whatever result is there is compared; what is absent is
neither compared nor needed.

The fast kernels may break a tie otherwise than the reference's tree of polygons: where they differ, the exact twins are
asked, and a scene in which ties are known is forgiven what the twins get right.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from simscale.evaluate.comparison import Agreement, Comparison, agreements
from simscale.evaluate.golden_drives import comfort_comparisons, drive_comparisons, traffic_comparisons
from simscale.evaluate.golden_inputs import input_comparisons
from simscale.evaluate.golden_planner import overlaps_several, planner_comparisons
from simscale.evaluate.golden_runs import run_comparisons
from simscale.evaluate.golden_scores import judged, score_comparisons
from simscale.evaluate.golden_vocabulary import vocabulary_comparisons
from simscale.evaluate.navsim_start import (
    NavsimStart,
    driven,
    expert_drive,
    navsim_start,
    pdm_closed,
    reacting,
    replayed,
)
from simscale.ingest.golden import (
    SCENES,
    GoldenScene,
    golden_runs,
    golden_scenes,
    golden_vocabularies,
    read_golden_run,
    read_golden_scene,
    read_golden_vocabulary,
)
from simscale.scene import BadInput

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One file's comparisons."""

    name: str
    comparisons: tuple[Comparison, ...]
    ties: tuple[str, ...] = ()  # quantities that ties explain: the exact twins agree on them

    @property
    def faults(self) -> tuple[Comparison, ...]:
        """Disagreements that nothing explains."""
        return tuple(one for one in self.comparisons if not one.agrees and one.quantity not in self.ties)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A whole folder."""

    agreements: dict[str, Agreement]  # by quantity
    ties: tuple[str, ...]  # file and quantity
    faults: tuple[str, ...]  # a sentence each

    @property
    def total(self) -> Agreement:
        """All quantities together; the worst difference is in whatever unit it has."""
        return sum(self.agreements.values(), Agreement())


def golden_files(folder: Path) -> list[Path]:
    """What there is to check: scenes, vocabularies, runs.

    Raises:
        BadInput: There are no scenes, half a pair is missing, or a vocabulary has no scene.
    """
    scenes, vocabularies = golden_scenes(folder), golden_vocabularies(folder)
    known = {scene.name for scene in scenes}
    for path in vocabularies:
        if path.stem not in known:
            raise BadInput(path, "scene", "missing", f"{path.stem} in {SCENES}")
    return [*scenes, *vocabularies, *golden_runs(folder)]


def checked(folder: Path, path: Path, *, exact: bool) -> Checked:
    """One of the `golden_files` of a folder.

    Args:
        folder: The golden folder.
        path: The file.
        exact: Ask the geometry library everything, where fast kernels could break ties otherwise.

    Raises:
        BadInput: The file is damaged.
    """
    if path.parent.name == SCENES:
        return _checked_scene(read_golden_scene(path), exact=exact)
    if path.suffix == ".npz":
        return _checked_vocabulary(folder, path, exact=exact)
    return Checked(name=path.name, comparisons=tuple(run_comparisons(read_golden_run(path))))


def verdict_of(parts: list[Checked]) -> Verdict:
    """Everything together."""
    return Verdict(
        agreements=agreements(one for part in parts for one in part.comparisons),
        ties=tuple(f"{part.name}: {quantity}" for part in parts for quantity in part.ties),
        faults=tuple(f"{part.name}: {one.sentence}" for part in parts for one in part.faults),
    )


def start_of_golden(golden: GoldenScene) -> NavsimStart:
    """The token of a golden scene, from its raw content."""
    return navsim_start(golden.frames, golden.road, golden.logged_blocks, vehicle=golden.vehicle)


def _checked_scene(golden: GoldenScene, *, exact: bool) -> Checked:
    start = start_of_golden(golden)
    compare = partial(_scene_comparisons, golden, start)
    ties = bool(golden.npz.get("r_tie", np.zeros(1)).any())
    return _forgiving(golden.name, compare, lambda: ties or _planner_has_ties(start), exact=exact)


def _checked_vocabulary(folder: Path, path: Path, *, exact: bool) -> Checked:
    golden, arrays = read_golden_scene(folder / SCENES / path.stem), read_golden_vocabulary(path)
    start = start_of_golden(golden)

    def compare(*, exact: bool) -> Iterator[Comparison]:
        expert = expert_drive(start, pdm_closed(start, exact=exact))
        return vocabulary_comparisons(arrays, golden, start, expert)

    return _forgiving(f"{path.parent.name}/{path.stem}", compare, lambda: _planner_has_ties(start), exact=exact)


def _forgiving(
    name: str, compare: Callable[..., Iterator[Comparison]], has_ties: Callable[[], bool], *, exact: bool
) -> Checked:
    """Compares; where there are ties, what the fast kernels get wrong and the exact twins right is no fault."""
    found = tuple(compare(exact=exact))
    wrong = dict.fromkeys(one.quantity for one in found if not one.agrees)
    if not wrong or exact or not has_ties():
        return Checked(name=name, comparisons=found)
    twin = tuple(compare(exact=True))
    still = {one.quantity for one in twin if not one.agrees}
    right = {one.quantity for one in twin} - still
    return Checked(name=name, comparisons=found, ties=tuple(quantity for quantity in wrong if quantity in right))


def _planner_has_ties(start: NavsimStart) -> bool:
    """Whether several objects overlap one of the planner's proposals."""
    return overlaps_several(start, pdm_closed(start, exact=True))


def _scene_comparisons(golden: GoldenScene, start: NavsimStart, *, exact: bool) -> Iterator[Comparison]:
    planned = pdm_closed(start, exact=exact)
    expert = expert_drive(start, planned)
    yield from input_comparisons(golden, start)
    yield from planner_comparisons(golden, start, planned)
    log, plan, z = replayed(start), golden.plans(), golden.npz
    ego = driven(start, plan)
    yield from drive_comparisons(golden, start, plan, ego, "nr")
    yield from score_comparisons(z, judged(start, ego, expert, lambda _: log), start, "nr")
    yield from comfort_comparisons(golden, start, ego)
    if "traj10_poses" in z:
        plan = golden.plans("traj10_poses", 0.1)
        fine = driven(start, plan)
        yield from drive_comparisons(golden, start, plan, fine, "nr10")
        yield from score_comparisons(z, judged(start, fine, expert, lambda _: log), start, "nr10")
    if "r_index" in z:
        beside = judged(start, ego[z["r_index"]], expert, partial(reacting, start, exact=exact))
        yield from traffic_comparisons(golden, beside.tracks)
        yield from score_comparisons(z, beside, start, "r")
