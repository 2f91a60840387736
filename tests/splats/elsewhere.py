"""A device that every machine has: tensors that say they lie on `meta`, computed on the CPU as soon as nobody looks.

As on CUDA, an operation takes tensors of one device, numbers and NumPy arrays come from the CPU alone, and nothing
changes device but by being told to. So code that runs here has told all its tensors where to lie.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from simscale.splats.gaussians import Gaussians
from simscale.splats.render import render
from simscale.splats.view import Drawing

ELSEWHERE = torch.device("meta")
MOVES = (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
INDEXING = (torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default)
"""CUDA takes indices of the CPU too, and so does this device."""


class Far(Tensor):
    """A tensor that lies elsewhere; `here` is what it holds."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor):
        """Of what lies here."""
        far = Tensor._make_wrapper_subclass(  # pyright: ignore[reportAttributeAccessIssue]
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=ELSEWHERE,
        )
        far.here = here
        return far

    def __repr__(self, **_) -> str:
        """For failing tests."""
        return f"Far({self.here})"

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        """Computes here, and puts the results there."""
        kwargs = dict(kwargs or {})
        tensors = _tensors((args, kwargs))
        far = any(isinstance(leaf, Far) for leaf in tensors)
        known = {id(leaf.here if isinstance(leaf, Far) else leaf): leaf for leaf in tensors}
        bound = _tensors((args[0], args[2:])) if func in INDEXING else tensors
        near = [leaf for leaf in bound if not isinstance(leaf, Far) and leaf.dim()]
        assert func in MOVES or not far or not near, f"{func} of tensors on two devices"
        to = kwargs.get("device")
        if to is not None:
            kwargs["device"] = torch.device("cpu")
        given = tree_map_only(Far, lambda leaf: leaf.here, (args, kwargs))
        found = func(*given[0], **given[1])
        if not far if to is None else to != ELSEWHERE:
            return found
        return tree_map_only(Tensor, lambda leaf: known[id(leaf)] if id(leaf) in known else Far(leaf), found)


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


class _Computed(TorchDispatchMode):
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Everything goes the way of tensors that lie there."""
        return Far.__torch_dispatch__(func, types, args, kwargs)


class _Made(TorchFunctionMode):
    def __torch_function__(self, func, types, args=(), kwargs=None):
        """torch forgets the numbers of what is made on `meta`, so they are taken there."""
        kwargs = kwargs or {}
        if func is torch.tensor and kwargs.get("device") == ELSEWHERE:
            return torch.tensor(*args, **kwargs | {"device": "cpu"}).to(ELSEWHERE)
        if func is Tensor.new_tensor and isinstance(args[0], Far):
            return torch.tensor(args[1], dtype=args[0].dtype).to(ELSEWHERE)
        return func(*args, **kwargs)


@contextmanager
def elsewhere() -> Iterator[None]:
    """Within it tensors can lie on `ELSEWHERE`."""
    with _Computed(), _Made():
        yield


def render_elsewhere(gaussians: Gaussians, view, **how) -> Drawing:
    """Draws here, also what lies there."""
    if gaussians.means.device != ELSEWHERE:
        return render(gaussians, view, **how)
    here = Gaussians(**{name: value.cpu() for name, value in gaussians.tensors().items()})
    eye = replace(view, camera_from_world=view.camera_from_world.cpu(), intrinsics=view.intrinsics.cpu())
    drawing = render(here, eye, **how | {"sparse_grad": False})  # as on CUDA
    seen = drawing.visible
    visible = {name: Far(getattr(seen, name)) for name in ("camera", "gaussian", "radius", "grad", "absolute_grad")}
    planes = {name: getattr(drawing, name).to(ELSEWHERE) for name in ("image", "alpha", "depth", "extra")}
    return Drawing(**planes, visible=replace(seen, **visible))
