"""`simscale evaluate` as people and programs use it."""

import json
import subprocess
import sys

import pytest

from command import asked, told
from simscale.evaluate.results import read_units
from simscale.evaluate.summary import difference

KEYS = {"protocol", "coverage", "epdms", "interval", "stage_one", "stage_two", "combined"}


def evaluated(agent: str, split: str, out, cache, *more):
    done = asked("evaluate", agent, "--split", split, "--size", "tiny", "--out", out, "--cache", cache, "--json", *more)
    assert done.returncode == 0, done.stderr
    return done, told(done.stdout)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("splits")


@pytest.mark.slow
def test_one_stage_from_nothing_to_numbers_tables_and_pictures(tmp_path, cache):
    out = tmp_path / "human"
    done, said = evaluated("human", "towntest", out, cache, "--pictures", 2)
    assert said.keys() >= KEYS and said["stage_two"] is None and said["combined"] is None
    assert said["coverage"] == 1.0 and 80 < said["epdms"] <= 100
    assert "stage one" in done.stderr and "EPDMS" in done.stderr
    named = {path.name for path in out.iterdir()}
    files = {"manifest.json", "summary.json", "scores.csv", "tokens.parquet", "units.parquet", "drives.npz"}
    assert named == files | {"worst-00.png", "worst-01.png"}
    assert json.loads((out / "summary.json").read_text()) == said
    again, same = evaluated("human", "towntest", out, cache, "--pictures", 2)
    assert "evaluated before" in again.stderr and same == said
    _, still = evaluated("stand-still", "towntest", tmp_path / "still", cache, "--pictures", 0)
    gain = difference(read_units(out), read_units(tmp_path / "still"))
    assert gain.mean == pytest.approx(said["epdms"] - still["epdms"])


def test_agents_that_read_no_images_do_not_wait_for_torch():
    script = "import sys, simscale.cli.evaluate, simscale.viz.drives; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.slow
def test_two_stages_in_both_kinds_of_traffic(tmp_path, cache):
    _, said = evaluated("pdm-closed", "townhard", tmp_path / "pdm", cache)
    assert said["epdms"] == said["combined"] and set(said["laws"]) == {"generator", "unseen"}
    _, still = evaluated("stand-still", "townhard", tmp_path / "still", cache)
    assert still["combined"] < said["combined"]
    _, exact = evaluated("pdm-closed", "townhard", tmp_path / "exact", cache, "--traffic", "idm-navsim")
    assert "idm-navsim" in exact["protocol"]


def test_bad_input_is_one_sentence(tmp_path):
    done = asked("evaluate", "nobody", "--split", "towntest", "--out", tmp_path / "out")
    assert done.returncode == 2 and "CHECKPOINT is 'nobody'" in done.stderr
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text('{"command": "town"}')
    done = asked("evaluate", "human", "--split", "towntest", "--size", "tiny", "--out", tmp_path / "other")
    assert done.returncode == 2 and "content is of town, expected one of evaluate" in done.stderr
