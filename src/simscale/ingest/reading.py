"""Files of a dataset as plain arrays, or a `BadInput` that says what is wrong with them.

A damaged file must never end in a traceback of the library that reads it, and a number that is not finite must not
get past this door.
"""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import feather, parquet

from simscale.scene import BadInput

Array = np.ndarray

LARGEST = 1e18
"""No number in a log is larger (times in ns are); squares of damaged ones would overflow."""

REACH = 1e5
"""All that one log speaks of lies within 100 km, m: a damaged coordinate must not ask for endless arrays (ours)."""


def existing(path: Path, what: str) -> Path:
    """The path, if it is a file with something in it.

    Raises:
        BadInput: It is missing, not a file, or empty.
    """
    if not path.is_file():
        raise BadInput(path, "file", "missing", what)
    if path.stat().st_size == 0:
        raise BadInput(path, "file", "empty", what)
    return path


def read_table(path: Path, columns: Mapping[str, type], *, what: str) -> dict[str, Array]:
    """Columns of a Feather or Parquet file.

    Args:
        path: The file; `.parquet` is Parquet, all else Feather.
        columns: Name and type (`int`, `float`, `str`) of each column wanted.
        what: What the file is, for the error.

    Returns:
        int64, float64 and object arrays; every float is finite.

    Raises:
        BadInput: The file is missing or damaged, or a column is missing, of another type, incomplete or not finite.
    """
    reader = parquet.read_table if path.suffix == ".parquet" else feather.read_table
    try:
        table = reader(existing(path, what), memory_map=False)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise BadInput(path, "file", f"damaged ({_one_line(error)})", what) from None
    return {name: _column(path, table, name, kind) for name, kind in columns.items()}


def read_json(path: Path, *, what: str) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        BadInput: The file is missing or damaged, or holds something else.
    """
    try:
        content = json.loads(existing(path, what).read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise BadInput(path, "file", f"damaged ({_one_line(error)})", what) from None
    if not isinstance(content, dict):
        raise BadInput(path, "file", f"a JSON {type(content).__name__}", what)
    return content


def read_raster(path: Path) -> Array:
    """A two-dimensional `.npy` array of floats as float64; NaN is kept.

    Raises:
        BadInput: The file is missing or damaged, or holds something else.
    """
    what = "a two-dimensional .npy array of floats"
    try:
        raster = np.load(existing(path, what), allow_pickle=False)
    except (ValueError, OSError, EOFError, MemoryError, SyntaxError, TokenError, zipfile.BadZipFile) as error:
        raise BadInput(path, "file", f"damaged ({_one_line(error)})", what) from None
    if not isinstance(raster, np.ndarray) or raster.ndim != 2 or raster.dtype.kind != "f" or raster.size == 0:
        found = f"{raster.dtype} {raster.shape}" if isinstance(raster, np.ndarray) else "an archive"
        raise BadInput(path, "array", found, what)
    return raster.astype(np.float64)


def _column(path: Path, table: pa.Table, name: str, kind: type) -> Array:
    if name not in table.column_names:
        raise BadInput(path, name, "missing", f"a column of {kind.__name__} beside {', '.join(table.column_names)}")
    column = table.column(table.column_names.index(name))
    fits = {
        int: pa.types.is_integer,
        float: lambda t: pa.types.is_floating(t) or pa.types.is_integer(t),
        str: lambda t: pa.types.is_string(t) or pa.types.is_large_string(t),
    }[kind]
    if not fits(column.type):
        raise BadInput(path, name, f"a column of {column.type}", kind.__name__)
    if column.null_count:
        raise BadInput(path, name, f"empty in {column.null_count} of {len(column)} rows", "a value in every row")
    if kind is str:
        return _texts(path, name, column)
    values = column.to_numpy().astype(np.int64 if kind is int else np.float64)
    bad = np.flatnonzero(~np.isfinite(values) | (np.abs(values) > LARGEST)) if kind is float else []
    if len(bad):
        raise BadInput(path, f"{name} in row {bad[0]}", values[bad[0]], f"a finite number up to {LARGEST:g}")
    return values


def check_near(path: Path, table: Mapping[str, Array], *columns: str) -> None:
    """Refuses coordinates that lie farther from those in the first row than a log reaches.

    Raises:
        BadInput: One does.
    """
    for name in columns:
        bad = np.flatnonzero(np.abs(table[name] - table[name][:1]) > REACH)
        if len(bad):
            raise BadInput(
                path, f"{name} in row {bad[0]}", table[name][bad[0]], "a place within 100 km of the first row"
            )


def _texts(path: Path, name: str, column: pa.ChunkedArray) -> Array:
    try:
        return np.array(column.to_pylist(), dtype=object)
    except UnicodeDecodeError:
        raise BadInput(path, name, "not UTF-8 text", "text") from None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
