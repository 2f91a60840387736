"""Which renderer draws a scene, by name, and what it needs: the scenery beside the scene, or an asset."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from simscale.render import Renderer
from simscale.scene import BadInput, Scene
from simscale.town.raycast import RayCaster
from simscale.town.scenery_file import SUFFIX, read_scenery, scenery_path

KEPT = 2
"""Locations whose renderer is kept at hand; preparing one takes a second or two."""


def raycast(scene: Scene, folder: Path, *, rays: int, assets: Path | None = None) -> Renderer:
    """The town's ray caster, from the scenery file beside the scene.

    Args:
        scene: Whose location and origin.
        folder: Where the scene file lies.
        rays: Along the side of a pixel.
        assets: Not needed.

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


def splats(scene: Scene, folder: Path, *, rays: int, assets: Path | None = None) -> Renderer:
    """A street of Gaussians that was reconstructed from the scene's own photographs.

    Args:
        scene: Whose street.
        folder: Where the scene file lies; not needed.
        rays: Along the side of a pixel.
        assets: What `simscale reconstruct` wrote, or a folder of such.

    Raises:
        BadInput: No assets are named, none is of this scene, or it is damaged.
    """
    from simscale.splats.asset_choice import street_renderer  # torch, which who casts rays need not wait for

    path = asset_of("splats", scene, folder, assets)
    return street_renderer(path.parent, path.stat().st_mtime_ns).at(rays=rays)


RENDERERS: dict[str, Callable[..., Renderer]] = {"raycast": raycast, "splats": splats}
"""Each is called as `(scene, folder, *, rays, assets)`."""


def asset_of(renderer: str, scene: Scene, folder: Path, assets: Path | None = None) -> Path:
    """The file that decides, beside scene and recipe, what a renderer draws.

    Raises:
        BadInput: There is none.
    """
    assert renderer in RENDERERS
    if renderer == "raycast":
        path = scenery_path(folder, scene.location)
        if not path.is_file():
            raise BadInput(folder, f"scenery of {scene.id}", f"absent ({path.name})", "what simscale town writes")
        return path
    from simscale.splats.asset_choice import asset_for

    if assets is None:
        raise BadInput(scene.id, "assets", "not named", "--assets DIR, what simscale reconstruct wrote")
    return asset_for(assets, scene.id)
