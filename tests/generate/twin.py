"""An independent, slow look at what generation accepted: Shapely polygons, one instant at a time, no kernel of ours."""

import numpy as np
import shapely

from simscale.generate.sample import HORIZON, ReactingAgents, Sample, tracks_during
from simscale.scene import CarState, EgoVehicle, LightState, RoadKind, Scene, TrackKind

AGENTS = (TrackKind.VEHICLE, TrackKind.PEDESTRIAN, TrackKind.BICYCLE)
STANDING = 0.05


def box(x: float, y: float, yaw: float, length: float, width: float) -> shapely.Polygon:
    half = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [length / 2, width / 2]
    c, s = np.cos(yaw), np.sin(yaw)
    return shapely.Polygon(half @ np.array([[c, s], [-s, c]]) + [x, y])


def ego_boxes(ego: CarState, vehicle: EgoVehicle) -> list[shapely.Polygon]:
    centre = ego.xy + vehicle.rear_axle_to_centre * np.stack([np.cos(ego.yaw), np.sin(ego.yaw)], -1)
    return [box(*centre[t], ego.yaw[t], vehicle.length, vehicle.width) for t in range(HORIZON + 1)]


def others(scene: Scene, agents: ReactingAgents, t0: int) -> list[list[tuple[int, shapely.Polygon]]]:
    tracks = tracks_during(scene, agents, t0=t0)
    return [
        [
            (int(a), box(*tracks.xy[a, t], tracks.yaw[a, t], *tracks.size[a, :2]))
            for a in np.flatnonzero(tracks.valid[:, t])
        ]
        for t in range(HORIZON + 1)
    ]


def polygons(scene: Scene, *kinds: RoadKind) -> list[shapely.Polygon]:
    rings = [scene.road.ring(int(m)) for m in scene.road.of_kind(*kinds)]
    return [shapely.make_valid(shapely.Polygon(ring)) for ring in rings if len(ring) >= 3]


def touches(sample: Sample, scene: Scene) -> list[str]:
    """Whatever the perturbation rollout touches."""
    boxes = ego_boxes(sample.ego, sample.vehicle)
    return [
        f"{sample.token}: touches {scene.tracks.id[a]} at {t}"
        for t, around in enumerate(others(scene, sample.agents, sample.t0))
        for a, other in around
        if boxes[t].intersection(other).area > 1e-6
    ]


def faults(sample: Sample, scene: Scene) -> list[str]:
    """At-fault collisions, road departures, wrong-way driving and red lights of the accepted answers."""
    found = []
    for label in sample.experts:
        if label.accepted:
            name, t1 = f"{sample.token} {label.name}", sample.t0 + HORIZON
            boxes = ego_boxes(label.ego, sample.vehicle)
            tracks = tracks_during(scene, label.agents, t0=t1)
            speed = np.hypot(tracks.velocity[..., 0], tracks.velocity[..., 1])
            found += collisions(name, label.ego, boxes, others(scene, label.agents, t1), speed, scene)
            found += off_road(name, boxes, scene)
            found += wrong_way(name, label.ego, sample.vehicle, scene)
            found += red_lights(name, boxes, t1, scene)
    return found


def collisions(name, ego, boxes, around, speed, scene) -> list[str]:
    """Contact while the ego moves, except from behind, or with the side of a car that keeps its lane."""
    found, excused = [], set()
    for t, here in enumerate(around):
        for a, other in here:
            if a in excused or boxes[t].intersection(other).area <= 1e-6:
                continue
            if ego.speed[t] <= STANDING:
                excused.add(a)
                continue
            towards = np.array(other.centroid.coords[0]) - ego.xy[t]
            angle = abs((np.arctan2(towards[1], towards[0]) - ego.yaw[t] + np.pi) % (2 * np.pi) - np.pi)
            nose = shapely.LineString([boxes[t].exterior.coords[0], boxes[t].exterior.coords[3]])
            stands = scene.tracks.kind[a] not in AGENTS or speed[a, t] <= STANDING
            ahead_or_beside = angle <= np.radians(150)
            if stands or (ahead_or_beside and (nose.intersects(other) or is_exposed(boxes[t], scene))):
                found.append(f"{name}: hits {scene.tracks.id[a]} at {t}")
            excused.add(a)
    return found


def is_exposed(ego: shapely.Polygon, scene: Scene) -> bool:
    """Whether the ego lies across lanes, or has a corner off the road."""
    corners = [shapely.Point(corner) for corner in ego.exterior.coords[:4]]
    held = [
        sum(lane.covers(corner) for corner in corners) for lane in polygons(scene, RoadKind.LANE, RoadKind.CONNECTOR)
    ]
    across = sum(count > 0 for count in held) > 1 and 4 not in held
    return across or bool(off_road("", [ego], scene))


def off_road(name, boxes, scene) -> list[str]:
    kinds = (RoadKind.DRIVABLE, RoadKind.ROAD_BLOCK, RoadKind.INTERSECTION, RoadKind.CAR_PARK)
    road = shapely.union_all(polygons(scene, *kinds)).buffer(1e-3)
    shapely.prepare(road)
    return [
        f"{name}: leaves the road at {t}"
        for t, ego in enumerate(boxes)
        if not all(road.covers(shapely.Point(corner)) for corner in ego.exterior.coords[:4])
    ]


def wrong_way(name, ego, vehicle, scene) -> list[str]:
    """2 m or more within a second, off every lane that goes the route's way and off every intersection."""
    groups = set(scene.road.group[scene.route].tolist()) - {-1}
    lanes = scene.road.of_kind(RoadKind.LANE, RoadKind.CONNECTOR, RoadKind.BICYCLE_LANE)
    along = [m for m in lanes if m in scene.route or scene.road.group[m] in groups]
    mine = [shapely.Polygon(scene.road.ring(int(m))) for m in along if len(scene.road.ring(int(m))) >= 3]
    right = shapely.union_all([shapely.make_valid(p) for p in mine] + polygons(scene, RoadKind.INTERSECTION))
    right = right.buffer(1e-3)
    centre = ego.centre_xy(vehicle)[: HORIZON + 1]
    step = np.append(0.0, np.hypot(*np.diff(centre, axis=0).T))
    wrong = np.array([0.0 if right.covers(shapely.Point(p)) else d for p, d in zip(centre, step, strict=True)])
    worst = max(wrong[max(0, t - 9) : t + 1].sum() for t in range(len(wrong)))
    return [f"{name}: {worst:.1f} m against traffic"] if worst >= 2.0 else []


def red_lights(name, boxes, t1, scene) -> list[str]:
    groups = set(scene.road.group[scene.route].tolist()) - {-1}
    found = []
    for row, element in enumerate(scene.lights.element):
        if element not in scene.route and scene.road.group[element] not in groups:
            continue
        area = shapely.Polygon(scene.road.ring(int(element)))
        for t, ego in enumerate(boxes):
            if scene.lights.state[row, t1 + t] == LightState.RED and ego.intersection(area).area > 1e-6:
                found.append(f"{name}: runs the light of {scene.road.id[element]} at {t}")
                break
    return found
