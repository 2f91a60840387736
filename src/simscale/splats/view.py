"""What is asked of a renderer of Gaussians, and what comes back; the same for every backend."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from simscale.splats.gaussians import Gaussians


@dataclass(frozen=True, kw_only=True)
class View:
    """`c` pinhole cameras with images of one size; differentiable in their poses."""

    camera_from_world: Float[Tensor, "c 4 4"]  # x right, y down, z forward
    intrinsics: Float[Tensor, "c 3 3"]  # px; the first pixel's centre is at (0.5, 0.5), half a pixel from OpenCV's
    width: int
    height: int

    def __len__(self) -> int:
        """How many cameras."""
        return len(self.camera_from_world)

    def at(self, camera: int) -> "View":
        """One camera alone."""
        return type(self)(
            camera_from_world=self.camera_from_world[camera : camera + 1],
            intrinsics=self.intrinsics[camera : camera + 1],
            width=self.width,
            height=self.height,
        )

    def centres(self) -> Float[Tensor, "c 3"]:
        """Where the cameras stand in the world; gradients treat a pose as any affine map, as gsplat does."""
        return torch.linalg.inv(self.camera_from_world)[:, :3, 3]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Thresholds of the mathematics; the defaults are gsplat 1.5.3's with `rasterize_mode="antialiased"`."""

    antialiased: bool = True  # opacity shrinks by what eps2d widens
    max_alpha: float = 0.999  # of one Gaussian at one pixel; gsplat 1.6 has 0.99
    min_compensation: float = 0.0  # floor of the antialiasing factor; gsplat 1.6 has 0.005
    eps2d: float = 0.3  # px^2, added to both variances in the image
    near: float = 0.01  # m, of a Gaussian's centre along the axis
    far: float = 1e10  # m
    radius_clip: float = 0.0  # px; Gaussians that reach no further on either axis are left out


@dataclass(frozen=True, kw_only=True)
class Visible:
    """Who was seen, for densification: `m` pairs of a camera and a Gaussian.

    The gradients are zero until a backward pass has run, and hold what the latest one found.
    """

    camera: Int[Tensor, " m"]
    gaussian: Int[Tensor, " m"]
    radius: Float[Tensor, " m"]  # px, the longer half of the box within which it shows
    grad: Float[Tensor, "m 2"]  # of the loss by the centre in the image, 1/px
    absolute_grad: Float[Tensor, "m 2"]  # the same with absolute values summed over pixels; zero without absgrad

    def mask(self, n: int) -> Bool[Tensor, " n"]:
        """Which of `n` Gaussians any camera saw."""
        seen = torch.zeros(n, dtype=torch.bool, device=self.gaussian.device)
        seen[self.gaussian] = True
        return seen

    def slopes(self, gaussians: Gaussians) -> dict[str, Float[Tensor, "m ..."]]:
        """Gradients of the Gaussians that were seen, by the parameter's name; of one camera, and one backward pass.

        They share the memory of sparse gradients (`sparse_grad`), and are copies of dense ones.
        """
        grads = {name: value.grad for name, value in gaussians.tensors().items()}
        return {
            name: grad._values() if grad.is_sparse else grad[self.gaussian]
            for name, grad in grads.items()
            if grad is not None
        }


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """What `c` cameras see; the padding, if any, is cut off, so planes may not be contiguous."""

    image: Float[Tensor, "c h w 3"]  # not clamped
    alpha: Float[Tensor, "c h w"]  # share of the light that Gaussians stop
    depth: Float[Tensor, "c h w"]  # along the axis, m, accumulated: weighted by that share and not divided by it
    extra: Float[Tensor, "c h w e"]
    visible: Visible

    @property
    def expected_depth(self) -> Float[Tensor, "c h w"]:
        """Depth of what stops the light, m; zero where nothing does."""
        return self.depth / self.alpha.clamp(min=1e-10)
