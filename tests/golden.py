"""Golden scenes of the official scorer, read by the product, with what stands between its steps.

`simscale check scoring` goes from raw content to scores; tests take a step alone, from the official code's own numbers.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from simscale.ingest import golden
from simscale.ingest.navsim_log import NOW, current_tracks, ego_states, history_10hz, observed_tracks
from simscale.scene import CarState, RoadKind, TrackKind, Tracks
from simscale.scoring import contacts

Array = np.ndarray

SCENES = 32


@dataclass(frozen=True, kw_only=True)
class GoldenScene(golden.GoldenScene):
    """One golden scene."""

    @cached_property
    def route(self) -> Array:
        """Lanes and connectors of the corrected route."""
        return self.elements(self.json["cache"]["route_lane_ids"])

    @cached_property
    def logged_route(self) -> Array:
        """Lanes and connectors of the log's own (raw) route blocks: red lights are looked up among these."""
        lanes = self.road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR)
        return lanes[np.isin(self.road.group[lanes], self.logged_blocks)]

    @cached_property
    def centre_line(self) -> Array:
        """Centre line of the scorer, headings left out [n 2]."""
        return self.local(self.npz["centerline_xyh"])[:, :2]

    @cached_property
    def ego(self) -> CarState:
        """The ego now (no batch axes)."""
        return ego_states(self.frames)[NOW]

    @cached_property
    def history(self) -> CarState:
        """The 10 Hz samples that history comfort prepends [h]."""
        return history_10hz(self.frames)

    @cached_property
    def tracks(self) -> Tracks:
        """The interpolated log [a 41] in order of first appearance, nothing removed."""
        return observed_tracks(self.frames)

    @cached_property
    def current(self) -> Tracks:
        """The objects of the raw current frame [a 1]."""
        return current_tracks(self.frames)

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
        z, now = self.npz, self.current
        others = self.tracks.of_agents(np.flatnonzero(self.tracks.kind != TrackKind.VEHICLE))
        others.valid[:, 0] &= np.isin(others.id, now.id)
        cars = now.of_agents(np.flatnonzero(now.kind == TrackKind.VEHICLE))
        row = {name: a for a, name in enumerate(cars.id)}
        xy, velocity = (np.repeat(values, 41, axis=1) for values in (cars.xy, cars.velocity))
        yaw, valid = np.repeat(cars.yaw, 41, axis=1), np.zeros((len(row), 41), dtype=bool)
        valid[:, 0] = True
        for t in range(1, 41):
            rows = slice(z["r_idm_start"][i, t], z["r_idm_start"][i, t + 1])
            a = [row[self.json["track_tokens"][number]] for number in z["r_idm_track"][rows]]
            box = self.local(z["r_idm_box"][rows])
            xy[a, t], yaw[a, t], velocity[a, t], valid[a, t] = box[:, :2], box[:, 2], z["r_idm_vel"][rows], True
        cars = replace(cars, xy=xy, yaw=yaw, velocity=velocity, valid=valid, z=np.zeros_like(yaw))
        names = ("xy", "z", "yaw", "velocity", "size", "kind", "valid")
        both = {name: np.concatenate([getattr(cars, name), getattr(others, name)]) for name in names}
        return Tracks(**both, id=(*cars.id, *others.id))


def golden_scene(shared: Path, number: int) -> GoldenScene:
    """Scene `number` (0 to 31) of the golden vectors below the shared folder."""
    found = golden.read_golden_scene(shared / "golden" / "scoring" / golden.SCENES / f"scene_{number:03d}")
    return GoldenScene(name=found.name, json=found.json, npz=found.npz)
