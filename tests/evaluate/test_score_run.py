"""A scoring run put together: the reference's tables from its own drives, and its verdicts on a scene of ours."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from golden import golden_scene
from simscale.evaluate.aggregate import COLUMNS
from simscale.evaluate.audit import audited
from simscale.evaluate.protocol import Protocol, protocol_of
from simscale.evaluate.scene_start import scene_start
from simscale.evaluate.score_run import Groups, put_together, read_groups
from simscale.evaluate.score_unit import Judged
from simscale.evaluate.table import COLUMNS_OF, read_table, table_csv
from simscale.evaluate.verdicts import expert_of, verdict_on
from simscale.geometry.se2 import to_parent
from simscale.scene import DT, NO_CAMERAS, NO_RECORDINGS, BadInput, CarState, Lights, Plan, Scene, Tracks

TWO_STAGE = ("two_stage_cv", "two_stage_mixed", "two_stage_pdm_noisy")
ONE_STAGE = ("cv_non_reactive", "human_non_reactive", "pdm_noisy_non_reactive", "pdm_noisy_reactive")


def judged_of(npz: dict[str, np.ndarray]) -> Judged:
    """What the reference's scripts hand to their aggregation."""
    tokens = tuple(str(token) for token in npz["tokens"])
    return Judged(
        token=tokens,
        log=tuple(str(log) for log in npz["log_name"]) if "log_name" in npz else ("",) * len(tokens),
        reason=("",) * len(tokens),
        shown=npz["metrics"],
        counted=npz["metrics"],
        ego=npz["sim_states"],
        start_xy=npz["start_pose"][:, :2],
        end_xy=npz["endpoint"],
        time_us=np.rint(npz["start_time"] * 1e6).astype(np.int64),
    )


def stem_of(shared: Path, name: str) -> Path:
    return shared / "golden/scoring/two_stage" / name


@pytest.mark.shared
@pytest.mark.parametrize("name", (*TWO_STAGE, *(f"one_stage_{name}" for name in ONE_STAGE)))
def test_the_references_tables_follow_from_its_drives(shared: Path, tmp_path: Path, name: str):
    stem = stem_of(shared, name)
    judged = judged_of(dict(np.load(stem.with_suffix(".npz"))))
    held = json.loads(stem.with_suffix(".json").read_text())
    groups = None
    if name in TWO_STAGE:
        (tmp_path / "groups.json").write_text(json.dumps({"reactive_all_mapping": held["mapping"]}))
        groups = read_groups(tmp_path / "groups.json")
        row = {token: n for n, token in enumerate(judged.token)}
        judged = ordered(judged, [row[token] for token in groups.token])
    protocol = protocol_of(stages=1 if groups is None else 2)
    found = put_together(judged, protocol, groups).table
    official = read_table(stem.with_suffix(".csv"))
    assert found.kind == official.kind and sorted(found.token) == sorted(official.token)
    place = {token: n for n, token in enumerate(found.token)}
    order = [place[token] for token in official.token]
    np.testing.assert_allclose(found.values[order], official.values, rtol=0, atol=1e-9)
    for row, values in official.summary.items():
        np.testing.assert_allclose(found.summary[row], values, rtol=0, atol=1e-9)
    assert table_csv(found).splitlines()[0] == stem.with_suffix(".csv").read_text().splitlines()[0]
    assert audited(found).explained


def ordered(judged: Judged, rows: list[int]) -> Judged:
    def taken(values):
        return tuple(values[n] for n in rows) if isinstance(values, tuple) else values[rows]

    return Judged(**{name: taken(values) for name, values in vars(judged).items()})


def made(count: int, *, seed: int = 0, columns: int = 8) -> Judged:
    rng = np.random.default_rng(seed)
    scores = (rng.random((count, columns)) < 0.8).astype(float)
    return Judged(
        token=tuple(f"log-t{5 * n:04d}" for n in range(count)),
        log=("log",) * count,
        reason=("",) * count,
        shown=scores,
        counted=scores,
        ego=rng.normal(size=(count, 41, 11)) * 0.001,
        start_xy=rng.normal(size=(count, 2)) * 0.2,
        end_xy=rng.normal(size=(count, 2)) * 0.2,
        time_us=500_000 * np.arange(count),
    )


def failed(judged: Judged, row: int) -> Judged:
    shown, counted = judged.shown.copy(), judged.counted.copy()
    shown[row] = counted[row] = np.nan
    reason = tuple("no map" if n == row else why for n, why in enumerate(judged.reason))
    return replace(judged, shown=shown, counted=counted, reason=reason)


