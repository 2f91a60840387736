"""Shards: what was written comes back to the last bit, and the bytes depend on the samples alone."""

import dataclasses
import tarfile
from pathlib import Path

import numpy as np
import pytest

from made import made_agents, made_rejection, made_sample
from simscale.dataset.files import put_in_place
from simscale.dataset.recipe import recipe_of, sample_of
from simscale.dataset.shards import digest_of, read_members, read_rejections, read_samples, write_unit
from simscale.generate.sample import Sample, no_agents
from simscale.scene import BadInput


def stored(folder: Path, units: dict[str, list[Sample]], rejections=()) -> Path:
    for unit, samples in units.items():
        for file in write_unit(folder / "tmp", unit, samples, rejections).files:
            put_in_place(file, folder)
    return folder


def assert_same(a: object, b: object) -> None:
    if dataclasses.is_dataclass(a):
        assert type(a) is type(b)
        for field in dataclasses.fields(a):
            assert_same(getattr(a, field.name), getattr(b, field.name))
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
        assert a.dtype == b.dtype  # type: ignore[attr-defined]
    elif isinstance(a, tuple):
        assert len(a) == len(b)  # type: ignore[arg-type]
        for x, y in zip(a, b, strict=True):  # type: ignore[call-overload]
            assert_same(x, y)
    else:
        assert a == b


def test_a_sample_comes_back_to_the_last_bit(tmp_path):
    samples = [made_sample(1, t0=25), made_sample(2, t0=20, round=1)]
    folder = stored(tmp_path, {"unit": samples})
    back = list(read_samples(folder))
    assert_same(tuple(back), (samples[1], samples[0]))


def test_a_rejection_comes_back_with_its_path_and_agents(tmp_path):
    agents = made_agents(np.random.default_rng(0), 2)
    agents = dataclasses.replace(
        agents, xy=agents.xy[:, :9], yaw=agents.yaw[:, :9], velocity=agents.velocity[:, :9], valid=agents.valid[:, :9]
    )
    plain = dataclasses.replace(made_rejection(), agents=no_agents(9))
    full = dataclasses.replace(made_rejection(reason="ttc_at_end"), agents=agents)
    back = list(read_rejections(stored(tmp_path, {"unit": []}, [full, plain])))
    assert_same(back[0], plain)
    assert back[1].reason == "ttc_at_end"
    np.testing.assert_allclose(back[1].agents.xy, agents.xy, atol=1e-6)
    np.testing.assert_array_equal(back[1].agents.valid, agents.valid)


def test_the_bytes_depend_neither_on_order_nor_on_time(tmp_path):
    samples = [made_sample(i, t0=20 + 5 * i) for i in range(3)]
    first = write_unit(tmp_path / "a", "u", samples, [made_rejection(), made_rejection(reason="comfort")])
    again = write_unit(tmp_path / "b", "u", samples[::-1], [made_rejection(reason="comfort"), made_rejection()])
    for one, two in zip(first.files, again.files, strict=True):
        assert (one.name, one.sha256, one.rows) == (two.name, two.sha256, two.rows)
        assert one.path.read_bytes() == two.path.read_bytes()


def test_the_digest_is_that_of_the_samples_however_they_are_split(tmp_path):
    a, b, c = (made_sample(i, t0=20 + 5 * i) for i in range(3))
    whole = digest_of(stored(tmp_path / "1", {"u": [a, b, c]}))
    split = digest_of(stored(tmp_path / "2", {"z": [a], "y": [c, b]}))
    other = digest_of(stored(tmp_path / "3", {"u": [a, b]}))
    assert whole == split != other


def test_unpacking_a_shard_gives_the_members_that_the_index_names(tmp_path):
    folder = stored(tmp_path, {"u": [made_sample(1), made_sample(2, round=1)]})
    (member, _) = read_members(folder)
    with tarfile.open(folder / member.shard) as shard:
        info = shard.getmember(member.member)
        assert (info.offset_data, info.size, info.mtime, info.uid, info.gid) == (member.offset, member.length, 0, 0, 0)
        assert shard.getnames() == ["log-0020-000.npz", "log-0020-001.npz"]


def test_a_flipped_bit_is_refused_with_the_name_of_its_member(tmp_path):
    folder = stored(tmp_path, {"u": [made_sample(1)]})
    (member,) = read_members(folder)
    shard = folder / member.shard
    content = bytearray(shard.read_bytes())
    content[member.offset + member.length // 2] ^= 4
    shard.write_bytes(content)
    with pytest.raises(BadInput, match=r"log-0020-000\.npz is damaged"):
        list(read_samples(folder))


def test_a_unit_without_samples_is_still_a_unit(tmp_path):
    folder = stored(tmp_path, {"u": []})
    assert list(read_samples(folder)) == []
    assert len(list((folder / "data").iterdir())) == 1


def test_a_damaged_or_foreign_recipe_is_refused_with_its_name():
    recipe = recipe_of(made_sample(1))
    for wrong in (b"", b"PK", recipe[: len(recipe) // 2], recipe[::-1]):
        with pytest.raises(BadInput, match="shard:member: recipe is unreadable"):
            sample_of(wrong, name="shard:member")
    newer = recipe.replace(b'"schema_version": 1', b'"schema_version": 9')
    with pytest.raises(BadInput, match=r"shard:member: (schema_version is 9|recipe is unreadable)"):
        sample_of(newer, name="shard:member")
