"""Reward pickles in SimScale's form: what Python's own pickler and ours write is read alike, and nothing else is."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

from simscale.dataset.rewards_code import plain_table, rewards_of
from simscale.dataset.rewards_pickle import (
    PUBLISHED,
    coded_columns,
    pickled_run,
    pickled_token,
    read_rewards_pickle,
)
from simscale.scene import BadInput
from simscale.scoring.vocabulary import COLUMNS

SIZE = 60


def made_columns(seed: int, size: int = SIZE) -> dict[str, np.ndarray]:
    """By our names; the total is that of the sub-scores, all in float16."""
    rng = np.random.default_rng(seed)
    drawn = {name: rng.choice([0.0, 1.0], size, p=[0.2, 0.8]) for name in PUBLISHED.values()}
    drawn["no_at_fault_collision"] = rng.choice([0.0, 0.5, 1.0], size)
    drawn["driving_direction"] = rng.choice([0.0, 0.5, 1.0], size)
    drawn["progress"] = rng.uniform(0, 1, size).astype(np.float16).astype(np.float64)
    return with_total(drawn)


def with_total(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    weighted = 5 * columns["progress"] + 5 * columns["time_to_collision"]
    weighted = (weighted + 2 * columns["lane_keeping"] + 2 * columns["history_comfort"]) / 14
    for name in ("no_at_fault_collision", "drivable_area", "driving_direction", "traffic_light"):
        weighted = weighted * columns[name]
    return columns | {"total": weighted.astype(np.float16).astype(np.float64)}


def published(columns: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {theirs: columns[ours].astype(np.float16) for theirs, ours in PUBLISHED.items()}


def run_of(count: int, size: int = SIZE) -> dict[str, dict[str, np.ndarray]]:
    return {f"{i:016x}": made_columns(i, size) for i in range(count)}


def assert_columns(found: dict[str, np.ndarray], wanted: dict[str, np.ndarray]) -> None:
    assert set(found) == set(wanted)
    for name in wanted:
        np.testing.assert_array_equal(found[name], wanted[name])


@pytest.mark.parametrize(("protocol", "count"), [(2, 3), (3, 3), (4, 1003), (5, 3)])
def test_a_run_that_python_pickled_is_read(tmp_path, protocol, count):
    run = run_of(count, size=8)  # Python sets a thousand items at once
    (tmp_path / "run.pkl").write_bytes(pickle.dumps({t: published(c) for t, c in run.items()}, protocol=protocol))
    read = dict(read_rewards_pickle(tmp_path / "run.pkl"))
    assert list(read) == list(run)
    for token in (next(iter(run)), list(run)[-1]):
        assert_columns(read[token], run[token])


def test_python_reads_what_we_write(tmp_path):
    run = run_of(3)
    content = b"".join(pickled_run(iter(run.items())))
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # NumPy's of its old module names
        back = pickle.loads(content)
        alone = pickle.loads(pickled_token(run["0000000000000001"]))
    assert list(back) == list(run)
    for token, columns in run.items():
        assert list(back[token]) == list(PUBLISHED)
        for theirs, ours in PUBLISHED.items():
            assert back[token][theirs].dtype == np.float16
            np.testing.assert_array_equal(back[token][theirs], columns[ours])
    np.testing.assert_array_equal(alone["ego_progress"], run["0000000000000001"]["progress"])
    (tmp_path / "ours.pkl").write_bytes(content)
    for token, columns in read_rewards_pickle(tmp_path / "ours.pkl"):
        assert_columns(columns, run[token])


def test_a_token_of_its_own_has_its_folders_name(tmp_path):
    (tmp_path / "0123456789abcdef-001").mkdir()
    path = tmp_path / "0123456789abcdef-001" / "tmp.pkl"
    path.write_bytes(pickle.dumps(published(made_columns(7))))
    ((token, columns),) = read_rewards_pickle(path)
    assert token == "0123456789abcdef-001"
    assert_columns(columns, made_columns(7))


def legacy(columns: dict[str, np.ndarray], failing: set[str], *, human_total: float) -> dict[str, np.ndarray]:
    """What the fork's human filter makes of it: it leaves the total alone."""
    forgiven = {name: np.ones(SIZE) for name in failing}
    return columns | forgiven | ({"total": np.ones(SIZE)} if human_total == 0.0 else {})


