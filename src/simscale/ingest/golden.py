"""Golden numbers of the official scorer (format `epdms-golden/1`) as our nouns.

A folder holds scenes, each with the raw content of a NAVSIM log, a map, trajectories, and what the official code made
of them; beside them vocabularies of the same scenes, and whole runs of the official command line. Only the raw content
becomes nouns here. Everything lies in a local frame whose origin is the whole metre nearest to the ego: subtracting it
is exact in float64, while map coordinates of millions of metres would cost digits later.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from simscale.ingest.golden_files import check_arrays, check_groups, check_range, forms, read_arrays, read_pair
from simscale.ingest.golden_forms import LOG, LOG_NAMES, RESULTS, RUN, RUN_NEEDED, VOCABULARY
from simscale.ingest.golden_map import check_map, road_of
from simscale.ingest.golden_text import RunText, SceneText, check_text
from simscale.ingest.navsim_log import FRAMES, NOW, LogFrames, lights_of, yaw_of_quaternion
from simscale.scene import PACIFICA, BadInput, CarState, Lights, Plan, RoadKind, RoadMap, TrackKind

Array = np.ndarray

SCENE_FORMAT, RUN_FORMAT = "epdms-golden/1", "epdms-golden-aggregate/1"
SCENES, VOCABULARIES, RUNS = "scenes", "vocab", "two_stage"
"""Folders; the last two are optional."""


@dataclass(frozen=True, kw_only=True)
class GoldenScene:
    """One golden scene: `npz` and `json` are its files, the properties are its raw content as nouns."""

    name: str
    json: dict[str, Any]
    npz: dict[str, Array]

    vehicle = PACIFICA

    @cached_property
    def origin(self) -> Float[Array, "2"]:
        """Origin of the local frame in map coordinates, m."""
        return np.round(self.npz["log_ego_translation"][NOW, :2])

    def local(self, states: Array) -> Array:
        """Map coordinates (the first two columns, x and y) in the local frame; other columns stay."""
        moved = np.array(states, dtype=np.float64)
        moved[..., :2] -= self.origin
        return moved

    def car(self, states: Array) -> CarState:
        """States of eleven numbers in map coordinates as a local CarState."""
        return CarState.unpacked(self.local(states))

    @cached_property
    def element(self) -> dict[str, int]:
        """Number of the map element with a given id."""
        return {polygon["id"]: i for i, polygon in enumerate(self.json["map"]["polygons"])}

    def elements(self, ids: list[str]) -> Int[Array, " n"]:
        """Numbers of the elements with these ids."""
        return np.array([self.element[i] for i in ids], dtype=np.int64)

    @cached_property
    def road(self) -> RoadMap:
        """The whole map; `group` is the element number of the road block or road block connector."""
        rings, lines = self.local(self.npz["map_poly_xy"]), self.local(self.npz["base_xyh"])[:, :2]
        return road_of(self.json["map"], rings, self.npz["map_poly_start"], lines, self.npz["base_start"])

    @cached_property
    def logged_blocks(self) -> Int[Array, " b"]:
        """Elements of the log's own, uncorrected route, which are road blocks and their connectors."""
        return self.elements(self.json["route_roadblock_ids"])

    @cached_property
    def frames(self) -> LogFrames:
        """The raw log."""
        z = self.npz
        return LogFrames(
            timestamp_us=z["log_timestamp_us"],
            ego_xy=self.local(z["log_ego_translation"])[:, :2],
            ego_yaw=yaw_of_quaternion(z["log_ego_quat_wxyz"]),
            ego_velocity=z["log_ego_dynamic"][:, :2],
            ego_acceleration=z["log_ego_dynamic"][:, 2:],
            start=z["log_start"],
            track=z["log_track"].astype(np.int64),
            kind=z["log_type"].astype(np.int64),
            box=z["log_box"].astype(np.float64),
            velocity=z["log_vel"].astype(np.float64),
            track_id=self.track_ids,
            lights=tuple(tuple((name, red) for name, red in frame) for frame in self.json["log_traffic_lights"]),
        )

    @property
    def has_track_names(self) -> bool:
        """Whether the file says what tracks are called."""
        return self.json.get("track_tokens") is not None

    @cached_property
    def track_ids(self) -> tuple[str, ...]:
        """Names of the tracks; their numbers where the file names none."""
        if self.has_track_names:
            return tuple(self.json["track_tokens"])
        return tuple(str(number) for number in range(int(self.npz["log_track"].max(initial=-1)) + 1))

    @property
    def cache(self) -> dict[str, Any]:
        """What the reference's metric cache holds beside arrays, as far as it is there."""
        return {name: value for name, value in (self.json.get("cache") or {}).items() if value is not None}

    @cached_property
    def lights(self) -> Lights:
        """Lights at the 41 samples from now on."""
        return lights_of(self.frames, self.road)

    def plans(self, name: str = "traj_poses", dt: float = 0.5) -> Plan:
        """The scored trajectories [k t] in the ego frame; `traj10_poses` has `dt` 0.1."""
        return plans_of(self.npz[name], dt)


