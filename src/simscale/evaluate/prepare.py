"""Makes a split from its towns, or reads the one that an earlier evaluation left.

The sceneries are written beside the scenes: an agent with cameras needs them.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from simscale import __version__
from simscale.dataset.vocabulary import read_vocabulary
from simscale.evaluate.agents import AGENTS, Agent
from simscale.evaluate.seeds import PERTURBATION_SEED
from simscale.evaluate.split_file import MANIFEST, read_split, write_split
from simscale.evaluate.splits import SPLITS, SplitSize, seeds_of, townhard_of, towntest_of
from simscale.evaluate.starts import Split
from simscale.scene import BadInput, Scene
from simscale.town import TownSettings, scenery_of, town_of
from simscale.town.drive import scenes_of
from simscale.town.scenery_file import write_scenery

CHECKPOINT = "checkpoint.safetensors"
"""Name of the checkpoint in a training's folder."""

Watch = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]
"""Shows progress: (what, how much, of what) gives something to tell."""


def size_of(name: str, size: str) -> SplitSize:
    """A split's size by name.

    Raises:
        BadInput: There is no such split, or no such size of it.
    """
    for option, found, known in (("--split", name, tuple(SPLITS)), ("--size", size, tuple(SPLITS.get(name, ())))):
        if found not in known:
            raise BadInput("command line", option, repr(found), " or ".join(known))
    return SPLITS[name][size]


def cache_name(name: str, size: str) -> str:
    """Folder of a split below a cache."""
    return f"{name}-{size}"


def split_at(folder: Path, name: str, size: str, *, watch: Watch) -> Split:
    """The split in a folder, made there where it is missing.

    Args:
        folder: For this split alone.
        name: towntest or townhard.
        size: A name in `SPLITS`.
        watch: Shows progress.

    Raises:
        BadInput: An unknown split or size.
        OSError: The folder cannot be written.
    """
    wanted = size_of(name, size)
    made_from: dict[str, Any] = {
        "version": __version__,
        "split": name,
        "label": size,
        "size": asdict(wanted),
        "seeds": list(seeds_of(wanted)),
        "perturbation_seed": PERTURBATION_SEED,
        "vocabulary": read_vocabulary(None).sha256,
    }
    found = read_split(folder, made_from=made_from)
    if found is not None:
        return found
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).unlink(missing_ok=True)
    with watch(f"{name}: towns", wanted.towns, "towns") as advance:
        scenes = tuple(_scenes(wanted, folder, advance))
    made = _made(name, size, wanted, scenes, watch)
    write_split(made, folder, made_from=made_from)
    return made


def agent_of(who: str, split: Split, folder: Path) -> Agent:
    """An agent by its name in `AGENTS`, or a checkpoint by its path; torch is loaded for the latter alone.

    Args:
        who: A name or a path.
        split: Where it will be evaluated.
        folder: Where the split lies, for the images of its starts.

    Raises:
        BadInput: Neither, or a checkpoint that cannot be evaluated there.
    """
    if who in AGENTS:
        return AGENTS[who]()
    path = checkpoint_path(who)
    from simscale.evaluate.checkpoint import Checkpoint

    return Checkpoint(path, split, folder, name=who)


def checkpoint_path(who: str) -> Path:
    """The checkpoint's file: the path itself, or `checkpoint.safetensors` in the folder that it names.

    Raises:
        BadInput: There is none.
    """
    path = Path(who)
    path = path / CHECKPOINT if path.is_dir() else path
    if not path.is_file():
        raise BadInput("command line", "CHECKPOINT", repr(who), f"a checkpoint file or folder, or {', '.join(AGENTS)}")
    return path


def _scenes(size: SplitSize, folder: Path, advance: Callable[[int], None]) -> Iterator[Scene]:
    settings = TownSettings(size=size.town_size, drives=size.drives)
    for seed in seeds_of(size):
        town = town_of(seed, settings=settings)
        write_scenery(scenery_of(town), folder)
        yield from scenes_of(town, settings=settings)
        advance(1)


def _made(name: str, label: str, size: SplitSize, scenes: tuple[Scene, ...], watch: Watch) -> Split:
    with watch(f"{name}: starts", len(scenes), "drives") as advance:
        if name == "towntest":
            return towntest_of(scenes, size, label=label, on_done=advance)
        return townhard_of(scenes, size, read_vocabulary(None), label=label, on_done=advance)
