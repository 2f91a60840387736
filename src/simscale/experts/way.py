"""What the reference's proposals drive through: its paths and their corridors, forecast objects, red lanes.

Made once a plan. The three corridors are buffers of the geometry library, so that they are the reference's polygons
to the last vertex; all that is asked of them in the loop over steps and proposals is asked by kernels.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from jaxtyping import Float

from simscale.experts.leading import Car, Driver, Lines, Objects, start_stations
from simscale.experts.paths import Paths
from simscale.experts.rules import PdmClosedRules
from simscale.geometry.segments import Segments, segments_of, segments_of_lines, segments_of_rings
from simscale.scene import DT, EgoVehicle, Tracks

Array = np.ndarray


@dataclass(frozen=True, kw_only=True)
class Way:
    """One plan's world as the reference sees it; `corridors` and `red` are Shapely polygons."""

    paths: Paths  # [q]
    start: Float[Array, " q"]  # station of the rear axle now
    corridors: Array  # [q] what the car may sweep; leading objects touch it
    forecast: Tracks  # [a t] without those that overlap the ego now
    red: Array  # [l] lanes before which a light is red; it stays red
    targets: Float[Array, " v"]  # speeds, m/s
    vehicle: EgoVehicle
    rules: PdmClosedRules
    origin_xy: Float[Array, "2"]  # rear axle now: kernels see the world from here
    exact: bool  # ask the geometry library everything: the slow twin

    @cached_property
    def lines(self) -> Lines:
        """The paths for kernels."""
        xy = np.ascontiguousarray(self.paths.xy - self.origin_xy)
        return Lines(
            pose=np.concatenate([xy, self.paths.yaw[..., None]], axis=-1),
            station=np.ascontiguousarray(self.paths.station),
            segments=segments_of_lines(xy),
            corridor=_edges_of(self.corridors, self.origin_xy),
        )

    @cached_property
    def objects(self) -> Objects:
        """The forecast and the red lanes for kernels."""
        rings = [shapely.get_coordinates(polygon)[:-1] - self.origin_xy for polygon in self.red]
        low_high = np.tile(self.origin_xy, 2)
        middle = shapely.get_coordinates(shapely.centroid(self.red)) - self.origin_xy if rings else np.zeros((0, 2))
        return Objects(
            centre=np.ascontiguousarray(self.forecast.xy - self.origin_xy),
            yaw=np.ascontiguousarray(self.forecast.yaw),
            half=np.ascontiguousarray(self.forecast.size[:, :2] / 2),
            speed=np.ascontiguousarray(self.forecast.speed),
            red=segments_of_rings(rings),
            red_middle=middle,
            red_bounds=shapely.bounds(self.red).reshape(-1, 4) - low_high if rings else np.zeros((0, 4)),
        )

    @property
    def car(self) -> Car:
        """The ego for kernels."""
        return Car(self.vehicle.length / 2, self.vehicle.width / 2, self.vehicle.rear_axle_to_centre)

    @property
    def driver(self) -> Driver:
        """The driver model for kernels."""
        rules = self.rules
        return Driver(
            rules.min_gap,
            rules.headway,
            rules.accel_max,
            rules.decel_max,
            rules.exponent,
            rules.lead_every,
            DT,
        )


def way_of(
    paths: Paths,
    forecast: Tracks,
    red_lights: list[Float[Array, "_ 2"]],
    *,
    start_xy: Float[Array, "2"],
    targets: Float[Array, " v"],
    vehicle: EgoVehicle,
    rules: PdmClosedRules,
    exact: bool = False,
) -> Way:
    """The world of one plan.

    Args:
        paths: The parallel paths.
        forecast: Objects [a t] without those that overlap the ego now.
        red_lights: Rings of the lanes before which a light is red; they stay red.
        start_xy: Rear axle now, m.
        targets: Target speeds, m/s.
        vehicle: The ego's dimensions.
        rules: Constants of the driver model.
        exact: Ask the geometry library everything (slow).
    """
    start = _start_of(paths, start_xy, exact=exact)
    reach = rules.corridor_seconds * float(np.abs(targets.max()))
    return Way(
        paths=paths,
        start=start,
        corridors=_corridors(paths, start, reach=reach, half_width=vehicle.width / 2),
        forecast=forecast,
        red=np.array([shapely.Polygon(ring) for ring in red_lights], dtype=object),
        targets=targets,
        vehicle=vehicle,
        rules=rules,
        origin_xy=np.asarray(start_xy, dtype=np.float64),
        exact=exact,
    )


def _start_of(paths: Paths, xy: Float[Array, "2"], *, exact: bool) -> Float[Array, " q"]:
    if exact:
        return np.asarray(shapely.line_locate_point(shapely.linestrings(paths.xy), shapely.Point(xy)))
    line = paths.xy - xy
    return start_stations(np.ascontiguousarray(paths.station), segments_of_lines(line), 0.0, 0.0)


def _corridors(paths: Paths, start: Float[Array, " q"], *, reach: float, half_width: float) -> Array:
    """What a car on each path may sweep: whole vertices from the start on, widened, with square ends."""
    found = []
    for station, xy, first in zip(paths.station, paths.xy, start, strict=True):
        vertices = xy[(station >= first) & (station <= first + reach)]
        # A path that has fewer than two vertices ahead has no corridor.
        found.append(shapely.LineString(vertices) if len(vertices) > 1 else shapely.LineString())
    return np.asarray(shapely.buffer(np.array(found, dtype=object), half_width, cap_style="square"), dtype=object)


def _edges_of(polygons: Array, origin_xy: Float[Array, "2"]) -> Segments:
    """The edges of polygons, holes included, a group each."""
    rings, polygon_of = shapely.get_rings(polygons, return_index=True)
    xy, ring_of = shapely.get_coordinates(rings, return_index=True)
    joined = ring_of[1:] == ring_of[:-1]
    ends = np.concatenate([xy[:-1], xy[1:]], axis=-1)[joined] - np.tile(origin_xy, 2)
    group = polygon_of[ring_of[1:][joined]]
    return segments_of(ends, np.searchsorted(group, np.arange(len(polygons) + 1)))
