"""The house: a room imports only rooms above it, and driving rooms never import torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[1] / "src/simscale"

ROOMS = (
    "geometry",
    "scene",
    "dynamics",
    "scoring",
    "traffic",
    "perturb",
    "experts",
    "generate",
    "render",
    "splats",
    "town",
    "ingest",
    "dataset",
    "planners",
    "engine",
    "train",
    "evaluate",
    "study",
    "viz",
    "recipes",
    "cli",
)
"""From the top of the house to the bottom: each imports only itself and what stands before it."""

DRIVING = (*ROOMS[: ROOMS.index("generate") + 1], "town", "ingest")
"""NumPy alone; a user who only scores never waits for torch."""
LEARNING = ("torch", "gsplat", "safetensors")


def room_of(module: str) -> str | None:
    """Room of a module's dotted name; None for the package itself and for other packages."""
    parts = module.split(".")
    return parts[1] if parts[0] == "simscale" and len(parts) > 1 else None


def imports_in(path: Path) -> list[tuple[int, str]]:
    """Lines and dotted names of everything a file imports, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import; write the full name"
            # `from simscale import scene` imports a room as well
            found += [(node.lineno, f"{node.module}.{alias.name}") for alias in node.names]
    return found


def breaks_of(path: Path, room: str) -> list[str]:
    """Sentences about the imports of one file that break the order."""
    allowed = ROOMS[: ROOMS.index(room) + 1]
    where = path.relative_to(SOURCE.parents[1]) if path.is_relative_to(SOURCE.parents[1]) else path.name
    broken = []
    for line, module in imports_in(path):
        other = room_of(module)
        if other in ROOMS and other not in allowed:
            broken.append(f"{where}:{line}: {room} imports {module}, which stands below it")
        if room in DRIVING and module.split(".")[0] in LEARNING:
            broken.append(f"{where}:{line}: {room} is a driving room and imports {module}")
    return broken


def files_by_room() -> list[tuple[Path, str]]:
    files = [path for path in sorted(SOURCE.rglob("*.py")) if path != SOURCE / "__init__.py"]
    return [(path, path.relative_to(SOURCE).parts[0].removesuffix(".py")) for path in files]


def test_every_file_stands_in_a_room_and_at_most_one_folder_deep():
    strangers = [str(path) for path, room in files_by_room() if room not in ROOMS and room != "__main__"]
    assert strangers == []
    assert [str(path) for path, _ in files_by_room() if len(path.relative_to(SOURCE).parts) > 2] == []


def test_a_room_imports_only_rooms_above_it():
    broken = [sentence for path, room in files_by_room() if room in ROOMS for sentence in breaks_of(path, room)]
    assert broken == [], "\n".join(broken)


def test_files_stay_readable_in_one_sitting():
    long = [
        f"{path}: {count} lines" for path, _ in files_by_room() if (count := len(path.read_text().splitlines())) > 500
    ]
    assert long == []


@pytest.mark.parametrize(
    ("room", "line", "sentence"),
    [
        ("scene", "from simscale.scoring.epdms import score", "scene imports simscale.scoring.epdms.score"),
        ("traffic", "from simscale import viz", "traffic imports simscale.viz"),
        ("generate", "import torch.nn", "generate is a driving room and imports torch.nn"),
        ("dynamics", "def f():\n    import simscale.engine.run", "dynamics imports simscale.engine.run"),
    ],
)
def test_the_check_names_file_and_import(tmp_path, room, line, sentence):
    file = tmp_path / "wrong.py"
    file.write_text(line + "\n")
    (found,) = breaks_of(file, room)
    assert found.startswith("wrong.py:") and sentence in found


def test_importing_every_driving_room_does_not_load_torch():
    rooms = [room for room in DRIVING if (SOURCE / room).is_dir()]
    modules = [
        ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)
        for path, room in files_by_room()
        if room in rooms
    ]
    script = (
        f"import importlib, sys\nfor m in {modules!r}: importlib.import_module(m)\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
