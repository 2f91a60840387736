"""One unit of a scoring run: some tokens of one scene, judged, as one small file.

A token that cannot be scored is written down with the reason and the others go on; so is a scene that cannot be read.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from simscale.dataset.files import WrittenFile, write_new
from simscale.engine.units import Finished, Unit
from simscale.evaluate.navsim_start import NavsimStart
from simscale.evaluate.plans import Plans, read_plans
from simscale.evaluate.protocol import PDMS_V1, Protocol
from simscale.evaluate.scene_start import scene_start
from simscale.evaluate.starts import POSE_STEPS, POSES
from simscale.evaluate.verdicts import Verdict, expert_of, samples_of, verdict_on
from simscale.scene import DT, BadInput, CarState, Plan, Scene
from simscale.scene.file import SUFFIX, read_scene
from simscale.scoring.human_filter import SUB_SCORES
from simscale.scoring.pdms import SUB_SCORES as PDMS_SUB_SCORES

Array = np.ndarray

FOLDER = "parts"
"""Where the files of units lie."""
DRIVERS = ("human", "pdm-closed", "constant-velocity", "stand-still")
"""Who can be scored without a file of plans."""
SAMPLES = 41


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is to be scored; it crosses to worker processes."""

    scenes: dict[str, Path]  # scene files by id
    plans: Path | None  # a file of plans ...
    driver: str  # ... or one of DRIVERS
    protocol: Protocol
    second: frozenset[str]  # tokens of the second stage


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Tokens with their verdicts; NaN where not scored. Positions are in the source's map, m."""

    token: tuple[str, ...]
    log: tuple[str, ...]  # scene of each; empty where its name says none
    reason: tuple[str, ...]  # why a token is not scored; empty where it is
    shown: Float[Array, "n c"]
    counted: Float[Array, "n c"]
    ego: Float[Array, "n 41 11"]  # packed states as driven, in the scene's frame
    start_xy: Float[Array, "n 2"]
    end_xy: Float[Array, "n 2"]
    time_us: Int[Array, " n"]


def token_of(name: str) -> tuple[str, int] | None:
    """Scene and instant that a token names; None where it names none."""
    scene, mark, instant = name.rpartition("-t")
    return (scene, int(instant)) if mark and scene and instant.isascii() and instant.isdigit() else None


def log_of(token: str) -> str:
    """Scene that a token names; empty where it names none."""
    named = token_of(token)
    return named[0] if named else ""


def sub_scores_of(protocol: Protocol) -> tuple[str, ...]:
    """Names of the columns that a verdict has."""
    return PDMS_SUB_SCORES if protocol.score == PDMS_V1 else SUB_SCORES


def score_unit(unit: Unit, unfinished: Path, *, task: Task) -> Finished:
    """Judges the tokens of a unit."""
    judged = judged_tokens(unit.items, task)
    stream = io.BytesIO()
    arrays = {name: getattr(judged, name) for name in ARRAYS}
    names = {name: np.array(getattr(judged, name)) for name in NAMES}
    np.savez_compressed(stream, allow_pickle=False, **names, **arrays)
    path, sha256, size = write_new(unfinished, unit.key, [stream.getvalue()])
    name = f"{FOLDER}/{unit.key}.npz"
    failed = sum(bool(reason) for reason in judged.reason)
    file = WrittenFile(path=path, name=name, sha256=sha256, size=size, rows=len(judged.token))
    return Finished(files=(file,), summary={"tokens": len(judged.token), "failed": failed})


NAMES = ("token", "log", "reason")
ARRAYS = ("shown", "counted", "ego", "start_xy", "end_xy", "time_us")


