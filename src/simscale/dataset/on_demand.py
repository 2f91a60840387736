"""Examples rendered when they are asked for: nothing on disk but recipes, at the cost of drawing them each time.

The same recipe, the same moments and the same targets as `simscale render`; the images alone differ, by what JPEG
loses.
"""

from collections.abc import Sequence
from pathlib import Path

import torch.utils.data

from simscale.dataset.example import Example, example_of, view_of
from simscale.dataset.renderers import RENDERERS
from simscale.dataset.sensors import Sensors
from simscale.dataset.sources import Source, moments_of, scene_at


class OnDemand(torch.utils.data.Dataset):
    """All examples of some sources, sorted by token within a source; a `DataLoader`'s workers may share it."""

    def __init__(self, sources: Sequence[Source], *, renderer: str, sensors: Sensors, assets: Path | None = None):
        """Reads the recipes once, to know whose answers were accepted.

        Args:
            sources: What to render.
            renderer: A name in RENDERERS.
            sensors: A profile whose cameras are stitched.
            assets: Of reconstructed streets, for the renderer `splats`.
        """
        assert sensors.stitched, "an example has one image"
        self._renderer, self._sensors, self._assets = renderer, sensors, assets
        self._places = [
            (source, item, place)
            for source in sources
            for item in source.items
            for place in range(len(moments_of(source, item)))
        ]

    def __len__(self) -> int:
        """Number of examples."""
        return len(self._places)

    def __getitem__(self, index: int) -> Example:
        """Renders one example."""
        source, item, place = self._places[index]
        scene = scene_at(source.path, source.sha256)
        return example_of(
            moments_of(source, item)[place],
            scene,
            renderer=RENDERERS[self._renderer](scene, source.path.parent, rays=self._sensors.rays, assets=self._assets),
            view=view_of(scene, self._sensors.size),
        )
