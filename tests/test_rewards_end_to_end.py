"""`simscale rewards`: the same bytes whoever scores and whatever interrupts it, and one sentence for bad input."""

import os
import pickle
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from command import asked, begun, code_of, told
from simscale.dataset.moment import logged_instants, simulated_moments
from simscale.dataset.rewards import open_rewards
from simscale.dataset.rewards_pickle import PUBLISHED
from simscale.dataset.shards import read_samples
from simscale.dataset.verify import faults_of
from simscale.generate.place import token_name
from simscale.scene.file import read_scene, scene_files
from simscale.scoring.vocabulary import COLUMNS

SIZE = 20


@pytest.fixture(scope="module")
def words(tmp_path_factory, tiny_vocabulary) -> Path:
    """A vocabulary of twenty trajectories."""
    path = tmp_path_factory.mktemp("words") / "words.npy"
    np.save(path, np.load(tiny_vocabulary)[:: 300 // SIZE])
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_dataset, words) -> tuple[Path, dict]:
    """Rewards of two logs and of the samples generated from them, and what `--json` said."""
    out = tmp_path_factory.mktemp("rewards") / "store"
    done = asked(*command(tiny_dataset, words, out))
    assert done.returncode == 0, done.stderr
    return out, told(done.stdout)


def command(tiny_dataset, words: Path, out: Path, *more: object) -> list[object]:
    return ["rewards", tiny_dataset.scenes, tiny_dataset.folder, "--vocabulary", words, "--out", out, "--json", *more]


def files_in(store: Path) -> dict[str, bytes]:
    return {f"{path.parent.name}/{path.name}": path.read_bytes() for path in store.glob("*/*") if path.is_file()}


def test_every_moment_has_its_rewards(made, tiny_dataset):
    store, numbers = made
    wanted = set()
    scenes = {scene.id: scene for scene in map(read_scene, scene_files(tiny_dataset.scenes))}
    for scene in scenes.values():
        wanted |= {token_name(scene.id, instant) for instant in logged_instants(scene)}
    for sample in read_samples(tiny_dataset.folder):
        wanted |= {moment.token for moment in simulated_moments(scenes[sample.log], sample)}
    opened = open_rewards(store)
    assert set(opened.tokens) == wanted and numbers["tokens"] == len(wanted)
    assert opened.size == numbers["trajectories"] == SIZE
    assert list(faults_of(store)) == []
    assert sum(means["tokens"] for means in numbers["by_driver"].values()) == len(wanted)
    total = opened.read([token for token in opened.tokens if token.rpartition("-")[2][0] == "t"]).total
    assert numbers["by_driver"]["human"]["total"] == pytest.approx(float(total.mean()), abs=1e-4)


@pytest.mark.slow
def test_two_workers_and_an_interruption_leave_the_same_bytes(made, tiny_dataset, words, tmp_path):
    store, numbers = made
    first = begun(*command(tiny_dataset, words, tmp_path / "o", "--workers", 2))
    while not list(tmp_path.glob("o/index/*.parquet")) and first.poll() is None:
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGINT)
    _, words_of_it = first.communicate(timeout=300)
    assert first.returncode in (0, 130), words_of_it  # it may have been faster
    again = asked(*command(tiny_dataset, words, tmp_path / "o", "--workers", 2))
    assert again.returncode == 0, again.stderr
    assert files_in(tmp_path / "o") == files_in(store)
    assert told(again.stdout)["digest"] == numbers["digest"]


