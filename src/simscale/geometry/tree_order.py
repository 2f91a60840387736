"""In which order an STR tree of boxes answers: the order that decides ties wherever the first answer wins.

GEOS, the geometry library of the reference, sorts the boxes into slices by x and each slice by y, ten of them to a
node, then the nodes likewise, until one is left (sort-tile-recursive, Leutenegger et al. 1997); a query walks the
nodes in that order. We need the order, not the tree (`TemplateSTRtree` of GEOS; boxes whose middles agree to the last
bit may come in another order there).
"""

from typing import no_type_check

import numpy as np
from numba import njit

NODE = 10
"""Entries of a node (`node_capacity` of Shapely's tree)."""


@njit(cache=True)
@no_type_check
def tree_order(bounds):
    """Rank of each box in the answers of a tree of all; `bounds [n 4]` are low x, low y, high x, high y."""
    leaf = np.arange(len(bounds))
    start = np.arange(len(bounds) + 1)  # of each node's leaves
    while len(start) > 2:
        leaf, start, bounds = _parents(leaf, start, bounds)
    rank = np.empty(len(leaf), np.int64)
    rank[leaf] = np.arange(len(leaf))
    return rank


@njit(cache=True)
@no_type_check
def _parents(leaf, start, bounds):
    """The nodes one level up: their leaves, where those start, and their bounds."""
    count = len(bounds)
    slices = int(np.ceil(np.sqrt(np.ceil(count / NODE))))
    in_slice = int(np.ceil(count / slices))
    order = np.argsort(bounds[:, 0] + bounds[:, 2], kind="mergesort")
    leaves, starts = np.empty_like(leaf), np.zeros(count + 1, np.int64)
    boxes = np.empty((count, 4))
    nodes, filled = 0, 0
    for first in range(0, count, in_slice):
        piece = order[first : first + in_slice]
        piece = piece[np.argsort(bounds[piece, 1] + bounds[piece, 3], kind="mergesort")]
        for i in range(len(piece)):
            node = piece[i]
            if i % NODE == 0:
                boxes[nodes] = bounds[node]
                nodes += 1
            boxes[nodes - 1, :2] = np.minimum(boxes[nodes - 1, :2], bounds[node, :2])
            boxes[nodes - 1, 2:] = np.maximum(boxes[nodes - 1, 2:], bounds[node, 2:])
            size = start[node + 1] - start[node]
            leaves[filled : filled + size] = leaf[start[node] : start[node + 1]]
            filled += size
            starts[nodes] = filled
    return leaves, starts[: nodes + 1], boxes[:nodes]
