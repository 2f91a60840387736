"""Golden vectors of the official scorer as our own nouns: scenes below `golden/scoring/scenes` of the shared folder.

Everything that is a noun here lies in a local frame whose origin is the whole metre nearest to the ego (the raw
arrays keep map coordinates of millions of metres; `GoldenScene.local` takes them over). Subtracting a whole metre is
exact in float64, so nothing of the reference's rounding is lost.
"""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from simscale.scene import PACIFICA, CarState, Lights, LightState, Plan, RoadKind, RoadMap, TrackKind, Tracks
from simscale.scoring import contacts

Array = np.ndarray

KIND_OF_LAYER = {
    "LANE": RoadKind.LANE,
    "LANE_CONNECTOR": RoadKind.CONNECTOR,
    "INTERSECTION": RoadKind.INTERSECTION,
    "CARPARK_AREA": RoadKind.CAR_PARK,
    "ROADBLOCK": RoadKind.ROAD_BLOCK,
    "ROADBLOCK_CONNECTOR": RoadKind.ROAD_BLOCK_CONNECTOR,
}
SCENES = 32
LOG_NOW = 3  # frame of the log that is "now"
HELD = 5  # 10 Hz samples for which a 2 Hz light status is held


@dataclass(frozen=True, kw_only=True)
class GoldenScene:
    """One golden scene; `npz` and `json` are its files, the properties are what our code reads."""

    json: dict
    npz: dict[str, Array]

    vehicle = PACIFICA

    @cached_property
    def origin(self) -> Array:
        """Origin of the local frame in map coordinates [2], m."""
        return np.round(self.npz["ego_state"][:2])

    def local(self, states: Array) -> Array:
        """Map coordinates (the first two columns, x and y) in the local frame; other columns stay."""
        moved = np.array(states, dtype=np.float64)
        moved[..., :2] -= self.origin
        return moved

    def car(self, states: Array) -> CarState:
        """States of 11 numbers in map coordinates as a local CarState."""
        return CarState.unpacked(self.local(states))

    @cached_property
    def element(self) -> dict[str, int]:
        """Number of the map element with a given id."""
        return {polygon["id"]: i for i, polygon in enumerate(self.json["map"]["polygons"])}

    def elements(self, ids: list[str]) -> Array:
        """Numbers of the elements with these ids."""
        return np.array([self.element[i] for i in ids], dtype=np.int64)

    @cached_property
    def road(self) -> RoadMap:
        """The whole map; `group` is the element number of the road block or road block connector."""
        polygons = self.json["map"]["polygons"]
        start, xy = self.npz["map_poly_start"], self.local(self.npz["map_poly_xy"])
        rings = [xy[start[i] : start[i + 1] - 1] for i in range(len(polygons))]
        base_start, base = self.npz["base_start"], self.local(self.npz["base_xyh"])[:, :2]
        lines = [np.zeros((0, 2)) for _ in polygons]
        for i, name in enumerate(self.json["map"]["baseline_ids"]):
            lines[self.element[name]] = base[base_start[i] : base_start[i + 1]]
        limits = [polygon.get("speed_limit_mps") for polygon in polygons]
        return RoadMap(
            id=tuple(polygon["id"] for polygon in polygons),
            kind=np.array([int(KIND_OF_LAYER[polygon["layer"]]) for polygon in polygons]),
            xy=np.concatenate(rings),
            start=np.cumsum([0] + [len(ring) for ring in rings]),
            centre_xy=np.concatenate(lines),
            centre_start=np.cumsum([0] + [len(line) for line in lines]),
            speed_limit=np.array([0.0 if limit is None else limit for limit in limits], dtype=np.float64),
            has_speed_limit=np.array([limit is not None for limit in limits]),
            next_lane=self._edges(),
            group=np.array([self._group(i, polygon) for i, polygon in enumerate(polygons)]),
        )

    def _edges(self) -> Array:
        edges = {
            (self.element[polygon["id"]], self.element[after])
            for polygon in self.json["map"]["polygons"]
            if polygon["layer"] in ("LANE", "LANE_CONNECTOR")
            for after in polygon["outgoing"]
        }
        return np.array(sorted(edges), dtype=np.int64).reshape(-1, 2)

    def _group(self, number: int, polygon: dict) -> int:
        if polygon["layer"].startswith("ROADBLOCK"):
            return number
        return self.element[polygon["roadblock"]] if "roadblock" in polygon else -1

    @cached_property
    def route(self) -> Array:
        """Lanes and connectors of the corrected route."""
        return self.elements(self.json["cache"]["route_lane_ids"])

    @cached_property
    def logged_route(self) -> Array:
        """Lanes and connectors of the log's own (raw) route blocks: red lights are looked up among these."""
        blocks = self.elements(self.json["route_roadblock_ids"])
        lanes = self.road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR)
        return lanes[np.isin(self.road.group[lanes], blocks)]

    @cached_property
    def centre_line(self) -> Array:
        """Centre line of the scorer, headings left out [n 2]."""
        return self.local(self.npz["centerline_xyh"])[:, :2]

    @cached_property
    def lights(self) -> Lights:
        """Lights at the 41 samples from now on; each 2 Hz status is held for 5 samples."""
        frames = self.json["log_traffic_lights"][LOG_NOW : LOG_NOW + 9]
        names = sorted({name for frame in frames for name, _ in frame if name in self.element})
        state = np.zeros((len(names), 41), dtype=np.int64)
        for f, frame in enumerate(frames):
            for name, is_red in frame:
                if name in self.element:
                    shown = LightState.RED if is_red else LightState.GREEN
                    state[names.index(name), f * HELD : (f + 1) * HELD] = int(shown)
        return Lights(element=self.elements(names), state=state)

    @cached_property
    def ego(self) -> CarState:
        """The ego now (no batch axes)."""
        return self.car(self.npz["ego_state"])

    @cached_property
    def history(self) -> CarState:
        """The 10 Hz samples that history comfort prepends [h]."""
        return self.car(self.npz["past_states_10hz"])

    @cached_property
    def tracks(self) -> Tracks:
        """The interpolated log [a 41] in order of first appearance, nothing removed."""
        z = self.npz
        return self.tracks_of(z["obs_track"], z["obs_type"], z["obs_box"], z["obs_vel"], z["obs_start"])

    @cached_property
    def current(self) -> Tracks:
        """The objects of the raw current frame [a 1] in annotation order."""
        z = self.npz
        return self.tracks_of(z["cur_track"], z["cur_type"], z["cur_box"], z["cur_vel"], z["cur_start"])

    def tracks_of(self, track: Array, kind: Array, box: Array, velocity: Array, start: Array) -> Tracks:
        """Tracks from the goldens' ragged rows: one group of rows a sample, `start` their offsets.

        Size and kind are those of a track's first row, as in the reference.
        """
        order = list(dict.fromkeys(track.tolist()))
        row_of = {number: a for a, number in enumerate(order)}
        agents, samples = len(order), len(start) - 1
        sample = np.repeat(np.arange(samples), np.diff(start))
        agent = np.array([row_of[number] for number in track.tolist()], dtype=np.int64)
        first = np.array([np.flatnonzero(agent == a)[0] for a in range(agents)], dtype=np.int64)
        xyh = np.zeros((agents, samples, 3))
        xyh[agent, sample] = self.local(box[:, :3])
        moving = np.zeros((agents, samples, 2))
        moving[agent, sample] = np.nan_to_num(velocity)  # static kinds have no velocity in the log
        valid = np.zeros((agents, samples), dtype=bool)
        valid[agent, sample] = True
        return Tracks(
            xy=xyh[..., :2],
            z=np.zeros((agents, samples)),
            yaw=xyh[..., 2],
            velocity=moving,
            size=np.column_stack([box[first][:, 3:5].reshape(agents, 2), np.full(agents, 1.5)]),
            kind=kind[first].astype(np.int64),
            valid=valid,
            id=tuple(self.json["track_tokens"][number] for number in order),
        )

    def kept_tracks(self) -> Tracks:
        """The interpolated log as log replay scores it: tracks that overlap the ego now are dropped."""
        now = CarState.unpacked(self.ego.packed()[None, None])
        every = [self.tracks.of_agents(np.array([a])).at(0, 1) for a in range(len(self.tracks.id))]
        clear = [a for a, track in enumerate(every) if not contacts(now, track, vehicle=self.vehicle).any()]
        return self.tracks.of_agents(np.array(clear))

    def reactive_tracks(self, i: int) -> Tracks:
        """Tracks [a 41] of the `i`-th reactive simulation whose vehicles are stored (`r_idm_traj`).

        Sample 0 is the raw current frame; then the vehicles of the simulation and all others from the log.
        """
        z = self.npz
        parts = []
        for step in range(41):
            logged = np.arange(z["obs_start"][step], z["obs_start"][step + 1])
            logged = logged[z["obs_type"][logged] != TrackKind.VEHICLE]
            driven = slice(z["r_idm_start"][i, step], z["r_idm_start"][i, step + 1])
            vehicles = np.zeros(driven.stop - driven.start, dtype=np.int8)
            now = [
                np.concatenate([z["r_idm_track"][driven], z["obs_track"][logged]]),
                np.concatenate([vehicles, z["obs_type"][logged]]),
                np.concatenate([z["r_idm_box"][driven], z["obs_box"][logged]]),
                np.concatenate([z["r_idm_vel"][driven], z["obs_vel"][logged]]),
            ]
            parts.append([z[f"cur_{name}"] for name in ("track", "type", "box", "vel")] if step == 0 else now)
        start = np.cumsum([0] + [len(part[0]) for part in parts])
        track, kind, box, velocity = (np.concatenate(column) for column in zip(*parts, strict=True))
        return self.tracks_of(track, kind, box, velocity, start)

    def plans(self, name: str = "traj_poses", dt: float = 0.5) -> Plan:
        """The scored trajectories [k t] in the ego frame; `traj10_poses` has `dt` 0.1."""
        poses = self.npz[name].astype(np.float64)
        return Plan(xy=poses[..., :2], yaw=poses[..., 2], dt=dt)


def golden_scene(shared: Path, number: int) -> GoldenScene:
    """Scene `number` (0 to 31) of the golden vectors below the shared folder."""
    stem = shared / "golden" / "scoring" / "scenes" / f"scene_{number:03d}"
    with np.load(stem.with_suffix(".npz")) as file:
        arrays = {name: file[name] for name in file.files}
    return GoldenScene(json=json.loads(stem.with_suffix(".json").read_text()), npz=arrays)
