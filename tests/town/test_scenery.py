import dataclasses

import numpy as np
import pytest

from sceneries import sample_scenery
from simscale.scene import BadInput
from simscale.town.scenery import bare_scenery, joined
from simscale.town.scenery_file import arrays_of, read_scenery, write_scenery


def test_a_file_gives_back_what_was_written_and_the_same_bytes(tmp_path):
    scenery = sample_scenery()
    path = write_scenery(scenery, tmp_path)
    again = read_scenery(path)
    for name, array in arrays_of(scenery).items():
        np.testing.assert_array_equal(arrays_of(again)[name], array)
    assert (again.location, again.sky.clouds, again.sky.haze) == ("sample", 0.35, 900.0)
    first = path.read_bytes()
    assert write_scenery(again, tmp_path).read_bytes() == first


def test_a_bare_place_has_no_rows_and_joins_as_nothing(tmp_path):
    bare, full = bare_scenery("bare"), sample_scenery()
    assert read_scenery(write_scenery(bare, tmp_path)).location == "bare"
    twice = joined(full.areas, bare.areas, full.areas)
    assert len(twice.kind) == 2 * len(full.areas.kind)
    np.testing.assert_array_equal(twice.xy[twice.start[len(full.areas.kind)] :], full.areas.xy)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: {"buildings": dataclasses.replace(s.buildings, size=-s.buildings.size)}, "buildings.size"),
        (lambda s: {"signs": dataclasses.replace(s.signs, kind=s.signs.kind + 99)}, "signs.kind"),
        (lambda s: {"trees": dataclasses.replace(s.trees, xy=s.trees.xy * np.nan)}, "trees.xy"),
        (lambda s: {"areas": dataclasses.replace(s.areas, start=s.areas.start[::-1].copy())}, "areas.start"),
        (lambda s: {"sky": dataclasses.replace(s.sky, sun=np.array([0.0, 0.0, -1.0]))}, "sky.sun"),
        (lambda s: {"location": "../elsewhere"}, "location"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, change, word):
    scenery = sample_scenery()
    with pytest.raises(BadInput, match=word):
        write_scenery(dataclasses.replace(scenery, **change(scenery)), tmp_path)


def test_a_damaged_file_is_refused(tmp_path):
    path = write_scenery(sample_scenery(), tmp_path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadInput, match="damaged"):
        read_scenery(path)