def test_rewards_go_out_as_pickles_and_come_back(made, words, tmp_path):
    store, _ = made
    for out in (tmp_path / "run.pkl", tmp_path / "vocab_score_full_20_town_v1"):
        assert code_of("rewards", store, "--to-pickles", "--out", out) == 0
        back = tmp_path / f"back-{out.stem}"
        assert code_of("rewards", out, "--from-pickles", "--vocabulary", words, "--out", back) == 0
        assert list(faults_of(back)) == []
        first, second = open_rewards(store), open_rewards(back)
        assert first.tokens == second.tokens and second.modes == ("gen_gt",)
        ours = first.read(first.tokens, human_filter="legacy")
        theirs = second.read(second.tokens, human_filter="legacy")
        for name in COLUMNS:
            near = {"progress": 1 / 255, "total": 1 / 255}.get(name, 0.0)
            np.testing.assert_allclose(getattr(theirs, name), getattr(ours, name), rtol=0, atol=near)
    assert (tmp_path / "vocab_score_full_20_town_v1" / first.tokens[0] / "tmp.pkl").is_file()


def run_of(size: int, **changes: np.ndarray) -> bytes:
    columns = dict.fromkeys(PUBLISHED, np.ones(size, dtype=np.float16)) | changes
    return pickle.dumps({"0123456789abcdef": columns})


class Evil:
    def __reduce__(self):
        return os.system, ("echo owned",)


BAD_PICKLES = {
    "another size": (run_of(SIZE - 1), "19 values, expected 20, as the vocabulary has"),
    "nan": (run_of(SIZE, ego_progress=np.full(SIZE, np.nan)), "ego_progress of 0123456789abcdef, trajectory 0 is nan"),
    "hostile": (pickle.dumps({"token": Evil()}), "asks for"),
    "truncated": (run_of(SIZE)[:-30], "plain data in a complete file"),
}


@pytest.mark.parametrize("name", BAD_PICKLES)
def test_bad_pickles_are_refused_in_one_sentence(words, tmp_path, capfd, name):
    content, sentence = BAD_PICKLES[name]
    (tmp_path / "run.pkl").write_bytes(content)
    code = code_of("rewards", tmp_path / "run.pkl", "--from-pickles", "--vocabulary", words, "--out", tmp_path / "o")
    said = capfd.readouterr()
    assert code == 2 and sentence in said.err.splitlines()[-1] and "Traceback" not in said.err
    assert "owned" not in said.out + said.err
    assert not (tmp_path / "o" / "manifest.json").exists()


def test_bad_usage_is_refused_in_one_sentence(made, tiny_dataset, words, tmp_path, capsys):
    store, _ = made
    other = tmp_path / "other.npy"
    np.save(other, np.load(words)[:5])
    scenes = tiny_dataset.scenes
    for arguments, sentence in (
        ([scenes, "--vocabulary", other, "--out", store], "vocabulary.entries=20 (asked for now: 5)"),
        ([scenes, "--vocabulary", words, "--out", tmp_path / "o", "--workers", 0], "--workers is 0"),
        ([scenes, scenes, "--vocabulary", words, "--out", tmp_path / "o"], "an id of its own"),
        ([tmp_path / "none", "--vocabulary", words, "--out", tmp_path / "o"], "none: path is missing"),
        ([scenes, "--vocabulary", tmp_path / "none.npy", "--out", tmp_path / "o"], "none.npy: file is missing"),
        ([store, "--vocabulary", words, "--out", tmp_path / "o"], "stage is rewards"),
        ([tiny_dataset.folder, "--to-pickles", "--out", tmp_path / "o"], "what simscale rewards writes"),
        ([store, "--to-pickles", "--from-pickles", "--out", tmp_path / "o"], "one of the two"),
        ([tmp_path, "--from-pickles", "--vocabulary", words, "--out", tmp_path / "o"], "without a <token>/tmp.pkl"),
    ):
        assert code_of("rewards", *arguments) == 2, arguments
        assert sentence in capsys.readouterr().err, arguments


def test_info_says_what_a_store_holds(made, capsys):
    store, numbers = made
    assert code_of("dataset", "info", store) == 0
    said = capsys.readouterr().out
    assert f"rewards of {SIZE} trajectories" in said and numbers["digest"] in said and "eval and gen_gt" in said
    assert code_of("dataset", "verify", store) == 0
