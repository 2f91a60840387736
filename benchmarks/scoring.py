"""How fast one core scores: single plans, whole vocabularies, the planner and the traffic of NAVSIM's score.

    python benchmarks/scoring.py ../shared/golden/scoring --vocabulary ../shared/navsim/trajectory_vocabulary_8192.npy

CPU seconds of one core, the best of several tries, averaged over scenes, and beside them the ratio to a fixed loop
of arithmetic that is measured in the same run: seconds differ between machines, ratios little. Without a folder a
small town's own decision points are scored. Compilation is measured in fresh processes, without and with a cache; so
is the memory that 16,384 trajectories need.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is imported: one core

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, no_type_check

import numpy as np
import tyro
from numba import njit

from simscale.dataset.vocabulary import read_trajectories
from simscale.evaluate.navsim_start import NavsimStart, driven, navsim_start, reacting, replayed
from simscale.evaluate.protocol import Protocol
from simscale.evaluate.scene_start import scene_start
from simscale.evaluate.verdicts import expert_of, verdict_on
from simscale.ingest.golden import golden_scenes, read_golden_scene
from simscale.scene import DT, CarState, Plan
from simscale.scoring.vocabulary import VocabularyScores, score_vocabulary
from simscale.town import TownSettings, town_scenes

REPLAY, REACTIVE = Protocol(), Protocol(traffic="reactive")
TOWN = TownSettings(size=270.0, drives=1, duration=13.9)
GOALS = {
    "8,192 trajectories": 600.0,
    "16,384 trajectories": 1300.0,
    "one score, log replay": 2.0,
    "one score, reactive": 15.0,
    "PDM-Closed, a plan": 8.0,
    "IDM, a rollout": 6.0,
}
"""CPU milliseconds on one core."""


@dataclass(frozen=True)
class Options:
    """What to measure."""

    golden: tyro.conf.Positional[Path | None] = None
    """A folder of golden vectors of the official scorer."""
    vocabulary: Path | None = None
    """An .npy of trajectories; the package's own where not said."""
    scenes: tuple[int, ...] = (0, 2, 13, 27)
    """Of the golden folder."""
    repeats: int = 5
    only: Literal["all", "first", "memory"] = "all"
    """`first` and `memory` are what child processes measure."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A token, what PDM-Closed does there, and plans to be scored."""

    start: NavsimStart
    expert: CarState
    poses: np.ndarray  # [16384 40 3]

    @property
    def one(self) -> Plan:
        """The human's plan, which gets through the whole of its horizon."""
        return Plan(xy=self.start.human.xy[0], yaw=self.start.human.yaw[0], dt=self.start.human.dt)

    def scored(self, count: int) -> VocabularyScores:
        """The first plans of the vocabulary."""
        poses, start = self.poses[:count], self.start
        return score_vocabulary(
            Plan(xy=poses[..., :2], yaw=poses[..., 2], dt=DT),
            start.ego,
            replayed(start),
            start.around,
            expert=self.expert,
            vehicle=start.vehicle,
            history=start.history,
            start_time_us=start.time_us,
        )


def main() -> None:
    options = tyro.cli(Options)
    if options.only != "all":
        child(options)
        return
    cases = cases_of(options)
    loop = best(lambda: micro_kernel(1_000_000), options.repeats)
    print(f"fixed loop of arithmetic: {loop * 1e3:.2f} ms of CPU")
    print(f"{'':28s}{'ms':>9s}{'worst':>9s}{'x loop':>9s}{'goal':>9s}")
    for name, goal in GOALS.items():
        took = [best(work(case)[name], options.repeats) for case in cases]
        mean, worst = np.mean(took) * 1e3, np.max(took) * 1e3
        print(f"{name:28s}{mean:9.2f}{worst:9.2f}{mean / 1e3 / loop:9.2f}{goal:9.1f}")
    with tempfile.TemporaryDirectory() as cache:
        for name in ("cold", "warm"):
            print(f"first of each, cache {name}: {told(options, 'first', cache)['cpu_s']:.2f} s of CPU (warm goal: 1)")
        print(f"memory of a process that scores 16,384: {told(options, 'memory', cache)['peak_mb']:.0f} MB (goal: 400)")


def work(case: Case) -> dict[str, Callable[[], object]]:
    """What is measured, by its name in `GOALS`."""
    start = case.start
    ego = driven(start, start.human)
    return {
        "8,192 trajectories": lambda: case.scored(8192),
        "16,384 trajectories": lambda: case.scored(16384),
        "one score, log replay": lambda: verdict_on(case.one, start, case.expert, REPLAY, with_human=True),
        "one score, reactive": lambda: verdict_on(case.one, start, case.expert, REACTIVE, with_human=True),
        "PDM-Closed, a plan": lambda: expert_of(start, REPLAY),
        "IDM, a rollout": lambda: reacting(start, ego),
    }


def cases_of(options: Options) -> list[Case]:
    poses = vocabulary_of(options)
    return [Case(start=start, expert=expert_of(start, REPLAY)[0], poses=poses) for start in starts_of(options)]


def starts_of(options: Options) -> list[NavsimStart]:
    if options.golden is None:
        scene = next(iter(town_scenes(5, settings=TOWN)))
        return [scene_start(scene, instant) for instant in (20, 35, 50)]
    stems = golden_scenes(options.golden)
    scenes = [read_golden_scene(stems[number]) for number in options.scenes]
    return [navsim_start(s.frames, s.road, s.logged_blocks, vehicle=s.vehicle) for s in scenes]


def vocabulary_of(options: Options) -> np.ndarray:
    """16,384 trajectories: those of the file, then the same ones a little shorter, and so on."""
    poses = read_trajectories(options.vocabulary).poses
    copies = -(-16384 // len(poses))
    shorter = [poses * np.array([0.98**n, 0.98**n, 1.0], poses.dtype) for n in range(copies)]
    return np.concatenate(shorter)[:16384]


@njit(cache=True)
@no_type_check
def micro_kernel(count):
    """Additions, products, a square root and a branch, each waiting for the one before it."""
    value, total = 0.5, 0.0
    for _ in range(count):
        value = 3.7 * value * (1.0 - value)
        total += np.sqrt(value) if value > 0.5 else value
    return total


def best(task: Callable[[], object], repeats: int) -> float:
    """CPU seconds of the fastest of several tries."""
    task()  # compiles
    took = []
    for _ in range(repeats):
        begun = time.process_time()
        task()
        took.append(time.process_time() - begun)
    return min(took)


def child(options: Options) -> None:
    """Does one thing in a process of its own, and tells what it took."""
    if options.only == "memory":
        cases_of(options)[0].scored(16384)
        print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    begun = time.process_time()
    for task in work(cases_of(options)[0]).values():
        task()
    first = time.process_time() - begun
    again = time.process_time()
    for task in work(cases_of(options)[0]).values():
        task()
    print(json.dumps({"cpu_s": first - (time.process_time() - again)}))


def told(options: Options, only: str, cache: str) -> dict[str, float]:
    """What a child process says."""
    folder = [str(options.golden)] if options.golden else []
    vocabulary = ["--vocabulary", str(options.vocabulary)] if options.vocabulary else []
    command = [sys.executable, __file__, *folder, *vocabulary, "--only", only]
    done = subprocess.run(command, env=os.environ | {"NUMBA_CACHE_DIR": cache}, capture_output=True, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