@dataclass(frozen=True, kw_only=True)
class GoldenRun:
    """Per-token numbers of a run of the official command line, or of its aggregator alone."""

    name: str
    json: dict[str, Any]
    npz: dict[str, Array]
    table: Path | None  # the table that it wrote


def plans_of(poses: Array, dt: float) -> Plan:
    """Poses `[k t 3]` of x, y and yaw as plans."""
    poses = poses.astype(np.float64)
    return Plan(xy=poses[..., :2], yaw=poses[..., 2], dt=dt)


def golden_scenes(folder: Path) -> list[Path]:
    """Paths, without suffix, of all scenes of a golden folder.

    Raises:
        BadInput: There are none, or half of one is missing.
    """
    stems = _stems(folder / SCENES, ".json", ".npz")
    if not stems:
        raise BadInput(folder / SCENES, "path", "without scenes", "a folder of scene_NNN.npz and .json")
    return stems


def golden_vocabularies(folder: Path) -> list[Path]:
    """Paths of the vocabularies of a golden folder; it need not have any."""
    return sorted((folder / VOCABULARIES).glob("*.npz"))


def golden_runs(folder: Path) -> list[Path]:
    """Paths, without suffix, of the runs of the command line in a golden folder; it need not have any."""
    return _stems(folder / RUNS, ".json", ".npz")


def _stems(folder: Path, *suffixes: str) -> list[Path]:
    found = [{path.stem for path in folder.glob(f"*{suffix}")} for suffix in suffixes]
    for name in sorted(set.union(*found)):
        for suffix, names in zip(suffixes, found, strict=True):
            if name not in names:
                raise BadInput(folder / f"{name}{suffix}", "file", "missing", "the other half of its pair")
    return [folder / name for name in sorted(found[0])]


def read_golden_scene(stem: Path) -> GoldenScene:
    """One scene.

    Args:
        stem: Path without suffix.

    Raises:
        BadInput: A file is missing or damaged, of another format, or an array is not what it should be.
    """
    content, arrays = read_pair(stem, formats=SCENE_FORMAT, what="one half of a golden scene")
    path, text = stem.with_suffix(".npz"), stem.with_suffix(".json")
    check_text(text, SceneText)
    check_arrays(path, arrays, forms(LOG | RESULTS), needed=LOG_NAMES)
    _check_log(path, text, content, arrays)
    check_map(path, text, content, arrays)
    _check_results(path, arrays)
    scene = GoldenScene(name=stem.name, json=content, npz=arrays)
    kinds = {int(RoadKind.ROAD_BLOCK), int(RoadKind.ROAD_BLOCK_CONNECTOR)}
    for name in content["route_roadblock_ids"]:
        if name not in scene.element or int(scene.road.kind[scene.element[name]]) not in kinds:
            raise BadInput(text, "route_roadblock_ids", repr(name), "the id of a road block of the map")
    return scene


