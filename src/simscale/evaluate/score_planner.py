"""A trained planner's plans for a scoring run: the renderer draws what its cameras see at each token of the scenes."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from simscale.dataset.files import write_new
from simscale.evaluate.evaluation import CHUNK, planned
from simscale.evaluate.prepare import checkpoint_path
from simscale.evaluate.score_unit import token_of
from simscale.evaluate.starts import POSE_STEPS, POSES, Split, Start, logged_history, logged_state
from simscale.generate.place import centre_line_of, token_name
from simscale.scene import DT, BadInput, Plan, Scene
from simscale.scene.file import read_scene

Array = np.ndarray

FIRST, LAST, EVERY = 20, 40, 5
"""Tokens of a scene: every 0.5 s, with 2 s before and 4 s after them."""


def tokens_in(scenes: dict[str, Path]) -> tuple[str, ...]:
    """All tokens of some scenes.

    Raises:
        BadInput: There is none.
    """
    found = []
    for name, path in scenes.items():
        found += [token_name(name, t) for t in range(FIRST, len(read_scene(path)) - LAST, EVERY)]
    if not found:
        raise BadInput(", ".join(scenes), "length", "too short", "scenes of 6.1 s and more")
    return tuple(found)


def write_planned(
    checkpoint: str, tokens: Sequence[str], scenes: dict[str, Path], path: Path, *, on_done: Callable[[int], None]
) -> tuple[tuple[str, str], ...]:
    """Asks a checkpoint for plans and writes them as `read_plans` reads them; NaN where it has none.

    Args:
        checkpoint: A file, or the folder of a training.
        tokens: Where to plan.
        scenes: Scene files by id; the scenery lies beside them.
        path: The `.npz` to write.
        on_done: Told how many more tokens are planned.

    Returns:
        Tokens without a plan, and why.

    Raises:
        BadInput: No checkpoint, or one that was trained on these streets.
    """
    from simscale.evaluate.checkpoint import Checkpoint

    held, starts, failures = {}, list[Start](), list[tuple[str, str]]()
    for token in tokens:
        named = token_of(token)
        if named is None or named[0] not in scenes:
            continue  # told when it is scored
        scene = held.setdefault(named[0], None) or read_scene(scenes[named[0]])
        held[named[0]] = scene
        starts.append(_start(scene, named[1], token))
    split = Split(
        name="score",
        size="own",
        scenes=tuple(held.values()),
        starts=tuple(starts),
        drive=np.zeros(len(starts), dtype=np.int64),
        groups=(),
        pairs=np.zeros((0, 2), dtype=np.int64),
    )
    folder = scenes[next(iter(held))].parent if held else path.parent
    agent = Checkpoint(checkpoint_path(checkpoint), split, folder, name=checkpoint)
    poses = np.full((len(starts), POSES, 3), np.nan)
    for first in range(0, len(starts), CHUNK):
        some = starts[first : first + CHUNK]
        for n, (plan, reason) in enumerate(planned(agent, some), start=first):
            if plan is None:
                failures.append((starts[n].token, reason))
            else:
                poses[n] = np.column_stack([plan.xy, plan.yaw])
        on_done(len(some))
    _write(path, [start.token for start in starts], poses)
    return tuple(failures)


def _start(scene: Scene, instant: int, token: str) -> Start:
    """What a planner may know at a token; nobody asks it for the expert here."""
    nowhere = Plan(xy=np.zeros((POSES, 2)), yaw=np.zeros(POSES), dt=POSE_STEPS * DT)
    return Start(
        token=token,
        scene=scene,
        line=centre_line_of(scene),
        instant=instant,
        stage=1,
        law="",
        ego=logged_state(scene.ego[instant]),
        history=logged_history(scene, instant),
        tracks=scene.tracks.at(instant, instant + 1),
        anchor=instant,
        traffic_state=None,
        expert=nowhere,
    )


def _write(path: Path, tokens: Sequence[str], poses: Array) -> None:
    written, _, _ = write_new(path.parent, f".{path.name}", [])
    with written.open("wb") as file:
        np.savez(file, allow_pickle=False, token=np.array(tokens), poses=poses)
    written.replace(path)