@pytest.mark.parametrize(
    ("failing", "human_total"),
    [
        (set(), 1.0),
        ({"time_to_collision"}, 0.6),
        ({"lane_keeping"}, 0.8),
        ({"time_to_collision", "lane_keeping"}, 0.5),
        ({"drivable_area"}, 0.0),
        ({"no_at_fault_collision", "time_to_collision"}, 0.0),
    ],
)
def test_what_the_forks_human_filter_did_comes_back(failing, human_total):
    wanted = legacy(made_columns(11), failing, human_total=human_total)
    one, explained = coded_columns(Path("run.pkl"), "token", wanted, size=SIZE)
    assert explained
    back = rewards_of(one.row[None], plain_table()[None], one.failed[None], size=SIZE, human_filter="legacy")
    for name in COLUMNS:
        near = {"progress": 0.5 / 255, "total": 3e-3}.get(name, 0.0)
        np.testing.assert_allclose(getattr(back, name)[0], wanted[name], rtol=0, atol=near + 1e-6)
    fixed = rewards_of(one.row[None], plain_table()[None], one.failed[None], size=SIZE, human_filter="fixed")
    np.testing.assert_allclose(fixed.total[0], with_total(wanted)["total"], rtol=0, atol=3e-3)


def test_a_total_out_of_nowhere_is_told():
    odd = made_columns(1)
    odd["total"] = np.where(np.arange(SIZE) == 3, 0.123, odd["total"])
    assert not coded_columns(Path("run.pkl"), "token", odd, size=SIZE)[1]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lane_keeping": np.full(SIZE, np.nan)}, "lane_keeping of token, trajectory 0 is nan, expected 0 or 1"),
        ({"progress": np.full(SIZE, np.nan)}, "ego_progress of token, trajectory 0 is nan, expected 0 to 1"),
        ({"progress": np.full(SIZE, 1.5)}, "ego_progress of token, trajectory 0 is 1.5"),
        ({"total": np.full(SIZE, np.nan)}, "pdm_score of token, trajectory 0 is nan"),
        ({"driving_direction": np.full(SIZE, 0.25)}, "expected 0, 0.5 or 1"),
        ({"traffic_light": np.ones(SIZE - 1)}, "59 values, expected 60, as the vocabulary has"),
    ],
)
def test_values_that_no_sub_score_has_are_refused(change, sentence):
    with pytest.raises(BadInput) as caught:
        coded_columns(Path("run.pkl"), "token", made_columns(1) | change, size=SIZE)
    assert sentence in str(caught.value)


class Evil:
    def __reduce__(self):
        return eval, ("print('owned')",)


HOSTILE = {
    "a program": (pickle.dumps({"token": Evil()}), "asks for"),
    "an object": (pickle.dumps({"token": Path("x")}), "asks for"),
    "no dictionary": (pickle.dumps([1, 2]), "a list, expected a dictionary"),
    "no arrays": (pickle.dumps({"token": {"ego_progress": 3}}), "missing or unknown"),
    "a number": (pickle.dumps({"token": 3}), "expected the columns of a token"),
    "a column of words": (pickle.dumps({"t": published(made_columns(0)) | {"ego_progress": np.array(["a"])}}), "<U1"),
    "a column too many": (pickle.dumps({"token": published(made_columns(0)) | {"x": np.ones(3)}}), "unknown: x"),
    "truncated": (pickle.dumps({"token": published(made_columns(0))})[:-40], "expected plain data in a complete file"),
    "nothing": (b"", "0 bytes"),
    "noise": (b"\x80\x04hello", "pickle is"),
    "a huge string": (b"\x80\x03}B\xff\xff\xff\x7fabc", "damaged"),
    "a shape of its own": (
        b"\x80\x03}X\x01\x00\x00\x00acnumpy.core.multiarray\n_reconstruct\n"
        b"cnumpy\nndarray\nJ\xff\xff\xff\x7f\x85C\x01b\x87Rs.",
        "before its data",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_reward_pickle_is_refused_in_one_sentence(tmp_path, capsys, name):
    content, sentence = HOSTILE[name]
    (tmp_path / "run.pkl").write_bytes(content)
    with pytest.raises(BadInput) as caught:
        list(read_rewards_pickle(tmp_path / "run.pkl"))
    assert sentence in str(caught.value) and "\n" not in str(caught.value)
    assert "owned" not in capsys.readouterr().out