def read_unit(path: Path) -> Judged:
    """What `score_unit` wrote."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in ARRAYS}
        names = {name: tuple(file[name].tolist()) for name in NAMES}
        return Judged(**names, **arrays)


def not_judged(tokens: Sequence[str], reason: str, protocol: Protocol) -> Judged:
    """Tokens that nothing is known of."""
    count, columns = len(tokens), len(sub_scores_of(protocol))
    return Judged(
        token=tuple(tokens),
        log=tuple(log_of(token) for token in tokens),
        reason=(reason,) * count,
        shown=np.full((count, columns), np.nan),
        counted=np.full((count, columns), np.nan),
        ego=np.full((count, SAMPLES, 11), np.nan),
        start_xy=np.full((count, 2), np.nan),
        end_xy=np.full((count, 2), np.nan),
        time_us=np.zeros(count, dtype=np.int64),
    )


def judged_tokens(tokens: Sequence[str], task: Task) -> Judged:
    """Verdicts on tokens, one after another."""
    found = not_judged(tokens, "", task.protocol)
    reasons = [""] * len(tokens)
    for n, token in enumerate(tokens):
        try:
            scene, instant = _scene_of(token, task)
            found.time_us[n] = scene.timestamp_us[min(instant, len(scene) - 1)]
            found.start_xy[n] = scene.ego.xy[instant] + scene.origin[:2]
            verdict = _verdict(scene, instant, token, task)
        except BadInput as error:
            reasons[n] = str(error)
            continue
        except Exception as error:  # a map without a way, a plan so wild that it cannot be driven, a scene's own fault
            reasons[n] = " ".join(f"{type(error).__name__}: {error}".split())
            continue
        if np.isfinite(verdict.shown).all() and np.isfinite(verdict.counted).all():
            found.shown[n], found.counted[n] = verdict.shown, verdict.counted
            found.ego[n], found.end_xy[n] = verdict.ego.packed(), verdict.end_xy + scene.origin[:2]
        else:
            reasons[n] = "a drive that is not finite"
    return Judged(**{**vars(found), "reason": tuple(reasons)})


def _verdict(scene: Scene, instant: int, token: str, task: Task) -> Verdict:
    first = token not in task.second
    start = scene_start(scene, instant, with_human=first, samples=samples_of(task.protocol))
    drive, choice = expert_of(start, task.protocol)
    plan = _plan_of(token, task, start, choice)
    if not (np.isfinite(plan.xy).all() and np.isfinite(plan.yaw).all()):
        raise BadInput(token, "plan", "not finite", "numbers")
    return verdict_on(plan, start, drive, task.protocol, with_human=first)


def _scene_of(token: str, task: Task) -> tuple[Scene, int]:
    named = token_of(token)
    if named is None or named[0] not in task.scenes:
        raise BadInput(token, "scene", "missing", f"a file <scene>{SUFFIX} for a token <scene>-t<instant>")
    return _scene(task.scenes[named[0]]), named[1]


@lru_cache(maxsize=2)
def _scene(path: Path) -> Scene:
    return read_scene(path)


@lru_cache(maxsize=1)
def _plans(path: Path) -> tuple[Plans, dict[str, int]]:
    plans = read_plans(path)
    return plans, {token: row for row, token in enumerate(plans.token)}


def _plan_of(token: str, task: Task, start: NavsimStart, choice: Plan) -> Plan:
    """The plan that is judged, [t]."""
    if task.plans is not None:
        plans, rows = _plans(task.plans)
        if token not in rows:
            raise BadInput(token, "plan", "missing", "one in the file of plans")
        return plans.plan(rows[token])
    if task.driver == "pdm-closed":
        return choice
    if task.driver == "human":
        if np.isnan(start.human.yaw).any():
            raise BadInput(token, "human", "unknown", "a token of the first stage: no human was in the second")
        return Plan(xy=start.human.xy[0], yaw=start.human.yaw[0], dt=start.human.dt)
    step, ahead = POSE_STEPS * DT, np.arange(1, POSES + 1)
    speed = float(start.ego.speed) if task.driver == "constant-velocity" else 0.0
    return Plan(xy=np.outer(speed * step * ahead, [1.0, 0.0]), yaw=np.zeros(POSES), dt=step)


def states_of(judged: Judged) -> CarState:
    """Drives [n 41] in their scenes' frames."""
    return CarState.unpacked(judged.ego)
