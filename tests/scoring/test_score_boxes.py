import numpy as np
import shapely

from simscale.geometry.boxes import corners_of
from simscale.scene import PACIFICA, CarState
from simscale.scoring import contacts
from simscale.scoring.boxes import meets, segment_meets_box
from worlds import tracks_of


def ego_at(poses: np.ndarray) -> CarState:
    packed = np.zeros((1, len(poses), 11))
    packed[0, :, :3] = poses
    return CarState.unpacked(packed)


def test_boxes_meet_as_polygons_do():
    rng = np.random.default_rng(0)
    n = 3000
    xy, yaw = rng.uniform(-5, 5, (2, n, 2)), rng.uniform(-4, 4, (2, n))
    size = rng.uniform(0.3, 6.0, (2, n, 2))
    corner = [corners_of(xy[i], yaw[i], size[i, :, 0], size[i, :, 1]) for i in range(2)]
    wanted = shapely.intersects(*(shapely.polygons(c) for c in corner))
    axis = np.stack([np.cos(yaw), np.sin(yaw)], -1)
    ours = [
        meets(*(xy[1, i] - xy[0, i]), *axis[0, i], *(size[0, i] / 2), *axis[1, i], *(size[1, i] / 2)) for i in range(n)
    ]
    assert 0.2 < wanted.mean() < 0.8
    assert ours == wanted.tolist()


def test_touching_is_meeting():
    assert meets(2.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0)
    assert not meets(2.0 + 1e-9, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0)
    assert segment_meets_box(-5.0, 1.0, 5.0, 1.0, 2.0, 1.0)
    assert not segment_meets_box(-5.0, 1.0 + 1e-9, 5.0, 1.0 + 1e-9, 2.0, 1.0)


def test_segments_meet_boxes_as_lines_do():
    rng = np.random.default_rng(1)
    ends = rng.uniform(-4, 4, (2000, 2, 2))
    wanted = shapely.intersects(shapely.linestrings(ends), shapely.box(-2.0, -1.0, 2.0, 1.0))
    assert [segment_meets_box(*a, *b, 2.0, 1.0) for a, b in ends] == wanted.tolist()


def test_contact_is_seen_at_its_sample_and_only_with_valid_boxes():
    tracks = tracks_of([(20.0, 0.0, 0.0, 0.0)], 3)
    # The Pacifica's front is 4.049 m ahead of its rear axle; the other's rear stands at 17.75.
    ego = ego_at(np.array([[10.0, 0.0, 0.0], [13.70, 0.0, 0.0], [13.71, 0.0, 0.0]]))
    assert contacts(ego, tracks, vehicle=PACIFICA).tolist() == [[False, False, True]]
    tracks.valid[0, 2] = False
    assert not contacts(ego, tracks, vehicle=PACIFICA).any()


def test_no_tracks_no_contact():
    assert not contacts(ego_at(np.zeros((4, 3))), tracks_of([], 4), vehicle=PACIFICA).any()
