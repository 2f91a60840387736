"""Plans that are handed in: what is written is read, nothing in a submission is run, the rest is refused."""

import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from evaluate.submissions import PLACES, classes, with_fields, write_submission
from simscale.evaluate.plans import read_plans
from simscale.scene import BadInput

TOKENS = ("town-0-0-t0020", "town-0-0-t0025", "town-0-1-t0020")


def poses(count: int = 3, steps: int = 8) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(count, steps, 3))


def given() -> dict[str, np.ndarray]:
    return dict(zip(TOKENS, poses(), strict=True))


@pytest.mark.parametrize(("steps", "dt"), [(8, 0.5), (40, 0.1)])
def test_an_npz_of_tokens_and_poses(tmp_path: Path, steps: int, dt: float):
    path, rows = tmp_path / "plans.npz", poses(steps=steps)
    np.savez(path, token=np.array(TOKENS), poses=rows)
    plans = read_plans(path)
    assert plans.token == TOKENS and plans.dt == dt and not plans.second
    np.testing.assert_array_equal(plans.poses, rows)
    np.testing.assert_array_equal(plans.plan(1).xy, rows[1, :, :2])
    np.savez(path, token=np.array(TOKENS), plan=rows.astype(np.float32), ego=np.zeros(3))  # as `evaluate` writes it
    np.testing.assert_array_equal(read_plans(path).poses, rows.astype(np.float32))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_submission_of_two_stages(tmp_path: Path, protocol: int):
    second = {"town-0-1-t0060": poses()[2]}
    path = write_submission(tmp_path / "submission.pkl", given(), second, protocol=protocol)
    plans = read_plans(path)
    assert plans.token == (*TOKENS, *second) and plans.second == set(second) and plans.dt == 0.5
    np.testing.assert_array_equal(plans.poses[:3], poses().astype(np.float32))
    assert plans.about["team_name"] == "town" and plans.about["authors"] == ["somebody"]
    assert not any(place in sys.modules for place in PLACES.values())


def test_a_submission_of_v1(tmp_path: Path):
    plans = read_plans(write_submission(tmp_path / "old.pkl", given(), key="predictions"))
    assert plans.token == TOKENS


def test_many_plans(tmp_path: Path):
    many = {f"{n:016x}": rows for n, rows in enumerate(poses(300))}
    plans = read_plans(write_submission(tmp_path / "submission.pkl", many))
    np.testing.assert_array_equal(plans.poses[-1], many[plans.token[-1]].astype(np.float32))


class Evil:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_nothing_in_a_submission_is_run(tmp_path: Path):
    path = write_submission(tmp_path / "evil.pkl", given(), more={"authors": Evil(tmp_path / "ran")})
    with pytest.raises(BadInput, match="a program that asks for 'posix"):
        read_plans(path)
    assert not (tmp_path / "ran").exists()


def test_a_class_is_a_record_only_by_its_own_opcodes(tmp_path: Path):
    """Calling a known class, or filling one with what is no dictionary, is refused."""
    name = PLACES["Trajectory"].encode()
    for program in (
        b"\x80\x02c" + name + b"\nTrajectory\n)R.",
        b"\x80\x02c" + name + b"\nTrajectory\nK\x01\x85\x81.",
        b"\x80\x02c" + name + b"\nTrajectory\n)\x81K\x01b.",
        b"\x80\x02c" + name + b"\nTrajectory\n.",
        b"\x80\x02cnavsim.common.dataclasses\nSceneFilter\n)\x81}b.",
    ):
        path = tmp_path / "submission.pkl"
        path.write_bytes(program)
        with pytest.raises(BadInput):
            read_plans(path)


def refused(path: Path) -> str:
    with pytest.raises(BadInput) as error:
        read_plans(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_submissions_that_are_none(tmp_path: Path):
    path = tmp_path / "submission.pkl"
    write_submission(path, given(), seeds=2)
    assert "exactly one seed" in refused(path)
    write_submission(path, {})
    assert "submission is empty" in refused(path)
    write_submission(path, given(), {TOKENS[0]: poses()[0]})
    assert f"tokens is {TOKENS[0]} twice" in refused(path)
    write_submission(path, given(), interval=0.1)
    assert "8 poses every 0.1 s" in refused(path)
    write_submission(path, {TOKENS[0]: poses()[0], TOKENS[1]: poses(1, 40)[0]}, interval=0.5)
    assert "40 poses every 0.5 s" in refused(path)
    write_submission(path, {TOKENS[0]: poses()[0][:, :2]})
    assert f"poses of {TOKENS[0]} is float32 of shape [8, 2]" in refused(path)
    write_submission(path, {TOKENS[0]: poses()[0][:7]})
    assert "[1, 7, 3]" in refused(path)
    path.write_bytes(pickle.dumps({"predictions": [{"a": 1}]}))
    assert "a is int, expected a Trajectory" in refused(path)
    path.write_bytes(pickle.dumps([1, 2]))
    assert "without predictions" in refused(path)
    whole = write_submission(path, given()).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "pickle is damaged" in refused(path)
    with classes() as known:
        path.write_bytes(pickle.dumps({"predictions": [{"a": with_fields(known["Trajectory"], poses=7)}]}))
    assert "poses of a is int" in refused(path)


def test_npz_files_that_are_none(tmp_path: Path):
    path = tmp_path / "plans.npz"
    for arrays, words in (
        ({"poses": poses()}, "arrays is without token"),
        ({"token": np.array(TOKENS)}, "arrays is without poses"),
        ({"token": np.array(TOKENS), "poses": poses(2)}, "[2, 8, 3]"),
        ({"token": np.array(TOKENS), "poses": poses()[..., :2]}, "[3, 8, 2]"),
        ({"token": np.array(TOKENS), "poses": poses(steps=9)}, "[3, 9, 3]"),
        ({"token": np.arange(3), "poses": poses()}, "token is int64"),
        ({"token": np.array([TOKENS[0]] * 3), "poses": poses()}, "tokens is 2 that stand twice"),
        ({"token": np.array(TOKENS), "poses": np.array([["x"]])}, "poses is <U1"),
        ({"token": np.array([None] * 3), "poses": poses()}, "file is damaged"),
    ):
        np.savez(path, **arrays)
        assert words in refused(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-30])
    assert "file is damaged" in refused(path)
    assert "plans is missing" in refused(tmp_path / "nothing.npz")
    (tmp_path / "plans.csv").write_text("a")
    assert "plans is a .csv file" in refused(tmp_path / "plans.csv")
