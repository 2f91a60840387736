"""Speed and memory of the town's ray caster on one core, in images a second and as shares of a fixed small kernel.

The scene is a grid of streets, 400 m wide, with 300 buildings, 60 vehicles and 700 other things. Times are of the
processor, not of the clock, so that neighbours on the machine disturb them less.

    python benchmarks/town.py
"""

import itertools
import json
import os
import time

import numpy as np
from numba import njit

from simscale.geometry.polygons import ragged
from simscale.render import navsim_rig, planner_view
from simscale.render.rigs import chosen
from simscale.scene import Tracks
from simscale.town.raycast import RayCaster
from simscale.town.scenery import (
    AreaKind,
    Areas,
    Buildings,
    LightHeads,
    PaintLines,
    Poles,
    Scenery,
    Signs,
    Trees,
    bare_scenery,
)

STREETS = (-200.0, -100.0, 0.0, 100.0, 200.0)
HALF_ROAD, HALF_STREET = 5.0, 8.5


def main() -> None:
    before = resident_mb()
    scenery, tracks, lights = grid_town()
    unit = kernel_seconds()
    seconds, caster = timed(lambda: RayCaster(scenery), repeat=2)
    prepared = resident_mb()
    rig = navsim_rig(0.25)
    front, view = chosen(rig, "CAM_F0"), planner_view(navsim_rig())
    poses = [
        pose_at(x, y, yaw) for x, y, yaw in ((-150, -2, 0), (-60, -2, 0), (2, -150, 1.57), (60, 98, 0), (98, 40, -1.57))
    ]
    smooth = caster.at(np.zeros(3), rays=2)
    jobs = {
        "480x270": lambda pose: caster.render(front, pose, tracks, lights),
        "480x270 depth, instance, semantic": lambda pose: caster.render(
            front, pose, tracks, lights, channels=("depth", "instance", "semantic")
        ),
        "planner 64x256, 1 ray": lambda pose: caster.render(view, pose, tracks, lights),
        "planner 64x256, 2x2 rays": lambda pose: smooth.render(view, pose, tracks, lights),
        "8 cameras 480x270": lambda pose: caster.render(rig, pose, tracks, lights),
    }
    result: dict[str, object] = {"prepare_s": round(seconds, 2), "kernel_ms": round(1000 * unit, 2)}
    for name, job in jobs.items():
        job(poses[0])
        each = min(timed(lambda job=job: [job(pose) for pose in poses], repeat=2)[0] for _ in range(2)) / len(poses)
        result[name] = {"per_second": round(1 / each, 1), "kernels": round(each / unit, 2)}
    result["memory_mb"] = {"scenery": round(caster.memory / 2**20, 1), "resident": round(prepared - before, 1)}
    print(json.dumps(result, indent=1))


def grid_town() -> tuple[Scenery, Tracks, np.ndarray]:
    rng = np.random.default_rng(1)
    rings, kinds, lines = [], [], []
    for half, kind in ((HALF_STREET, AreaKind.PAVEMENT), (HALF_ROAD, AreaKind.ASPHALT)):
        for at in STREETS:
            rings += [box(-210, at - half, 210, at + half), box(at - half, -210, at + half, 210)]
            kinds += [kind, kind]
    for at in STREETS:
        for low, high in itertools.pairwise(STREETS):
            for offset, dash, gap in ((-4.7, 0.0, 0.0), (0.0, 3.0, 4.5), (4.7, 0.0, 0.0)):
                along = np.array([low + 8, high - 8])
                across = np.full(2, at + offset)
                lines += [(np.stack([along, across], -1), dash, gap), (np.stack([across, along], -1), dash, gap)]
    for at in STREETS:
        for cross in STREETS:
            for k in np.arange(-4.5, 4.5, 1.0):
                rings.append(box(cross + 6.5, at + k, cross + 9.5, at + k + 0.5))
                kinds.append(AreaKind.WHITE_PAINT)
    xy, start = ragged(rings)
    line_xy, line_start = ragged([line for line, _, _ in lines])
    return (
        _with_things(rng, xy, start, np.array([int(k) for k in kinds]), lines, line_xy, line_start),
        _vehicles(rng),
        np.array([1, 2, 3]),
    )