def read_golden_vocabulary(path: Path) -> dict[str, Array]:
    """Arrays of a vocabulary file.

    Raises:
        BadInput: It is damaged, or an array is not what it should be.
    """
    arrays = read_arrays(path, what="a golden vocabulary")
    check_arrays(path, arrays, forms(VOCABULARY), needed=("vocab_poses",))
    return arrays


def read_golden_run(stem: Path) -> GoldenRun:
    """One run of the command line.

    Raises:
        BadInput: A file is damaged, of another format, or an array is not what it should be.
    """
    content, arrays = read_pair(stem, formats=RUN_FORMAT, what="one half of a golden run")
    path, text = stem.with_suffix(".npz"), stem.with_suffix(".json")
    check_text(text, RunText)
    mapping = content.get("mapping")
    check_arrays(
        path, arrays, forms(RUN), needed=(*RUN_NEEDED, *(("endpoint", "start_pose") if mapping else ("log_name",)))
    )
    known = set(map(str, arrays["tokens"]))
    for now, prev, pairs in mapping or []:
        for token in (now, prev, *(token for pair in pairs for token in pair)):
            if token not in known:
                raise BadInput(text, "mapping", repr(token), f"a token of {path.name}")
    table = stem.with_suffix(".csv")
    return GoldenRun(name=stem.name, json=content, npz=arrays, table=table if table.is_file() else None)


def _check_log(path: Path, text: Path, content: dict[str, Any], arrays: dict[str, Array]) -> None:
    time, kind, track = arrays["log_timestamp_us"], arrays["log_type"], arrays["log_track"]
    if len(time) < FRAMES:
        raise BadInput(path, "log_timestamp_us", f"{len(time)} frames", f"at least {FRAMES}")
    if (np.diff(time) <= 0).any():
        raise BadInput(path, "log_timestamp_us", "not ascending", "time stamps in order, us")
    check_groups(path, "log_start", arrays["log_start"], len(track), groups=len(time))
    if (np.linalg.norm(arrays["log_ego_quat_wxyz"], axis=1) < 0.5).any():
        raise BadInput(path, "log_ego_quat_wxyz", "near zero", "unit quaternions")
    check_range(path, "log_type", kind, len(TrackKind))
    names = content.get("track_tokens")
    check_range(path, "log_track", track, int(track.max(initial=-1)) + 1 if names is None else len(names))
    for first, last in zip(arrays["log_start"][:-1], arrays["log_start"][1:], strict=True):
        if len(np.unique(track[first:last])) < last - first:
            raise BadInput(path, "log_track", "the same track twice in a frame", "each track once")
    lights = content["log_traffic_lights"]
    if len(lights) != len(time):
        raise BadInput(text, "log_traffic_lights", f"of {len(lights)} frames", f"of {len(time)}")


def _check_results(path: Path, arrays: dict[str, Array]) -> None:
    """Refuses results whose offsets and numbers point to nothing.

    Raises:
        BadInput: They do.
    """
    for name, rows in (("cur", "cur_track"), ("obs", "obs_track")):
        if f"{name}_start" in arrays and rows in arrays:
            check_groups(path, f"{name}_start", arrays[f"{name}_start"], len(arrays[rows]))
    if "r_idm_start" in arrays:
        for name in ("r_idm_traj", "r_idm_track", "r_index"):
            if name not in arrays:
                raise BadInput(path, name, "missing", "to be there beside r_idm_start")
        steps = arrays["r_idm_start"]
        check_groups(path, "r_idm_start", np.append(steps[:, :-1], steps[-1:, -1]), len(arrays["r_idm_track"]))
        check_range(path, "r_idm_traj", arrays["r_idm_traj"], len(arrays["r_index"]))
    if "r_index" in arrays:
        check_range(path, "r_index", arrays["r_index"], len(arrays["traj_poses"]))
