"""What planners' tests share: the golden numbers and the recipe of their weights and inputs, read from its file."""

import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch


@dataclass(frozen=True, kw_only=True)
class Golden:
    folder: Path
    recipe: ModuleType  # weight_recipe.py
    salt: str
    prefix: str

    def numbers(self, name: str) -> dict[str, np.ndarray]:
        with np.load(self.folder / f"{name}.npz") as file:
            return dict(file)

    def read(self, name: str) -> dict:
        return json.loads((self.folder / name).read_text())

    def weights(self, case: str) -> dict[str, torch.Tensor]:
        """The weights of a case by the reference's names; checked against its manifest."""
        weights = {}
        for row in self.read(f"{case}.manifest.json")["state_dict"]:
            value = self._weight(row)
            assert np.isclose(value.astype(np.float64).sum(), row["sum"], rtol=1e-12)
            weights[row["key"]] = torch.from_numpy(value)
        return weights

    def _weight(self, row: dict) -> np.ndarray:
        """Vocabulary and anchors are trajectories; everything else is drawn by its key."""
        if row["key"].endswith(".plan_anchor"):
            return np.ascontiguousarray(self.recipe.arcs("dd-anchors", 20, 8, 0.5)[..., :2])
        if row["key"].endswith(".vocab"):
            return self.recipe.arcs(f"gtrs-vocab-{row['shape'][0]}", row["shape"][0], 40, 0.1)
        return self.recipe.weight_for(row["key"], row["shape"], row["dtype"], self.salt)


@pytest.fixture(scope="session")
def golden(shared) -> Golden:
    folder = shared / "golden/planners"
    spec = importlib.util.spec_from_file_location("weight_recipe", folder / "weight_recipe.py")
    assert spec is not None and spec.loader is not None
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    said = json.loads((folder / "recipe.json").read_text())
    return Golden(folder=folder, recipe=recipe, salt=said["weight_salt"], prefix=said["input_prefix"])


@pytest.fixture(autouse=True)
def one_thread():
    """The same sums in the same order on every machine with the same build."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
