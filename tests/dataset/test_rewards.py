"""The store of rewards: what is written is read, by whoever asks for whichever tokens, and damage is told."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from made_rewards import made_vocabulary
from simscale.dataset.files import put_in_place
from simscale.dataset.manifest import commit_manifest, entries_of
from simscale.dataset.rewards import (
    ROWS_A_SHARD,
    STAGE,
    TokenRewards,
    open_rewards,
    rewards_digest,
    write_rewards,
)
from simscale.dataset.rewards_code import HALVES, MODES, WHOLES, CodedRewards, coded, packed_row
from simscale.dataset.verify import faults_of
from simscale.scene import BadInput
from simscale.scoring.vocabulary import COLUMNS

SIZE = 100
STEP = 1 / 255 + 1e-6  # what is read is float32
SHA256 = "ab" * 32
TOKENS = ("town-t0020", "town-t0015", "town-t0020-000-planner", "town-t0025")


def of_token(token: str, seed: int) -> TokenRewards:
    one = coded(made_vocabulary(seed, SIZE), None)
    return TokenRewards(token=token, log="town", driver="human", coded=one)


def stored(folder: Path, units: dict[str, list[TokenRewards]], *, modes=MODES) -> Path:
    files = [file for unit, rewards in units.items() for file in write_rewards(folder / "tmp", unit, iter(rewards))]
    for file in files:
        put_in_place(file, folder)
    named = {"name": "words.npy", "sha256": SHA256, "entries": SIZE}
    commit_manifest(
        folder,
        files=entries_of(files),
        digest=rewards_digest(folder),
        configuration={"stage": STAGE, "vocabulary": named, "modes": list(modes), "progress": modes[-1]},
        seed=0,
        code_version="test",
        inputs=(),
        counts={},
    )
    return folder


@pytest.fixture
def store(tmp_path) -> Path:
    rewards = [of_token(token, seed) for seed, token in enumerate(TOKENS)]
    return stored(tmp_path / "store", {"a" * 16: rewards[:3], "b" * 16: rewards[3:]})


def test_tokens_are_read_in_the_order_in_which_they_are_asked_for(store):
    opened = open_rewards(store)
    assert opened.tokens == tuple(sorted(TOKENS)) and opened.size == SIZE and opened.progress == "gen_gt"
    asked = [TOKENS[3], TOKENS[0], TOKENS[3]]
    batch = opened.read(asked, progress="eval")
    for i, token in enumerate(asked):
        wanted = made_vocabulary(TOKENS.index(token), SIZE).plans
        np.testing.assert_allclose(batch.progress[i], wanted.progress, rtol=0, atol=STEP)
        for name in HALVES:
            np.testing.assert_array_equal(getattr(batch, name)[i], getattr(wanted, name))


def test_the_stores_own_measure_is_the_one_of_its_manifest(store):
    opened = open_rewards(store)
    np.testing.assert_array_equal(opened.read(TOKENS).progress, opened.read(TOKENS, progress="gen_gt").progress)
    assert not np.array_equal(opened.read(TOKENS).progress, opened.read(TOKENS, progress="eval").progress)


def test_no_token_is_a_batch_too(store):
    assert open_rewards(store).read([]).total.shape == (0, SIZE)


def test_a_store_crosses_a_process_boundary_as_words(store):
    opened = open_rewards(store)
    opened.read(TOKENS)
    again = pickle.loads(pickle.dumps(opened))
    assert len(pickle.dumps(opened)) < 10_000
    np.testing.assert_array_equal(again.read(TOKENS).total, opened.read(TOKENS).total)


def test_a_long_unit_leaves_several_shards(tmp_path):
    row = packed_row({name: np.ones(1) for name in (*HALVES, *WHOLES)}, np.ones(1))
    one = CodedRewards(row=row, best_m=0.0, expert_m=0.0, failed=np.zeros(len(COLUMNS), dtype=bool))
    many = [TokenRewards(token=f"{i:05d}", log="", driver="", coded=one) for i in reversed(range(ROWS_A_SHARD + 2))]
    files = write_rewards(tmp_path, "c" * 16, iter(many))
    assert [file.rows for file in files] == [ROWS_A_SHARD, 2, ROWS_A_SHARD + 2]


def test_the_digest_does_not_know_of_units(tmp_path):
    rewards = [of_token(token, seed) for seed, token in enumerate(TOKENS)]
    one = stored(tmp_path / "one", {"a" * 16: rewards})
    two = stored(tmp_path / "two", {"b" * 16: rewards[2:], "c" * 16: rewards[:2]})
    assert rewards_digest(one) == rewards_digest(two)
    assert not list(faults_of(one)) and not list(faults_of(two))


def sentence_of(reading) -> str:
    with pytest.raises(BadInput) as caught:
        reading()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_not_there_is_named(store, tmp_path):
    opened = open_rewards(store)
    assert "token is 'nowhere'" in sentence_of(lambda: opened.read(["nowhere"]))
    sentence = sentence_of(lambda: open_rewards(store, vocabulary_sha256="0" * 64))
    assert "words.npy of 100 trajectories" in sentence and "0000000000000000" in sentence
    assert open_rewards(store, vocabulary_sha256=SHA256).size == SIZE
    assert "manifest" in sentence_of(lambda: open_rewards(tmp_path / "none"))
    half = stored(tmp_path / "half", {"a" * 16: [of_token("x", 1)]}, modes=("gen_gt",))
    assert "progress is gen_gt, expected eval" in sentence_of(lambda: open_rewards(half).read(["x"], progress="eval"))


def test_a_token_twice_is_refused(tmp_path):
    twice = {"a" * 16: [of_token("x", 1)], "b" * 16: [of_token("x", 2)]}
    assert "token x is rewarded twice" in sentence_of(lambda: stored(tmp_path / "store", twice))


def shard_of(store: Path) -> Path:
    return next((store / "data").glob("a*.npy"))


def test_a_truncated_shard_is_told_by_reader_and_verifier(store):
    whole = shard_of(store).read_bytes()
    for length in (len(whole) - 7, 90, 0):
        shard_of(store).write_bytes(whole[:length])
        assert "truncated or damaged" in sentence_of(lambda: open_rewards(store).read(TOKENS))
        (fault,) = faults_of(store)
        assert "bytes, the manifest says" in fault
    shard_of(store).unlink()
    assert "absent" in sentence_of(lambda: open_rewards(store).read(TOKENS))


def test_every_flipped_byte_is_a_fault(store):
    whole = shard_of(store).read_bytes()
    for at in np.random.default_rng(0).integers(len(whole), size=20):
        shard_of(store).write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert len(list(faults_of(store))) == 1
    (store / "data" / "stranger").write_bytes(b"")
    shard_of(store).write_bytes(whole)
    assert list(faults_of(store)) == ["data/stranger: not in the manifest"]


def test_rows_that_no_scores_can_be_are_faults_though_the_books_agree(tmp_path):
    good = of_token("x", 1)
    impossible = good.coded.row.copy()
    impossible[13:26] = 0  # nowhere at least 0.5, though the plane before says 1
    bad = CodedRewards(**vars(good.coded) | {"row": impossible})
    store = stored(tmp_path / "a", {"a" * 16: [TokenRewards(token="x", log="", driver="", coded=bad)]})
    assert list(faults_of(store)) == ["token x: its row holds what no scores can be"]
    bad = CodedRewards(**vars(good.coded) | {"best_m": float("nan")})
    store = stored(tmp_path / "b", {"a" * 16: [TokenRewards(token="x", log="", driver="", coded=bad)]})
    (fault,) = faults_of(store)
    assert "progress is measured by" in fault and "nan" in fault