def test_a_failed_token_is_listed_lowers_the_coverage_and_takes_its_neighbours_comfort():
    judged = made(6)
    whole, part = (put_together(one, protocol_of(), None) for one in (judged, failed(judged, 2)))
    assert whole.coverage == 1.0 and part.coverage == pytest.approx(5 / 6)
    assert part.failures == (("log-t0010", "no map"),)
    extended = COLUMNS.index("extended_comfort")
    np.testing.assert_array_equal(np.isnan(whole.columns[:, extended]), np.arange(6) == 0)
    np.testing.assert_array_equal(np.isnan(part.columns[:, extended]), np.isin(np.arange(6), [0, 2, 3]))
    np.testing.assert_array_equal(part.table.valid, np.arange(6) != 2)
    assert audited(part.table).explained
    none = failed(failed(judged, 0), 1)
    for row in range(2, 6):
        none = failed(none, row)
    assert put_together(none, protocol_of(), None).coverage == 0.0


def test_two_stages_leave_out_what_failed(tmp_path: Path):
    groups = groups_of(tmp_path, [["a-t0005", "a-t0000", [["b-t0005", "b-t0000"], ["c-t0005", "c-t0000"]]]])
    judged = replace(made(6), token=groups.token, log=tuple(token[0] for token in groups.token))
    judged = replace(judged, time_us=np.array([500_000, 0] * 3))
    whole = put_together(judged, protocol_of(stages=2), groups)
    assert whole.both is not None and whole.both.scored.all() and audited(whole.table).explained
    part = put_together(failed(judged, 4), protocol_of(stages=2), groups)
    assert part.both is not None and part.both.scored.all() and part.coverage == pytest.approx(5 / 6)
    lost = put_together(failed(judged, 1), protocol_of(stages=2), groups)
    assert lost.both is not None and not lost.both.scored.any()
    assert all(audited(run.table).explained for run in (part, lost))


def groups_of(folder: Path, held: object) -> Groups:
    path = folder / "groups.json"
    path.write_text(json.dumps(held))
    return read_groups(path)


@pytest.mark.parametrize(
    "held", [[], {}, "x", [["a", "b"]], [["a", "b", []]], [["a", "b", [["c"]]]], [["a", 1, [["c", "d"]]]], 7, None]
)
def test_groups_that_are_none_are_refused(tmp_path: Path, held: object):
    with pytest.raises(BadInput, match="groups is something else"):
        groups_of(tmp_path, held)


def test_a_token_stands_once(tmp_path: Path):
    for held in ([["a", "b", [["a", "c"]]]], [["a", "b", [["c", "d"]]], ["b", "e", [["f", "g"]]]]):
        with pytest.raises(BadInput, match="twice, expected each token once"):
            groups_of(tmp_path, held)
    (tmp_path / "groups.json").write_text("[[")
    with pytest.raises(BadInput, match="no JSON"):
        read_groups(tmp_path / "groups.json")
    with pytest.raises(BadInput, match="missing"):
        read_groups(tmp_path / "nothing.json")


def test_the_old_score_has_its_own_columns_and_no_partners():
    found = put_together(made(5, columns=6), protocol_of("pdms-v1"), None)
    assert found.table.kind == "pdms-v1" and found.columns.shape == (5, len(COLUMNS_OF["pdms-v1"]))
    assert audited(found.table).explained and list(found.table.summary) == ["average"]
    assert found.protocol.name == "pdms-v1.1/one-stage/log-replay/human-filter-none"


def test_the_old_score_knows_neither_stages_nor_reactive_traffic():
    for more in ({"stages": 2}, {"traffic": "reactive"}):
        with pytest.raises(BadInput, match="PDMS of v1"):
            protocol_of("pdms-v1", **more)
    names = {protocol_of(stages=n, human_filter=f).name for n in (1, 2) for f in ("fixed", "legacy")}
    assert len(names) == 4 and "epdms-v2.2/two-stage/idm-navsim/human-filter-legacy" in names


NOW = 20


