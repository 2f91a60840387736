"""Which renderer draws a scene, by name, and what it needs from the folder that the scene lies in."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from simscale.render import Renderer
from simscale.scene import BadInput, Scene
from simscale.town.raycast import RayCaster
from simscale.town.scenery_file import SUFFIX, read_scenery, scenery_path

KEPT = 2
"""Locations whose renderer is kept at hand; preparing one takes a second or two."""


def raycast(scene: Scene, folder: Path, *, rays: int) -> Renderer:
    """The town's ray caster, from the scenery file beside the scene.

    Args:
        scene: Whose location and origin.
        folder: Where the scene file lies.
        rays: Along the side of a pixel.

    Raises:
        BadInput: There is no scenery, which is so for all scenes but the town's.
    """
    path = scenery_path(folder, scene.location)
    if not path.is_file():
        raise BadInput(folder, "scenery", f"without {path.name}", f"a *{SUFFIX} file, as simscale town writes it")
    return _caster(path).at(scene.origin, rays=rays)


@lru_cache(maxsize=KEPT)
def _caster(path: Path) -> RayCaster:
    return RayCaster(read_scenery(path))


RENDERERS: dict[str, Callable[..., Renderer]] = {"raycast": raycast}
"""Each is called as `(scene, folder, *, rays)`."""


def asset_of(renderer: str, scene: Scene, folder: Path) -> Path:
    """The file that decides, beside scene and recipe, what a renderer draws."""
    assert renderer in RENDERERS
    return scenery_path(folder, scene.location)
