"""Streets: what training and test may not share, or the test measures memory."""

from collections.abc import Iterable
from pathlib import Path

from simscale.dataset.loading import rendered_manifest
from simscale.dataset.manifest import NEWEST
from simscale.scene import BadInput, Scene
from simscale.scene.file import read_scene, scene_files


def street_of(scene: Scene) -> str:
    """Names the streets of a scene.

    A town is small: whoever has driven there knows its streets. Of a real city another log is another street.
    """
    return scene.location if scene.source == "town" else scene.id


def streets_in(folder: Path) -> set[str]:
    """Streets of a folder of rendered examples, or of scenes.

    Raises:
        BadInput: It is neither.
    """
    if (folder / NEWEST).is_file() and not any(folder.glob("*.scene.npz")):
        return {row["street"] for row in rendered_manifest(folder).inputs}
    return {street_of(read_scene(path)) for path in scene_files(folder)}


def check_apart(trained: Iterable[str], tested: Iterable[str], *, where: object) -> None:
    """Refuses to test on streets of the training.

    Args:
        trained: Streets of the training, as the checkpoint records them.
        tested: Streets of the test.
        where: What to call the test in the error.

    Raises:
        BadInput: They share a street.
    """
    shared = sorted(set(trained) & set(tested))
    if shared:
        named = ", ".join(shared[:3]) + (f" and {len(shared) - 3} more" if len(shared) > 3 else "")
        raise BadInput(where, "streets", f"those of the training ({named})", "streets that the training never saw")
