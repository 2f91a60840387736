"""A tiny town and what was generated from it, made once for all tests that only read it."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from command import asked, told
from simscale.scene.file import write_scene
from simscale.town import TownSettings, town_scenes

TOWN = TownSettings(size=270.0, drives=2, duration=13.9)
"""Two drives of seven decision points each: four units."""


@dataclass(frozen=True, kw_only=True)
class TinyDataset:
    """A dataset of one undisturbed run."""

    scenes: Path
    vocabulary: Path
    folder: Path
    told: dict  # what `--json` said

    def command(self, out: Path, *more: object, scenes: tuple[Path, ...] = (), workers: int = 1) -> list[object]:
        """The command that made it, with another output."""
        asked_for = ["--rounds", 1, "--vocabulary", self.vocabulary, "--workers", workers, "--json"]
        return ["generate", *(scenes or [self.scenes]), "--out", out, *asked_for, *more]

    def copied_to(self, folder: Path) -> Path:
        """A copy that a test may damage."""
        return Path(shutil.copytree(self.folder, folder))


def write_tiny_town(folder: Path) -> Path:
    """Two short drives."""
    folder.mkdir()
    for scene in town_scenes(5, settings=TOWN):
        write_scene(scene, folder)
    return folder


def write_tiny_vocabulary(scenes: Path, path: Path) -> Path:
    """Few trajectories: of these two drives and of the cars around."""
    done = asked("vocabulary", "build", scenes, "--out", path, "--size", 300, "--agents")
    assert done.returncode == 0, done.stderr
    return path


def write_tiny_dataset(scenes: Path, vocabulary: Path, folder: Path) -> TinyDataset:
    """One round, one worker, nobody in the way."""
    made = TinyDataset(scenes=scenes, vocabulary=vocabulary, folder=folder, told={})
    done = asked(*made.command(folder))
    assert done.returncode == 0, done.stderr
    return TinyDataset(scenes=scenes, vocabulary=vocabulary, folder=folder, told=told(done.stdout))


def compared_files(dataset: Path) -> dict[str, bytes]:
    """Every file that depends on the seed alone."""
    kinds = ("data", "index", "scenes", "rejections")
    return {f"{kind}/{path.name}": path.read_bytes() for kind in kinds for path in sorted((dataset / kind).iterdir())}
