"""Golden files that are not what they should be are refused in one sentence, whatever is wrong with them."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from evaluate.goldens import changed, copied
from simscale.ingest.golden import golden_scenes, read_golden_run, read_golden_scene, read_golden_vocabulary
from simscale.scene import BadInput, RoadKind

pytestmark = pytest.mark.shared

NAME = "scene_007"


@pytest.fixture
def stem(tmp_path, shared) -> Path:
    return copied(shared, tmp_path, NAME) / "scenes" / NAME


def refused(stem: Path) -> str:
    with pytest.raises(BadInput) as caught:
        read_golden_scene(stem)
    return str(caught.value)


def array(stem: Path, name: str) -> np.ndarray:
    with np.load(stem.with_suffix(".npz")) as file:
        return file[name]


def retold(stem: Path, change: Callable[[dict], object]) -> None:
    """Changes the JSON half."""
    path = stem.with_suffix(".json")
    text = json.loads(path.read_text())
    change(text)
    path.write_text(json.dumps(text))


def test_a_sound_scene_is_read(stem):
    scene = read_golden_scene(stem)
    assert scene.road.kind[scene.logged_blocks[0]] in (RoadKind.ROAD_BLOCK, RoadKind.ROAD_BLOCK_CONNECTOR)
    assert np.abs(scene.frames.ego_xy[3]).max() <= 0.5
    assert [path.name for path in golden_scenes(stem.parent.parent)] == [NAME]


@pytest.mark.parametrize("suffix", [".npz", ".json"])
def test_files_that_are_missing_empty_or_cut_short(stem, suffix):
    path = stem.with_suffix(suffix)
    whole = path.read_bytes()
    for size in (0, 1, len(whole) // 2, len(whole) - 20):
        path.write_bytes(whole[:size])
        assert f"{NAME}{suffix}: file is" in refused(stem)
    path.unlink()
    assert f"{NAME}{suffix}: file is missing" in refused(stem)


def test_bytes_that_are_flipped_do_not_get_through_as_a_traceback(stem):
    path = stem.with_suffix(".npz")
    whole = bytearray(path.read_bytes())
    for place in np.random.default_rng(0).integers(0, len(whole), 30):
        damaged = whole.copy()
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            read_golden_scene(stem)
        except BadInput as fault:
            assert NAME in str(fault)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("log_box", None, "log_box is missing, expected an array of n x 7"),
        ("traj_poses", None, "traj_poses is missing"),
        ("log_box", np.zeros((4, 6), dtype=np.float32), "log_box is of shape (4, 6)"),
        ("log_ego_dynamic", np.zeros((13, 4)), "log_ego_dynamic is of shape (13, 4), expected 14 x 4"),
        ("log_track", np.zeros(3), "log_track is of float64, expected int"),
        ("map_poly_start", np.array([0, 7]), "map_poly_start is 2 offsets"),
        ("nr_sim", np.full((40, 41, 11), np.nan), "nr_sim[0, 0, 0] is nan, expected a finite number"),
        ("log_timestamp_us", np.arange(14)[::-1].copy(), "log_timestamp_us is not ascending"),
        ("r_index", np.arange(30, 46), "r_index is 30 to 45, expected 0 to 39"),
        ("obs_start", np.zeros(42, dtype=np.int64), "obs_start is 0 to 0"),
    ],
)
def test_arrays_that_are_not_what_their_names_say(stem, name, value, words):
    changed(stem.with_suffix(".npz"), **{name: value})
    assert words in refused(stem)


def test_a_number_that_is_not_finite_in_the_log(stem):
    box = array(stem, "log_box")
    box[5, 3] = np.inf
    changed(stem.with_suffix(".npz"), log_box=box)
    assert "log_box[5, 3] is inf, expected a finite number" in refused(stem)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text.update(format="epdms-golden/2"), "format is 'epdms-golden/2', expected 'epdms-golden/1'"),
        (lambda text: text.pop("format"), "format is 'missing', expected 'epdms-golden/1'"),
        (lambda text: text.pop("map"), "map is missing"),
        (lambda text: text["map"]["polygons"][0].update(layer="ROAD"), "map.polygons.0.layer is 'ROAD'"),
        (lambda text: text["map"]["polygons"].pop(), "map_poly_start is"),
        (lambda text: text["map"].update(baseline_ids=["1"]), "map.baseline_ids is other lanes"),
        (lambda text: text["map"]["polygons"][1].update(id=text["map"]["polygons"][0]["id"]), "an id twice"),
        (lambda text: text.update(route_roadblock_ids=[]), "route_roadblock_ids is []"),
        (lambda text: text.update(route_roadblock_ids=["nowhere"]), "route_roadblock_ids is 'nowhere'"),
        (lambda text: text["log_traffic_lights"].pop(), "log_traffic_lights is of 13 frames, expected of 14"),
        (lambda text: text.update(log_traffic_lights=[[["a", "red"]]] * 14), "log_traffic_lights.0.0.1 is 'red'"),
        (lambda text: text["track_tokens"].clear(), "log_track is 0 to"),
        (lambda text: text["cache"].update(pdm_best="4"), "cache.pdm_best is '4'"),
    ],
)
def test_text_that_is_not_of_its_form(stem, change, words):
    retold(stem, change)
    assert words in refused(stem)


def test_a_vocabulary_and_a_run_are_read_as_strictly(tmp_path, shared):
    with pytest.raises(BadInput, match="vocab_poses is missing"):
        np.savez(tmp_path / "scene_000.npz", eval_pdm_score=np.zeros(3))
        read_golden_vocabulary(tmp_path / "scene_000.npz")
    source = shared / "golden" / "scoring" / "two_stage" / "two_stage_cv"
    for suffix in (".npz", ".json"):
        (tmp_path / f"run{suffix}").write_bytes(source.with_suffix(suffix).read_bytes())
    assert read_golden_run(tmp_path / "run").table is None
    retold(tmp_path / "run", lambda text: text["mapping"][0].__setitem__(0, "nobody"))
    with pytest.raises(BadInput, match=r"mapping is .nobody., expected a token of run\.npz"):
        read_golden_run(tmp_path / "run")