def _with_things(rng, xy, start, kinds, lines, line_xy, line_start) -> Scenery:
    import dataclasses

    spots = np.array(
        [
            (s + side * 15.0, a, swap)
            for s in STREETS
            for side in (-1, 1)
            for a in np.arange(-185, 186, 14.0)
            for swap in (0, 1)
        ]
    )
    spots = spots[np.abs(spots[:, 1, None] - np.array(STREETS)).min(1) > 22]
    spots = spots[rng.permutation(len(spots))]
    swap = spots[:, 2] > 0
    place = np.where(swap[:, None], spots[:, :2], spots[:, 1::-1])
    n = 300
    house, tree = place[:n], place[:280] + rng.uniform(-1, 1, (280, 2))
    towards = np.where(swap[:280, None], [[1.0, 0.0]], [[0.0, 1.0]])
    street = np.array(STREETS)[
        np.abs(np.where(swap, place[:, 0], place[:, 1])[:280, None] - np.array(STREETS)).argmin(1)
    ]
    tree = np.where(
        swap[:280, None],
        np.stack([street + np.sign(tree[:, 0] - street) * 7.4, tree[:, 1] + 6], -1),
        np.stack([tree[:, 0] + 6, street + np.sign(tree[:, 1] - street) * 7.4], -1),
    )
    post = tree + towards[:, ::-1] * 3.0
    return dataclasses.replace(
        bare_scenery("benchmark"),
        areas=Areas(kind=kinds, xy=xy, start=start),
        lines=PaintLines(
            xy=line_xy,
            start=line_start,
            width=np.full(len(lines), 0.15),
            dash=np.array([dash for _, dash, _ in lines]),
            gap=np.array([gap for _, _, gap in lines]),
            colour=np.zeros(len(lines), dtype=np.int64),
        ),
        buildings=Buildings(
            xy=house,
            yaw=np.where(swap[:n], np.pi / 2, 0.0),
            size=np.column_stack([rng.uniform(10, 13, n), rng.uniform(9, 12, n), rng.uniform(5, 24, n)]),
            roof=np.where(rng.random(n) < 0.3, 3.0, 0.0),
            facade=rng.integers(6, size=n),
            seed=np.arange(n),
        ),
        trees=Trees(
            xy=tree,
            trunk_radius=np.full(280, 0.15),
            trunk_height=np.full(280, 2.3),
            crown_radius=rng.uniform(1.3, 2.2, 280),
            crown_height=rng.uniform(3.5, 5.5, 280),
            seed=np.arange(280),
        ),
        poles=Poles(
            foot=np.column_stack([post, np.zeros(280)]),
            top=np.column_stack([post, np.full(280, 5.5)]),
            radius=np.full(280, 0.07),
        ),
        signs=Signs(
            xyz=np.column_stack([post[:110, 0] + 0.08, post[:110, 1], np.full(110, 2.4)]),
            yaw=np.where(swap[:110], np.pi / 2, 0.0),
            size=np.full((110, 2), 0.7),
            kind=rng.integers(8, size=110),
            seed=np.arange(110),
        ),
        light_heads=LightHeads(
            xyz=np.column_stack([post[:30], np.full(30, 4.4)]) - [0.25, 0, 0],
            yaw=np.where(swap[:30], np.pi / 2, np.pi),
            height=np.full(30, 1.2),
            row=np.arange(30) % 3,
        ),
    )


def _vehicles(rng: np.random.Generator) -> Tracks:
    n = 60
    street, along = rng.choice(STREETS, n), rng.uniform(-190, 190, n)
    swap, side = rng.random(n) < 0.4, rng.choice([-1.0, 1.0], n)
    across = street + side * 2.2
    xy = np.where(swap[:, None], np.stack([across, along], -1), np.stack([along, across], -1))
    yaw = np.where(swap, np.pi / 2, 0.0) + np.where((side > 0) != swap, np.pi, 0.0)
    size = np.array([[3.7, 1.65, 1.5], [4.1, 1.78, 1.46], [4.6, 1.84, 1.45], [4.7, 1.9, 1.68], [5.3, 2.02, 2.3]])[
        rng.integers(5, size=n)
    ]
    return Tracks(
        xy=xy[:, None],
        z=size[:, 2:] / 2,
        yaw=yaw[:, None],
        velocity=np.zeros((n, 1, 2)),
        size=size,
        kind=np.zeros(n, dtype=np.int64),
        valid=np.ones((n, 1), dtype=bool),
        id=tuple(f"car{i}" for i in range(n)),
    )


def box(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])


def pose_at(x: float, y: float, yaw: float) -> np.ndarray:
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:2, 3] = x, y
    return pose


def timed(job, *, repeat: int) -> tuple[float, object]:
    best, result = np.inf, None
    for _ in range(repeat):
        begin = time.process_time()
        result = job()
        best = min(best, time.process_time() - begin)
    return best, result


@njit(cache=True)
def _kernel(steps: int) -> float:
    """A chain of additions, divisions and roots: what one core does in a time of its own."""
    x = 1.0
    for k in range(steps):
        x = np.sqrt(x + 1.0 / (k + 1.0)) + 0.5
    return x


def kernel_seconds() -> float:
    _kernel(10)
    return min(timed(lambda: _kernel(2_000_000), repeat=1)[0] for _ in range(5))


def resident_mb() -> float:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
