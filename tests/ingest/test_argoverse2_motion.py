import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from argoverse2_log import ORIGIN, vector_map
from pyarrow import parquet

from simscale.ingest.argoverse2_motion import SIZE_OF, logs_in, scene_of
from simscale.scene import BadInput, TrackKind

STEPS = 30


def track(name, kind, x, y, *, steps=range(STEPS)):
    count = len(steps)
    return {
        "track_id": [name] * count,
        "object_type": [kind] * count,
        "timestep": list(steps),
        "position_x": ORIGIN[0] + x(np.array(steps) / 10),
        "position_y": np.full(count, ORIGIN[1] + y),
        "heading": np.zeros(count),
        "city": ["austin"] * count,
        "start_timestamp": np.full(count, 3.15986559459579e17),
    }


def write_rows(log, tracks):
    rows = {name: [value for t in tracks for value in t[name]] for name in tracks[0]}
    parquet.write_table(pa.table(rows), log / "scenario_0a1b2c.parquet")


TRACKS = (
    track("7", "vehicle", lambda t: 20 + 8.0 * t, 0.0, steps=range(5, 20)),
    track("AV", "vehicle", lambda t: 10.0 * t, 0.0),
    track("8", "pedestrian", lambda t: 30 + 0 * t, -6.0),
    track("9", "hovercraft", lambda t: 50 + 0 * t, 5.0),
)


@pytest.fixture
def log(tmp_path):
    folder = tmp_path / "0a1b2c"
    folder.mkdir()
    write_rows(folder, TRACKS)
    (folder / "log_map_archive_0a1b2c.json").write_text(json.dumps(vector_map()))
    return folder


def test_the_av_is_the_ego_and_the_others_are_tracks(log):
    scene = scene_of(log)
    assert len(scene) == STEPS and scene.id == "0a1b2c" and scene.location == "austin"
    np.testing.assert_allclose(scene.ego.xy, np.arange(STEPS)[:, None] * [1.0, 0.0], atol=1e-6)
    assert scene.tracks.id == ("7", "8", "9")
    assert scene.tracks.kind.tolist() == [TrackKind.VEHICLE, TrackKind.PEDESTRIAN, TrackKind.GENERIC_OBJECT]
    np.testing.assert_array_equal(np.flatnonzero(scene.tracks.valid[0]), np.arange(5, 20))
    np.testing.assert_allclose(scene.tracks.velocity[0, 5:20], np.tile([8.0, 0], (15, 1)), atol=1e-6)
    np.testing.assert_array_equal(scene.tracks.size[:2], [SIZE_OF["vehicle"], SIZE_OF["pedestrian"]])
    assert any("sizes" in phrase for phrase in scene.missing)
    assert sum("hovercraft" in phrase for phrase in scene.missing) == 1
    assert [scene.road.id[i] for i in scene.route] == ["1", "4", "5"]


@pytest.mark.parametrize(
    ("tracks", "said"),
    [
        ([TRACKS[0]], "timestep of track AV is 0 timesteps"),
        ([track("AV", "vehicle", lambda t: t, 0.0, steps=[0])], "1 timesteps"),
        ([track("AV", "vehicle", lambda t: t, 0.0, steps=[0, 1, 3])], "with gaps"),
        ([track("AV", "vehicle", lambda t: 0 * t, 0.0, steps=[0, 1, 10**9])], "timestep in row 2"),
        ([*TRACKS, TRACKS[2]], "one track twice"),
        ([track("AV", "vehicle", lambda t: t * np.nan, 0.0)], "position_x in row 0 is nan"),
    ],
)
def test_impossible_rows_are_refused(log, tracks, said):
    write_rows(log, tracks)
    with pytest.raises(BadInput, match=said):
        scene_of(log)


@pytest.mark.parametrize("name", ["scenario_0a1b2c.parquet", "log_map_archive_0a1b2c.json"])
def test_cut_and_missing_files_are_refused(log, name):
    content = (log / name).read_bytes()
    for cut in [0, *np.random.default_rng(3).integers(0, len(content), 8)]:
        (log / name).write_bytes(content[:cut])
        with pytest.raises(BadInput, match=name):
            scene_of(log)
    (log / name).unlink()
    with pytest.raises(BadInput, match="0 files"):
        scene_of(log)


def test_scenarios_are_found_at_any_depth(log, tmp_path):
    shutil.copytree(log, tmp_path / "deep" / "er" / "z")
    assert logs_in(tmp_path) == sorted([log, tmp_path / "deep" / "er" / "z"])
    with pytest.raises(BadInput, match="scenarios"):
        logs_in(tmp_path / "nowhere")
