"""A made scenery for tests: one straight street with a side street, whatever can stand beside it, no randomness."""

import dataclasses

import numpy as np

from simscale.geometry.polygons import ragged
from simscale.town.scenery import (
    AreaKind,
    Areas,
    Buildings,
    Facade,
    LightHeads,
    PaintLines,
    Poles,
    PropKind,
    Props,
    Scenery,
    SignKind,
    Signs,
    Trees,
    bare_scenery,
)


def rectangle(x0: float, y0: float, x1: float, y1: float) -> np.ndarray:
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], dtype=float)


def areas_of(parts: list[tuple[AreaKind, np.ndarray]]) -> Areas:
    xy, start = ragged([ring for _, ring in parts])
    return Areas(kind=np.array([int(kind) for kind, _ in parts]), xy=xy, start=start)


def lines_of(parts: list[tuple[np.ndarray, float, float, float, int]]) -> PaintLines:
    """Each part: polyline, width, dash, gap, colour."""
    xy, start = ragged([line for line, *_ in parts])
    width, dash, gap, colour = (np.array(column) for column in list(zip(*parts, strict=True))[1:])
    return PaintLines(
        xy=xy, start=start, width=width.astype(float), dash=dash.astype(float), gap=gap.astype(float), colour=colour
    )


def sample_scenery(length: float = 200.0) -> Scenery:
    """A street along x (road |y| <= 5), a side street along y at x = 30, lights there, houses behind pavements."""
    half = length / 2
    areas = [
        (AreaKind.PAVEMENT, rectangle(-half, -8.5, half, 8.5)),
        (AreaKind.PAVEMENT, rectangle(21.5, -half, 38.5, half)),
        (AreaKind.ASPHALT, rectangle(-half, -5.0, half, 5.0)),
        (AreaKind.ASPHALT, rectangle(25.0, -half, 35.0, half)),
        (AreaKind.PAVING, rectangle(-40.0, 5.0, -10.0, 7.4)),
        (AreaKind.WHITE_PAINT, rectangle(22.2, -4.8, 22.6, -0.1)),
    ]
    areas += [(AreaKind.WHITE_PAINT, rectangle(23.2, y, 24.8, y + 0.5)) for y in np.arange(-4.5, 4.4, 1.0)]
    x = np.array([-half, 22.0])
    lines = [
        (np.stack([x, np.full(2, 4.7)], axis=-1), 0.15, 0.0, 0.0, 0),
        (np.stack([x, np.full(2, -4.7)], axis=-1), 0.15, 0.0, 0.0, 0),
        (np.stack([x, np.full(2, 0.0)], axis=-1), 0.15, 3.0, 4.5, 1),
        (np.array([[38.0, 0.0], [half, 0.0]]), 0.15, 3.0, 4.5, 0),
    ]
    along = np.arange(-half + 12, half - 8, 22.0)
    along = along[np.abs(along - 30) > 18]
    n = len(along)
    sides = np.concatenate([np.full(n, 1.0), np.full(n, -1.0)])
    place = np.concatenate([along, along])
    index = np.arange(2 * n)
    buildings = Buildings(
        xy=np.stack([place, sides * 16.0], axis=-1),
        yaw=np.where(sides > 0, np.pi, 0.0) + 0.02 * (index % 3 - 1),
        size=np.stack([16.0 + index % 4, np.full(2 * n, 12.0), 6.0 + 3.1 * (index * 7 % 6)], axis=-1),
        roof=np.where(index % 6 == 5, 3.0, 0.0),
        facade=np.where(index % 6 == 5, int(Facade.HOUSE), index % 5),
        seed=index,
    )
    spots = np.concatenate([along + 11.0, along + 10.0])
    keep = np.abs(spots - 30) > 8
    m = int(keep.sum())
    trees = Trees(
        xy=np.stack([spots, sides * 7.6], axis=-1)[keep],
        trunk_radius=np.full(m, 0.16),
        trunk_height=np.full(m, 2.3),
        crown_radius=1.5 + 0.2 * (np.arange(m) % 4),
        crown_height=4.0 + 0.4 * (np.arange(m) % 3),
        seed=np.arange(m),
    )
    posts = [((x, 5.6, 0.0), (x, 5.6, 6.0), 0.08) for x in along]
    posts += [((22.4, -5.8, 0.0), (22.4, -5.8, 5.6), 0.1), ((22.4, -5.8, 5.4), (22.4, -1.5, 5.6), 0.06)]
    posts += [((37.5, 5.8, 0.0), (37.5, 5.8, 3.4), 0.08), ((-20.0, -5.9, 0.0), (-20.0, -5.9, 2.6), 0.04)]
    foot, top, radius = (np.array(column) for column in zip(*posts, strict=True))
    return dataclasses.replace(
        bare_scenery("sample"),
        areas=areas_of(areas),
        lines=lines_of(lines),
        buildings=buildings,
        trees=trees,
        poles=Poles(foot=foot, top=top, radius=radius),
        signs=Signs(
            xyz=np.array([[-20.0, -5.85, 2.4], [37.5, 5.75, 2.2]]),
            yaw=np.array([np.pi, 0.0]),
            size=np.array([[0.7, 0.7], [0.7, 0.7]]),
            kind=np.array([int(SignKind.SPEED_LIMIT), int(SignKind.CROSSING)]),
            seed=np.array([0, 1]),
        ),
        light_heads=LightHeads(
            xyz=np.array([[22.3, -1.8, 5.2], [22.3, -5.8, 3.2], [37.5, 5.8, 3.0]]),
            yaw=np.array([np.pi, np.pi, 0.0]),
            height=np.array([1.2, 1.2, 1.2]),
            row=np.array([0, 0, 1]),
        ),
        props=Props(
            xyz=np.array([[-5.0, 8.3, 0.6], [10.0, -8.2, 0.5]]),
            yaw=np.zeros(2),
            size=np.array([[6.0, 0.6, 1.1], [1.8, 0.6, 0.8]]),
            kind=np.array([int(PropKind.HEDGE), int(PropKind.BENCH)]),
            seed=np.arange(2),
        ),
    )
