"""LPIPS: how different two pictures look to a network that was trained to recognise things (Zhang et al. 2018).

Its weights are not ours to give. A user who has them names a folder with two files of their original names: AlexNet's
(torchvision) and the five weightings of its layers (`weights/v0.1/alex.pth` of the authors' package).
"""

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from simscale.scene import BadInput
from simscale.splats.held_out import Perceptual

BACKBONE = "alexnet-owt-7be5be79.pth"
HEADS = "alex.pth"
CONVOLUTIONS = {
    0: (3, 64, 11, 4, 2),
    3: (64, 192, 5, 1, 2),
    6: (192, 384, 3, 1, 1),
    8: (384, 256, 3, 1, 1),
    10: (256, 256, 3, 1, 1),
}
"""Number in torchvision's file: channels in and out, width, stride, padding."""
POOLED = (3, 6)
"""Convolutions that see every second pixel only."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""The authors' normalisation of colours from -1 to 1."""


def perceptual_of(folder: Path) -> Perceptual:
    """LPIPS with the weights in a folder.

    Raises:
        BadInput: A file is missing, is no file of weights, or has other shapes.
    """
    backbone, heads = _read(folder / BACKBONE), _read(folder / HEADS)
    layers, weights = nn.ModuleDict(), []
    for index, (number, shape) in enumerate(CONVOLUTIONS.items()):
        layer = nn.Conv2d(*shape[:3], stride=shape[3], padding=shape[4]).requires_grad_(False)
        for name in ("weight", "bias"):
            found = _named(backbone, f"features.{number}.{name}", getattr(layer, name).shape, folder / BACKBONE)
            getattr(layer, name).copy_(found)
        layers[str(number)] = layer
        weights.append(_named(heads, f"lin{index}.model.1.weight", torch.Size((1, shape[1], 1, 1)), folder / HEADS))

    @torch.no_grad()
    def perceptual(image: Float[Tensor, "1 h w 3"], target: Float[Tensor, "1 h w 3"]) -> float:
        pair = torch.cat([image, target]).permute(0, 3, 1, 2) * 2 - 1
        seen = (pair - pair.new_tensor(SHIFT)[:, None, None]) / pair.new_tensor(SCALE)[:, None, None]
        total = 0.0
        for (number, layer), weight in zip(layers.items(), weights, strict=True):
            if int(number) in POOLED:
                seen = nn.functional.max_pool2d(seen, 3, 2)
            seen = torch.relu(layer(seen))
            unit = seen / (seen.norm(dim=1, keepdim=True) + 1e-10)
            total += float(((unit[:1] - unit[1:]).square() * weight).sum(dim=1).mean())
        return total

    return perceptual


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise BadInput(path, "file", "missing", f"{BACKBONE} and {HEADS}, which a user brings")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler meets
        raise BadInput(path, "file", f"damaged ({type(error).__name__})", "weights of PyTorch") from None
    if not isinstance(found, dict):
        raise BadInput(path, "content", type(found).__name__, "weights by name")
    return found


def _named(weights: dict[str, Tensor], name: str, shape: torch.Size, where: Path) -> Tensor:
    found = weights.get(name)
    if not isinstance(found, Tensor) or found.shape != shape:
        raise BadInput(where, name, list(getattr(found, "shape", ())) or "missing", list(shape))
    return found.float()
