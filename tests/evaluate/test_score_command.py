"""`simscale score` as people and programs use it, on drives through a small town."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from command import asked, code_of, told
from evaluate.submissions import write_submission
from simscale.evaluate.audit import audited
from simscale.evaluate.scene_start import scene_start
from simscale.evaluate.table import COLUMNS_OF, read_table
from simscale.scene import CarState, Lights, Scene
from simscale.scene.file import write_scene
from small_splits import TOWN, small_scenes

KEYS = {
    "protocol",
    "coverage",
    "filter",
    "score",
    "interval",
    "stage_one",
    "stage_two",
    "combined",
    "counts",
    "failures",
}
INSTANTS = (20, 25, 30, 60, 65)


def names(instants: tuple[int, ...] = INSTANTS) -> list[tuple[str, int, int]]:
    """Token, number of the scene and instant."""
    return [(f"{s.id}-t{t:04d}", n, t) for n, s in enumerate(small_scenes()) for t in instants]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    """Two drives."""
    folder = tmp_path_factory.mktemp("town")
    for scene in small_scenes():
        write_scene(scene, folder)
    return folder


def human_poses(instants: tuple[int, ...] = INSTANTS) -> dict[str, np.ndarray]:
    found = {}
    for token, n, instant in names(instants):
        plan = scene_start(small_scenes()[n], instant).human
        found[token] = np.column_stack([plan.xy[0], plan.yaw[0]])
    return found


def write_npz(path: Path, poses: dict[str, np.ndarray]) -> Path:
    np.savez(path, token=np.array(list(poses)), poses=np.stack(list(poses.values())))
    return path


@pytest.fixture
def scored(capsys) -> Callable[..., dict]:
    """Runs the command here with one worker; gives what it says, the code, and the words for people."""

    def ask(plans: object, *scenes: object, out: Path, code: int = 0, more: tuple[object, ...] = ()) -> dict:
        assert code_of("score", plans, *scenes, "--out", out, "--workers", 1, "--json", *more) == code
        stdout, stderr = capsys.readouterr()
        return told(stdout) | {"words": stderr}

    return ask


def test_plans_become_the_references_table_and_numbers_with_intervals(tmp_path, scenes, scored):
    path, out = write_npz(tmp_path / "plans.npz", human_poses()), tmp_path / "out"
    said = scored(path, scenes, out=out)
    assert said.keys() >= KEYS and said["coverage"] == 1.0 and said["filter"] == "fixed"
    assert said["protocol"] == "epdms-v2.2/one-stage/log-replay/human-filter-fixed"
    assert said["interval"][0] <= said["score"] <= said["interval"][1] and said["stage_two"] is None
    assert "EPDMS" not in said["words"] and "coverage 100.0% of 10 tokens in 2 logs" in said["words"]
    table = read_table(out / "scores.csv")
    assert table.kind == "one-stage" and table.token == tuple(human_poses())
    audit = audited(table)
    assert audit.explained and audit.filter == "fixed"
    assert said["score"] == pytest.approx(100 * table.summary["average_all_frames"][-1])
    extended = table.values[:, COLUMNS_OF["one-stage"].index("two_frame_extended_comfort")]
    first = np.array([t in (20, 60) for _, _, t in names()])  # of a run of consecutive frames (Q15)
    np.testing.assert_array_equal(np.isnan(extended), first)
    assert said["counts"]["without_extended_comfort"] == 4
    kept = json.loads((out / "summary.json").read_text())
    assert kept == {key: value for key, value in said.items() if key != "words"}
    assert json.loads((out / "manifest.json").read_text())["command"] == "score"


def test_the_human_by_name_is_the_human_by_plans(tmp_path, scenes, scored):
    """Drivers by name are scored at every token; the same drives give the same rows."""
    scored("human", scenes, out=tmp_path / "named")
    scored(write_npz(tmp_path / "plans.npz", human_poses()), scenes, out=tmp_path / "given")
    named, given = (read_table(tmp_path / part / "scores.csv") for part in ("named", "given"))
    rows = {token: n for n, token in enumerate(named.token)}
    assert len(rows) > len(given.token)
    same = named.values[[rows[token] for token in given.token]]
    np.testing.assert_allclose(same[:, :8], given.values[:, :8], rtol=0, atol=1e-12)


def test_a_submission_says_the_same(tmp_path, scenes, scored):
    poses = {token: rows.astype(np.float32).astype(np.float64) for token, rows in human_poses((20, 25)).items()}
    path = write_submission(tmp_path / "submission.pkl", poses, {"elsewhere-t0020": poses[next(iter(poses))]})
    one = scored(path, scenes, out=tmp_path / "pickle")
    two = scored(write_npz(tmp_path / "plans.npz", poses), scenes, out=tmp_path / "npz")
    assert (tmp_path / "pickle/scores.csv").read_bytes() == (tmp_path / "npz/scores.csv").read_bytes()
    assert one["about"]["team_name"] == "town" and two["about"] == {}
    assert "1 plans are of tokens that are not asked for" in one["words"]


def test_what_fails_is_listed_and_the_rest_is_scored(tmp_path, scenes, scored):
    poses = human_poses((20, 25))
    whole = scored(write_npz(tmp_path / "whole.npz", poses), scenes, out=tmp_path / "whole")
    wild = next(iter(poses.values()))
    late = f"{small_scenes()[0].id}-t0149"
    bad = {"nowhere-t0020": wild, late: wild, "x": wild, f"{small_scenes()[1].id}-t0040": wild * np.nan}
    folder = shutil.copytree(scenes, tmp_path / "scenes")
    (folder / "broken.scene.npz").write_bytes(b"nothing")
    bad["broken-t0020"] = wild
    said = scored(write_npz(tmp_path / "bad.npz", poses | bad), folder, out=tmp_path / "bad", code=1)
    assert {failure["token"] for failure in said["failures"]} == set(bad)
    assert said["counts"]["failed"] == len(bad) and said["coverage"] == pytest.approx(4 / 9)
    assert said["score"] == pytest.approx(whole["score"])
    for token in bad:
        assert f"failed: {token}: " in said["words"]
    reasons = {failure["token"]: failure["error"] for failure in said["failures"]}
    assert "plan is not finite" in reasons[f"{small_scenes()[1].id}-t0040"]
    assert "instant is 149, expected 15 to 110" in reasons[late] and "damaged" in reasons["broken-t0020"]
    table = read_table(tmp_path / "bad" / "scores.csv")
    assert table.valid.sum() == 4 and audited(table).explained


def test_a_wild_plan_scores_nothing(tmp_path, scenes, scored):
    path = write_npz(tmp_path / "plans.npz", {names()[0][0]: np.full((8, 3), 1e6)})
    said = scored(path, scenes, out=tmp_path / "out")
    assert said["score"] == 0.0 and said["coverage"] == 1.0 and said["interval"] == [None, None]


def test_the_same_command_goes_on_and_another_is_refused(tmp_path, scenes, scored, capsys):
    path, out = write_npz(tmp_path / "plans.npz", human_poses()), tmp_path / "out"
    first = scored(path, scenes, out=out)
    before = (out / "scores.csv").read_bytes()
    victim = sorted((out / "parts").iterdir())[0]
    victim.unlink()
    (out / "manifest.json").unlink()
    again = scored(path, scenes, out=out)
    assert (out / "scores.csv").read_bytes() == before and victim.exists()
    assert {**first, "words": ""} == {**again, "words": ""}
    assert code_of("score", path, scenes, "--out", out, "--filter", "legacy", "--workers", 1) == 2
    assert "human_filter" in capsys.readouterr().err


def test_the_score_of_v1(tmp_path, scenes, scored, capsys):
    path, out = write_npz(tmp_path / "plans.npz", human_poses((20, 60))), tmp_path / "out"
    said = scored(path, scenes, out=out, more=("--protocol", "pdms-v1"))
    assert said["protocol"] == "pdms-v1.1/one-stage/log-replay/human-filter-none" and said["filter"] == "none"
    header = (out / "scores.csv").read_text().splitlines()[0]
    assert header == ",token,valid," + ",".join(COLUMNS_OF["pdms-v1"])
    assert code_of("aggregate", out / "scores.csv", "--json") == 0
    assert told(capsys.readouterr().out)["published"]["average"] == pytest.approx(said["score"] / 100)


def write_groups(path: Path) -> Path:
    """The second stage starts where the human is after 4 s, and half a second to a second later."""
    scene = small_scenes()[0].id

    def at(instant: int) -> str:
        return f"{scene}-t{instant:04d}"

    groups = [[at(now), at(now - 5), [[at(now + 40), at(now + 35)], [at(now + 45), at(now + 41)]]] for now in (25, 62)]
    path.write_text(json.dumps(groups))
    return path


def test_two_stages_in_reactive_traffic(tmp_path, scenes, scored):
    groups = write_groups(tmp_path / "groups.json")
    more = ("--stages", "two", "--groups", groups)
    said = scored("pdm-closed", scenes, out=tmp_path / "out", more=more)
    assert said["protocol"] == "epdms-v2.2/two-stage/idm-navsim/human-filter-fixed"
    assert said["score"] == said["combined"] and said["counts"]["groups_scored"] == 2
    assert said["counts"]["second_stage_tokens"] == 8 and said["coverage"] == 1.0
    assert said["interval"] == [None, None]  # one log says nothing about others
    table = read_table(tmp_path / "out" / "scores.csv")
    assert table.kind == "two-stage" and audited(table).explained
    np.testing.assert_array_equal(np.bincount(table.stage), [0, 4, 8])
    assert said["combined"] <= min(said["stage_one"], said["stage_two"]) + 1e-9
    human = scored("human", scenes, out=tmp_path / "human", more=more, code=1)
    assert human["counts"]["failed"] == 8 and human["combined"] is None
    assert "no human was in the second" in human["words"]


def test_the_exact_twin_says_the_same(tmp_path, scenes, scored):
    path = write_npz(tmp_path / "plans.npz", human_poses((20,)))
    for more in ((), ("--exact",)):
        scored(path, scenes, out=tmp_path / f"out{len(more)}", more=("--traffic", "reactive", *more))
    fast, exact = (read_table(tmp_path / f"out{n}" / "scores.csv").values for n in (0, 1))
    np.testing.assert_allclose(fast, exact, rtol=0, atol=1e-9)


def cut(scene: Scene, length: int) -> Scene:
    """The beginning of a drive."""
    tracks = scene.tracks.at(0, length)
    return dataclasses.replace(
        scene,
        timestamp_us=scene.timestamp_us[:length],
        ego=CarState.unpacked(scene.ego.packed()[:length]),
        ego_z=scene.ego_z[:length],
        tracks=tracks,
        lights=Lights(element=scene.lights.element, state=scene.lights.state[:, :length]),
    )


@pytest.mark.slow
def test_a_checkpoint_plans_from_what_its_cameras_see(tmp_path, scored):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    from simscale.planners.checkpoint import CheckpointInfo, write_checkpoint
    from simscale.planners.registry import PLANNERS
    from simscale.town import scenery_of, town_of
    from simscale.town.scenery_file import write_scenery

    kind = PLANNERS["ltf"]
    config = kind.presets["nano"]
    model = kind.build(config, seed=3)
    folder, training = tmp_path / "scenes", tmp_path / "training"
    folder.mkdir()
    training.mkdir()
    path = training / "checkpoint.safetensors"
    write_checkpoint(path, model, CheckpointInfo(planner="ltf", preset="nano", config=config))
    write_scene(cut(small_scenes()[0], 70), folder)
    write_scenery(scenery_of(town_of(31, settings=TOWN)), folder)
    said = scored(training, folder, out=tmp_path / "out")
    assert said["coverage"] == 1.0 and said["counts"]["tokens"] == 2
    again = scored(tmp_path / "out" / "plans.npz", folder, out=tmp_path / "again")
    assert again["score"] == said["score"]


USAGE = {
    "groups missing": (("human", "SCENES", "--stages", "two"), "--groups is missing"),
    "groups for nothing": (("human", "SCENES", "--groups", "x.json"), "--groups is given, expected --stages two"),
    "v1 in two stages": (
        ("human", "SCENES", "--protocol", "pdms-v1", "--stages", "two", "--groups", "x"),
        "--stages is two",
    ),
    "v1 reactive": (("human", "SCENES", "--protocol", "pdms-v1", "--traffic", "reactive"), "--traffic is reactive"),
    "nobody": (("nobody", "SCENES"), "CHECKPOINT is 'nobody'"),
    "no plans": (("plans.npz", "SCENES"), "plans is missing"),
    "no scenes": (("human", "nowhere"), "path is missing"),
    "no workers": (("human", "SCENES", "--workers", 0), "--workers is 0"),
}


@pytest.mark.parametrize("what", USAGE)
def test_bad_usage_is_one_sentence(tmp_path, scenes, capsys, monkeypatch, what):
    monkeypatch.chdir(tmp_path)
    arguments, words = USAGE[what]
    arguments = [scenes if argument == "SCENES" else argument for argument in arguments]
    assert code_of("score", *arguments, "--out", tmp_path / "out") == 2
    assert words in capsys.readouterr().err


def test_plans_of_other_scenes_and_folders_of_other_commands_are_refused(tmp_path, scenes, capsys):
    path = write_npz(tmp_path / "plans.npz", {"elsewhere-t0020": np.zeros((8, 3))})
    assert code_of("score", path, scenes, "--out", tmp_path / "out") == 2
    assert "without a scene of any of 1 tokens" in capsys.readouterr().err
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text('{"command": "town"}')
    assert code_of("score", "human", scenes, "--out", tmp_path / "other") == 2
    assert "content is of town" in capsys.readouterr().err


def test_help_loads_nothing_that_takes_time():
    script = (
        "import sys\nfrom simscale.cli.main import parsed\n"
        "try:\n    parsed(['score', '--help'])\nexcept SystemExit:\n    pass\n"
        "slow = {'numpy', 'numba', 'torch', 'scipy', 'shapely', 'pyarrow'} & set(sys.modules)\nassert not slow, slow"
    )
    subprocess.run([sys.executable, "-c", script], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.slow
def test_any_number_of_workers_leaves_the_same_table(tmp_path, scenes):
    for workers in (1, 2):
        done = asked("score", "pdm-closed", scenes, "--out", tmp_path / str(workers), "--workers", workers)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "1/scores.csv").read_bytes() == (tmp_path / "2/scores.csv").read_bytes()