def scene_of(shared: Path, number: int) -> Scene:
    """A golden scene as one of ours: on a grid of 10 Hz, with what the reference interpolates between its frames."""
    golden = golden_scene(shared, number)
    instants = NOW + 41
    human = golden.npz["human_poses"].astype(np.float64)
    xy, yaw = to_parent(human[:, :2], human[:, 2], frame_xy=golden.ego.xy, frame_yaw=float(golden.ego.yaw))
    ego = np.repeat(golden.ego.packed()[None], instants, axis=0)
    ego[NOW - 15 : NOW - 1] = golden.history.packed()
    ego[NOW + 5 :: 5, :2], ego[NOW + 5 :: 5, 2] = xy, yaw
    tracks = golden.tracks

    def later(values: np.ndarray) -> np.ndarray:
        before = np.zeros((len(values), NOW, *values.shape[2:]), dtype=values.dtype)
        return np.concatenate([before, values], axis=1)

    moved = {name: later(getattr(tracks, name)) for name in ("xy", "z", "yaw", "velocity", "valid")}
    lights = golden.lights
    return Scene(
        id=f"golden-{number}",
        source="own",
        location="golden",
        origin=np.append(golden.origin, 0.0),
        timestamp_us=int(golden.npz["ego_time_us"]) + 100_000 * (np.arange(instants) - NOW),
        vehicle=golden.vehicle,
        ego=CarState.unpacked(ego),
        ego_z=np.zeros(instants),
        tracks=Tracks(**moved, size=tracks.size, kind=tracks.kind, id=tracks.id),
        road=golden.road,
        lights=Lights(
            element=lights.element,
            state=np.concatenate([np.repeat(lights.state[:, :1], NOW, axis=1), lights.state], axis=1),
        ),
        route=_route_of_blocks(golden),
        cameras=NO_CAMERAS,
        images=NO_RECORDINGS,
        sweeps=NO_RECORDINGS,
        sensor_root="",
        ground=None,
        missing=(),
    )


def _route_of_blocks(golden) -> np.ndarray:
    """One lane of each road block of the log's route, in driving order."""
    road = golden.road
    groups = golden.elements(golden.json["route_roadblock_ids"])
    return np.array([np.flatnonzero((road.group == group) & (road.kind <= 1))[0] for group in groups])


def columns_of(scene: Scene, poses: np.ndarray, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Sub-scores of plans [k 8 3], as shown and as counted."""
    start = scene_start(scene, NOW)
    expert, _ = expert_of(start, protocol)
    found = []
    for pose in poses.astype(np.float64):
        plan = Plan(xy=pose[:, :2], yaw=pose[:, 2], dt=5 * DT)
        verdict = verdict_on(plan, start, expert, protocol, with_human=True)
        found.append((verdict.shown, verdict.counted))
    shown, counted = zip(*found, strict=True)
    return np.stack(shown), np.stack(counted)


@pytest.mark.shared
@pytest.mark.parametrize("number", [0, 1, 9, 13])
def test_verdicts_in_log_replay_are_the_references(shared: Path, number: int):
    golden = golden_scene(shared, number).npz
    shown, counted = columns_of(scene_of(shared, number), golden["traj_poses"], protocol_of())
    np.testing.assert_allclose(shown, golden["nr_final"], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(shown, counted)


@pytest.mark.shared
@pytest.mark.parametrize("number", [9, 22])
def test_verdicts_with_the_legacy_filter_are_the_forks(shared: Path, number: int):
    golden = golden_scene(shared, number).npz
    fork = np.load(shared / "golden/scoring/vocab" / f"scene_{number:03d}.npz")
    rows = slice(0, 40, 4)
    protocol = protocol_of(human_filter="legacy")
    shown, counted = columns_of(scene_of(shared, number), golden["traj_poses"][rows], protocol)
    np.testing.assert_allclose(shown, fork["legacy_filter_final"][rows], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(counted[:, :4].prod(axis=1), fork["legacy_filter_mult"][rows])
    np.testing.assert_allclose(counted[:, 4:], fork["legacy_filter_weighted"][rows][:, :4], rtol=0, atol=1e-6)


@pytest.mark.shared
@pytest.mark.parametrize("number", [1, 6])
@pytest.mark.parametrize("exact", [False, True])
def test_verdicts_in_reactive_traffic_are_the_references(shared: Path, number: int, exact: bool):
    golden = golden_scene(shared, number).npz
    rows = golden["r_index"][:4]
    shown, _ = columns_of(
        scene_of(shared, number), golden["traj_poses"][rows], protocol_of(traffic="reactive", exact=exact)
    )
    np.testing.assert_allclose(shown, golden["r_final"][:4], rtol=0, atol=1e-6)
