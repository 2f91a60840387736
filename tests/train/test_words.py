import numpy as np
import pytest

from simscale.dataset.vocabulary import read_trajectories, write_vocabulary
from simscale.planners.gtrs import fan
from simscale.scene import BadInput
from simscale.train.words import found_words, words_of


@pytest.fixture
def path(tmp_path):
    write_vocabulary(fan(60).numpy(), tmp_path / "words.npy")
    return tmp_path / "words.npy"


def test_all_of_a_file_is_the_file(path):
    words = words_of(path, size=60)
    np.testing.assert_array_equal(words.poses, np.load(path))
    np.testing.assert_array_equal(words.row, np.arange(60))
    assert (words.name, words.sha256) == ("words.npy", read_trajectories(path).sha256)


def test_a_part_stands_for_the_whole_better_than_any_first_rows(path):
    whole = read_trajectories(None).poses
    words = words_of(None, size=64)
    assert len(set(words.row)) == 64
    np.testing.assert_array_equal(words.poses, whole[words.row])
    np.testing.assert_array_equal(words.row, words_of(None, size=64).row)

    def reach(rows):
        off = np.linalg.norm(whole[:, None, 9::10, :2] - whole[None, rows, 9::10, :2], axis=-1)
        return off.mean(-1).min(axis=1).mean()

    assert reach(words.row) < 0.8 * reach(np.arange(0, len(whole), len(whole) // 64)[:64])


def test_what_a_planner_has_is_found_in_its_file(path):
    words = words_of(path, size=20)
    again = found_words(path, words.poses)
    np.testing.assert_array_equal(again.row, words.row)
    assert again.sha256 == words.sha256


def test_too_few_or_others_are_told(path):
    with pytest.raises(BadInput, match=r"60 trajectories, 60 of them forwards, expected at least the 61"):
        words_of(path, size=61)
    with pytest.raises(BadInput, match="without trajectory 3"):
        other = np.load(path)[:5]
        other[3, 0, 0] += 1.0
        found_words(path, other)
