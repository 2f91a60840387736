"""Drivable area from a raster: a black and white picture becomes polygons.

The outline of the white pixels runs along pixel edges. Long straight runs of such edges are laid end to end, closed
into faces, and the faces that are white are kept; a light simplification turns the stairs into straight lines.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from jaxtyping import Bool, Int
from PIL import Image, UnidentifiedImageError
from scipy.ndimage import binary_closing

from simscale.scene import BadInput

Array = np.ndarray

TOLERANCE = 0.1
"""How far an outline may move when it is simplified, m: one pixel (ours)."""
CRACK = 3
"""Black lines narrower than this many pixels, left between neighbouring polygons by drawing them, are closed (ours)."""
MIN_HOLE = 2.0
"""Smallest hole that is kept, m^2: a kerb around a tree, not a speck (ours)."""
MIN_ISLAND = 2.0
"""Smallest white piece that is kept, m^2 (ours)."""
MAX_PIXELS = 100_000_000
"""Largest picture: one kilometre at 0.1 m (ours)."""


@dataclass(frozen=True, kw_only=True)
class Mask:
    """A drivable area drawn in pixels; column `(x - x_min) / resolution`, row `(y_max - y) / resolution`."""

    drivable: Bool[Array, "h w"]
    x_min: float  # m, in the source's map
    y_max: float  # m
    resolution: float  # m a pixel

    @property
    def extent(self) -> shapely.Polygon:
        """What the picture shows."""
        height, width = self.drivable.shape
        return shapely.box(
            self.x_min, self.y_max - height * self.resolution, self.x_min + width * self.resolution, self.y_max
        )


def read_mask(folder: Path, name: str) -> Mask | None:
    """The mask `name` of a folder of pictures with their `index.json`; None where the index does not list it.

    Raises:
        BadInput: The index or the picture is damaged, or they disagree.
    """
    index = folder / "index.json"
    try:
        entries = json.loads(index.read_bytes())
        if name not in entries:
            return None
        entry = entries[name]
        x_min, y_max, resolution = (float(entry[key]) for key in ("x_min", "y_max", "resolution_m"))
        size = (int(entry["width"]), int(entry["height"]))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(index, name, f"damaged ({error})", "x_min, y_max, resolution_m, width, height") from None
    if not (0.01 <= resolution <= 10.0 and np.isfinite([x_min, y_max]).all()):
        raise BadInput(index, f"{name}.resolution_m", resolution, "0.01 to 10 m a pixel at a finite place")
    return Mask(drivable=_pixels(folder / f"{name}.png", size), x_min=x_min, y_max=y_max, resolution=resolution)


def _pixels(path: Path, size: tuple[int, int]) -> Bool[Array, "h w"]:
    if size[0] * size[1] > MAX_PIXELS:
        raise BadInput(path, "size", size, f"at most {MAX_PIXELS} pixels")
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.size != size or image.mode not in ("1", "L"):
                raise BadInput(path, "picture", f"{image.size} {image.mode}", f"{size} in black and white")
            return np.asarray(image.convert("L")) > 0
    except FileNotFoundError:
        raise BadInput(path, "picture", "missing", "the mask that index.json lists") from None
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadInput(path, "picture", f"damaged ({str(error)[:60]})", "a PNG") from None


def area_of(mask: Mask) -> shapely.Geometry:
    """The white part as polygons in the source's map, without specks, outlines within `TOLERANCE`."""
    beyond = np.pad(mask.drivable, CRACK, mode="edge")  # so that cracks are closed up to the border
    closed = binary_closing(beyond, np.ones((CRACK, CRACK), dtype=bool))[CRACK:-CRACK, CRACK:-CRACK]
    padded = np.pad(mask.drivable | closed, 1)
    lines = np.concatenate([_edges(padded), _edges(padded.T)[..., ::-1]])  # (column, row) of both ends
    outline = np.asarray(shapely.linestrings(lines.astype(np.float64)))
    faces = shapely.get_parts(shapely.polygonize(outline))
    inside = shapely.get_coordinates(shapely.point_on_surface(faces)).astype(int)
    white = faces[padded[inside[:, 1] + 1, inside[:, 0] + 1]] if len(faces) else faces
    to_map = np.array([mask.resolution, -mask.resolution])
    placed = shapely.transform(white, lambda pixels: pixels * to_map + [mask.x_min, mask.y_max])
    large = [_without_small_holes(face) for face in placed if face.area >= MIN_ISLAND]
    return shapely.union_all(shapely.make_valid(shapely.simplify(large, TOLERANCE)))


def _without_small_holes(face: shapely.Polygon) -> shapely.Polygon:
    holes = [hole for hole in face.interiors if shapely.Polygon(hole).area >= MIN_HOLE]
    return shapely.Polygon(face.exterior, holes)


def _edges(padded: Bool[Array, "h w"]) -> Int[Array, "n 2 2"]:
    """Longest straight pieces of the outline along rows, as (column, row) of both ends in unpadded pixels.

    A piece ends where the outline turns, which includes a corner at which two white pixels touch: there white changes
    sides.
    """
    side = np.diff(padded.astype(np.int8), axis=0)  # +1: white below, -1: white above
    change = np.diff(side, axis=1, prepend=0, append=0)
    row, column = np.nonzero(change)
    before, after = np.pad(side, ((0, 0), (1, 1)))[row, column], np.pad(side, ((0, 0), (1, 1)))[row, column + 1]
    begin, end = after != 0, before != 0
    starts = np.stack([column[begin], row[begin]], axis=-1)
    ends = np.stack([column[end], row[end]], axis=-1)
    return np.stack([starts, ends], axis=1) - np.array([1, 0])
