import numpy as np

from simscale.perturb.sampling import draw, grid_of

CELLS = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0], [2, -1, 0], [1, 0, 0]])
CANDIDATES = np.array([10, 11, 12, 13, 14])


def test_each_cell_holds_its_candidates():
    grid = grid_of(CELLS, CANDIDATES)
    assert len(grid) == 3
    held = [set(grid.member[grid.start[i] : grid.start[i + 1]].tolist()) for i in range(3)]
    assert held == [{10, 12}, {11, 14}, {13}]


def test_no_cell_is_drawn_twice_and_all_are_drawn_in_the_end():
    grid = grid_of(CELLS, CANDIDATES)
    visited = np.zeros(len(grid), dtype=bool)
    for round_ in range(3):
        cells, candidates = draw(grid, visited, tries=1, seed=0, token="a", round_=round_)
        assert not visited[cells].any()
        assert candidates[0] in grid.member[grid.start[cells[0]] : grid.start[cells[0] + 1]]
        visited[cells] = True
    assert visited.all()
    assert len(draw(grid, visited, tries=8, seed=0, token="a", round_=3)[0]) == 0


def test_a_draw_depends_on_seed_token_and_round_alone():
    cells = np.stack([np.arange(500), np.zeros(500, int), np.zeros(500, int)], -1)
    grid, visited = grid_of(cells, np.arange(500)), np.zeros(500, dtype=bool)

    def drawn(seed, token, round_):
        return draw(grid, visited, tries=8, seed=seed, token=token, round_=round_)[0].tolist()

    assert drawn(1, "a", 0) == drawn(1, "a", 0)
    assert len({tuple(drawn(*key)) for key in [(1, "a", 0), (2, "a", 0), (1, "b", 0), (1, "a", 1)]}) == 4


def test_a_token_without_candidates_has_no_cell():
    grid = grid_of(np.zeros((0, 3), dtype=np.int64), np.zeros(0, dtype=np.int64))
    assert len(grid) == 0
    assert len(draw(grid, np.zeros(0, dtype=bool), tries=8, seed=0, token="a", round_=0)[0]) == 0
