"""Both splits in one small town, made once."""

from dataclasses import dataclass
from functools import cache

from simscale.dataset.vocabulary import read_vocabulary
from simscale.evaluate.splits import SplitSize, townhard_of, towntest_of
from simscale.evaluate.starts import Split
from simscale.scene import Scene
from simscale.town import TownSettings, town_scenes

TOWN = TownSettings(size=270.0, drives=2, duration=15.0)
SIZE = SplitSize(towns=1, drives=2, spacing=4.0, pairs=3, town_size=270.0)


@dataclass(frozen=True)
class Splits:
    one: Split
    two: Split


@cache
def small_scenes() -> tuple[Scene, ...]:
    return tuple(town_scenes(31, settings=TOWN))


def hard() -> Split:
    return townhard_of(small_scenes(), SIZE, read_vocabulary(None))


@cache
def small_splits() -> Splits:
    return Splits(one=towntest_of(small_scenes(), SIZE), two=hard())
