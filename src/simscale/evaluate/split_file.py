"""A split on disk, so that several agents are judged on the same: scenes, sceneries, and the starts as arrays.

The manifest is written last and says what the split was made from; with another answer to that, it is made again.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from simscale.dataset.files import sha256_of, write_new, write_whole
from simscale.evaluate.aggregate import Group
from simscale.evaluate.starts import Split, Start
from simscale.generate.place import centre_line_of
from simscale.scene import CarState, Plan, Scene, Tracks
from simscale.scene.file import read_scene, write_scene
from simscale.traffic.rollout import TrafficState

Array = np.ndarray

MANIFEST, STARTS = "manifest.json", "starts.npz"
FORMAT = "simscale-split-2"
HISTORY = 15
"""Longest history of a start."""
AGENT_ARRAYS = ("xy", "z", "yaw", "velocity", "valid")
STATE_ARRAYS = ("progress", "speed", "present")


def write_split(split: Split, folder: Path, *, made_from: dict[str, Any]) -> None:
    """Writes a split into a folder that already holds its sceneries.

    Args:
        split: What to write.
        folder: Where.
        made_from: All that the split depends on, as JSON.

    Raises:
        OSError: The folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scenes = [write_scene(scene, folder) for scene in split.scenes]
    path, _, _ = write_new(folder, f".{STARTS}", [])
    try:
        with path.open("wb") as file:
            np.savez(file, allow_pickle=False, **_arrays(split))
        path.replace(folder / STARTS)
    finally:
        path.unlink(missing_ok=True)
    content = {
        "format": FORMAT,
        "command": "evaluate",
        "made_from": made_from,
        "name": split.name,
        "size": split.size,
        "scenes": [scene.name for scene in scenes],
        "starts": sha256_of(folder / STARTS),
    }
    write_whole(folder / MANIFEST, json.dumps(content, indent=1).encode() + b"\n")


def read_split(folder: Path, *, made_from: dict[str, Any]) -> Split | None:
    """The split in a folder; None where there is none that is complete and was made from the same."""
    try:
        said = json.loads((folder / MANIFEST).read_bytes())
        if said["format"] != FORMAT or said["made_from"] != json.loads(json.dumps(made_from)):
            return None
        if sha256_of(folder / STARTS) != said["starts"]:
            return None
        scenes = tuple(read_scene(folder / name) for name in said["scenes"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with np.load(folder / STARTS, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    return _split(arrays, scenes, name=said["name"], size=said["size"])


def _arrays(split: Split) -> dict[str, Array]:
    starts = split.starts
    history = np.zeros((len(starts), HISTORY, 11))
    place_of_agent = [{name: i for i, name in enumerate(scene.tracks.id)} for scene in split.scenes]
    for n, start in enumerate(starts):
        history[n, : len(start.history.yaw)] = start.history.packed()
    agent = [[place_of_agent[split.drive[n]][name] for name in start.tracks.id] for n, start in enumerate(starts)]
    arrays = {
        "token": np.array([start.token for start in starts]),
        "law": np.array([start.law for start in starts]),
        "drive": split.drive,
        "instant": np.array([start.instant for start in starts]),
        "anchor": np.array([start.anchor for start in starts]),
        "ego": np.stack([start.ego.packed() for start in starts]),
        "history": history,
        "history_length": np.array([len(start.history.yaw) for start in starts]),
        "expert": np.stack([np.column_stack([start.expert.xy, start.expert.yaw]) for start in starts]),
        "reacted": np.array([start.traffic_state is not None for start in starts]),
        "agent_start": np.cumsum([0, *(len(row) for row in agent)]),
        "agent": np.array([i for row in agent for i in row], dtype=np.int64),
        "pairs": split.pairs,
        "group": np.array([(g.now, g.prev) for g in split.groups], dtype=np.int64).reshape(-1, 2),
        "group_start": np.cumsum([0, *(len(g.pairs) for g in split.groups)]),
        "group_pairs": np.concatenate([np.zeros((0, 2), dtype=np.int64), *(g.pairs for g in split.groups)]),
    }
    for name in AGENT_ARRAYS:
        arrays[f"agent_{name}"] = np.concatenate([getattr(start.tracks, name)[:, 0] for start in starts])
    for name in STATE_ARRAYS:
        arrays[f"agent_{name}"] = np.concatenate([_state_row(start, name) for start in starts])
    return arrays


def _state_row(start: Start, name: str) -> Array:
    """What traffic remembers of each agent; zeros where it is as the log says."""
    state = start.traffic_state
    return np.zeros(len(start.tracks.id)) if state is None else np.asarray(getattr(state, name), dtype=np.float64)


def _split(arrays: dict[str, Array], scenes: tuple[Scene, ...], *, name: str, size: str) -> Split:
    lines = [centre_line_of(scene) for scene in scenes]
    starts = tuple(_start(arrays, scenes, lines, n) for n in range(len(arrays["token"])))
    bounds = arrays["group_start"]
    groups = tuple(
        Group(now=int(now), prev=int(prev), pairs=arrays["group_pairs"][bounds[g] : bounds[g + 1]])
        for g, (now, prev) in enumerate(arrays["group"])
    )
    drive, pairs = arrays["drive"], arrays["pairs"]
    return Split(name=name, size=size, scenes=scenes, starts=starts, drive=drive, groups=groups, pairs=pairs)


def _start(arrays: dict[str, Array], scenes: tuple[Scene, ...], lines: list[Array], n: int) -> Start:
    scene, law = scenes[arrays["drive"][n]], str(arrays["law"][n])
    rows = slice(arrays["agent_start"][n], arrays["agent_start"][n + 1])
    cast = scene.tracks.of_agents(arrays["agent"][rows])
    instant, expert = int(arrays["instant"][n]), arrays["expert"][n]
    seen = {name: arrays[f"agent_{name}"][rows][:, None] for name in AGENT_ARRAYS}
    state = None
    if arrays["reacted"][n]:
        state = TrafficState(
            instant=instant,
            progress=arrays["agent_progress"][rows],
            speed=arrays["agent_speed"][rows],
            present=arrays["agent_present"][rows] > 0,
        )
    return Start(
        token=str(arrays["token"][n]),
        scene=scene,
        line=lines[arrays["drive"][n]],
        instant=instant,
        stage=2 if law else 1,
        law=law,
        ego=CarState.unpacked(arrays["ego"][n]),
        history=CarState.unpacked(arrays["history"][n, : arrays["history_length"][n]]),
        tracks=Tracks(**seen, size=cast.size, kind=cast.kind, id=cast.id),
        anchor=int(arrays["anchor"][n]),
        traffic_state=state,
        expert=Plan(xy=expert[:, :2], yaw=expert[:, 2], dt=scene.dt),
    )
