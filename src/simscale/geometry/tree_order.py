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
    count = len(bounds)
    boxes = bounds.copy()
    first, last = np.arange(count), np.arange(count)  # of each node's leaves in the order so far
    leaf, order = np.arange(count), np.arange(count)
    leaves = np.empty_like(leaf)
    while count > 1:
        count = _parents(boxes, first, last, leaf, leaves, order, count)
        leaf[:] = leaves
    rank = np.empty_like(leaf)
    for i in range(len(leaf)):
        rank[leaf[i]] = i
    return rank


@njit(cache=True)
@no_type_check
def _sort(order, begin, end, boxes, axis):
    """Sorts a part of `order` by the middles of boxes; by insertion, for there are few."""
    for i in range(begin + 1, end):
        node = order[i]
        middle = boxes[node, axis] + boxes[node, axis + 2]
        j = i
        while j > begin and boxes[order[j - 1], axis] + boxes[order[j - 1], axis + 2] > middle:
            order[j] = order[j - 1]
            j -= 1
        order[j] = node


@njit(cache=True)
@no_type_check
def _parents(boxes, first, last, leaf, leaves, order, count):
    """One level up, in place: `leaves` in the order of that level, bounds and leaves of its nodes; their number."""
    slices = int(np.ceil(np.sqrt(np.ceil(count / NODE))))
    in_slice = int(np.ceil(count / slices))
    for i in range(count):
        order[i] = i
    _sort(order, 0, count, boxes, 0)
    for begin in range(0, count, in_slice):
        _sort(order, begin, min(begin + in_slice, count), boxes, 1)
    below, begins, ends = boxes.copy(), first.copy(), last.copy()
    nodes, filled = 0, 0
    for i in range(count):
        node = order[i]
        if i % in_slice % NODE == 0:
            boxes[nodes] = below[node]
            first[nodes] = filled
            nodes += 1
        at = nodes - 1
        boxes[at, 0], boxes[at, 1] = min(boxes[at, 0], below[node, 0]), min(boxes[at, 1], below[node, 1])
        boxes[at, 2], boxes[at, 3] = max(boxes[at, 2], below[node, 2]), max(boxes[at, 3], below[node, 3])
        for old in range(begins[node], ends[node] + 1):
            leaves[filled] = leaf[old]
            filled += 1
        last[at] = filled - 1
    return nodes
