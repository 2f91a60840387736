"""Sources: what there is to render, log by log: the decision points of scenes, or the samples of a dataset.

A source is words only, so that it crosses a process boundary for nothing; the worker reads what they name, and keeps
the last few scenes at hand.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from simscale.dataset.files import sha256_of
from simscale.dataset.manifest import read_manifest
from simscale.dataset.moment import Moment, logged_instants, logged_moment, simulated_moments
from simscale.dataset.recipe import sample_of
from simscale.dataset.shards import Member, read_member, read_members
from simscale.dataset.streets import street_of
from simscale.generate.place import token_name
from simscale.generate.sample import Sample
from simscale.scene import BadInput, Scene
from simscale.scene.file import read_id, read_scene, scene_files


@dataclass(frozen=True, kw_only=True)
class Source:
    """One log, and what is to be seen of it."""

    log: str  # id of the scene
    path: Path  # of its file
    sha256: str  # of its file
    street: str  # names the streets: training and test may not share one
    items: tuple[str, ...]  # tokens of decision points, or of samples; sorted
    dataset: Path | None = None  # that holds the samples; None for decision points
    digest: str = ""  # of the dataset


def logged_sources(folders: Sequence[Path]) -> list[Source]:
    """The decision points of some scene folders (or files), sorted by log.

    Raises:
        BadInput: No scene, a damaged one, two with one id, or none with a decision point.
    """
    sources: dict[str, Source] = {}
    for path in [path for folder in folders for path in scene_files(folder)]:
        sha256 = sha256_of(path)
        scene = scene_at(path, sha256)
        if scene.id in sources:
            raise BadInput(path, "id", repr(scene.id), f"an id of its own ({sources[scene.id].path} has it too)")
        items = tuple(token_name(scene.id, instant) for instant in logged_instants(scene))
        sources[scene.id] = Source(log=scene.id, path=path, sha256=sha256, street=street_of(scene), items=items)
    if not any(source.items for source in sources.values()):
        where = ", ".join(str(folder) for folder in folders)
        raise BadInput(where, "decision points", "none", "a log of 5.5 s or more")
    return [sources[log] for log in sorted(sources)]


def sample_sources(dataset: Path, scenes: Sequence[Path] = ()) -> list[Source]:
    """The samples of a dataset, sorted by log.

    Args:
        dataset: What `simscale generate` wrote.
        scenes: Folders of its scenes, should they have moved.

    Raises:
        BadInput: No dataset, an empty one, a scene that is gone, or one that is not what it was.
    """
    manifest = read_manifest(dataset)
    tokens = sorted(_members(dataset, manifest.digest))
    if not tokens:
        raise BadInput(dataset, "samples", "none", "at least one accepted sample")
    made_from = {row["log"]: row for row in manifest.inputs}
    moved = {read_id(path): path for folder in scenes for path in scene_files(folder)}
    by_log: dict[str, list[str]] = {}
    for token in tokens:
        by_log.setdefault(_log_of(token), []).append(token)
    sources = []
    for log, items in sorted(by_log.items()):
        if log not in made_from:
            raise BadInput(dataset, "inputs", f"without {log}", "every log that has samples")
        path = moved.get(log, Path(made_from[log]["path"]))
        if not path.is_file():
            raise BadInput(
                dataset, f"scene {log} of sample {items[0]}", f"gone ({path})", "its file, or its folder by --scenes"
            )
        sha256 = sha256_of(path)
        if sha256 != made_from[log]["sha256"]:
            raise BadInput(path, "content", "not what the samples were made from", f"sha256 {made_from[log]['sha256']}")
        street = street_of(scene_at(path, sha256))
        sources.append(
            Source(
                log=log,
                path=path,
                sha256=sha256,
                street=street,
                items=tuple(items),
                dataset=dataset,
                digest=manifest.digest,
            )
        )
    return sources


def moments_of(source: Source, item: str) -> list[Moment]:
    """The moments of one item; they share one image."""
    scene = scene_at(source.path, source.sha256)
    if source.dataset is None:
        return [logged_moment(scene, instant_of(item))]
    return list(simulated_moments(scene, sample_at(source, item)))


def sample_at(source: Source, item: str) -> Sample:
    """The sample that an item of a dataset names."""
    assert source.dataset is not None, "decision points have no samples"
    member = _members(source.dataset, source.digest)[item]
    return sample_of(read_member(source.dataset, member), name=item)


def instant_of(item: str) -> int:
    """The grid instant of a decision point."""
    return int(item.rpartition("-t")[2])


@lru_cache(maxsize=4)
def scene_at(path: Path, sha256: str) -> Scene:
    """The scene in a file with this content; the last few are kept."""
    return read_scene(path)


@lru_cache(maxsize=4)
def _members(dataset: Path, digest: str) -> dict[str, Member]:
    return {member.member.removesuffix(".npz"): member for member in read_members(dataset)}


def _log_of(token: str) -> str:
    """`<log>-t<instant>-<round>` without its last two words."""
    return token.rpartition("-")[0].rpartition("-t")[0]
