"""Reading files of golden numbers strictly: every array has the kind and shape that its name promises, or none.

A golden file is a pair, `.npz` and `.json`. What a caller needs must be there; all else may be absent, but what is
there must be sound: a truncated file or a number that is not finite must not pass for agreement.
"""

import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from simscale.ingest.reading import LARGEST, existing, read_json
from simscale.scene import BadInput

Array = np.ndarray

MAX_BYTES = 1 << 30
"""No golden file unpacks to as much."""


@dataclass(frozen=True, kw_only=True)
class ArrayForm:
    """What an array must be: a kind, and a shape in which words are sizes that must agree over the file."""

    kind: str  # float, int, bool, text
    shape: tuple[str, ...]  # numbers or words
    may_be_infinite: bool = False  # or NaN: "never", "no velocity"


def forms(table: Mapping[str, str]) -> dict[str, ArrayForm]:
    """Forms as words: `float k 41 11`; `float?` may hold NaN and infinity."""
    found = {}
    for name, words in table.items():
        kind, *shape = words.split()
        found[name] = ArrayForm(kind=kind.rstrip("?"), shape=tuple(shape), may_be_infinite=kind.endswith("?"))
    return found


def read_pair(stem: Path, *, formats: str, what: str) -> tuple[dict[str, Any], dict[str, Array]]:
    """The JSON object and the arrays of a pair of files.

    Args:
        stem: Path without suffix.
        formats: What `format` of the JSON must be.
        what: What the files are, for messages.

    Raises:
        BadInput: One is missing, damaged, or of another format.
    """
    content = read_json(stem.with_suffix(".json"), what=what)
    if content.get("format") != formats:
        raise BadInput(stem.with_suffix(".json"), "format", repr(content.get("format", "missing")), repr(formats))
    return content, read_arrays(stem.with_suffix(".npz"), what=what)


def read_arrays(path: Path, *, what: str) -> dict[str, Array]:
    """All arrays of a `.npz` file.

    Raises:
        BadInput: It is missing, empty, damaged, larger than any such file, or holds Python objects.
    """
    existing(path, what)
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
        if size > MAX_BYTES:
            raise BadInput(path, "size", f"{size} bytes", f"at most {MAX_BYTES}")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError, OSError, LookupError, SyntaxError) as error:
        raise BadInput(path, "file", f"damaged ({_one_line(error)})", what) from None
    except (MemoryError, NotImplementedError, RuntimeError, TokenError) as error:
        raise BadInput(path, "file", f"damaged ({_one_line(error)})", what) from None


def check_arrays(
    path: Path, arrays: Mapping[str, Array], known: Mapping[str, ArrayForm], *, needed: tuple[str, ...]
) -> None:
    """Refuses arrays that are not what their names promise; names that nobody knows are left alone.

    Raises:
        BadInput: An array is missing, of another kind or shape, or not finite.
    """
    for name in needed:
        if name not in arrays:
            raise BadInput(path, name, "missing", f"an array of {' x '.join(known[name].shape) or 'one number'}")
    sizes: dict[str, tuple[int, str]] = {}
    for name in [*needed, *(name for name in arrays if name not in needed)]:
        if name in known:
            _check_kind(path, name, arrays[name], known[name])
            _check_shape(path, name, arrays[name].shape, known[name].shape, sizes)


def check_groups(path: Path, name: str, start: Array, rows: int, *, groups: int | None = None) -> None:
    """Refuses offsets of ragged rows that do not run from 0 to the number of rows.

    Raises:
        BadInput: They do not, or there are not as many groups as there should be.
    """
    if groups is not None and len(start) != groups + 1:
        raise BadInput(path, name, f"{len(start)} offsets", f"{groups + 1}")
    if len(start) == 0 or start[0] != 0 or start[-1] != rows or (np.diff(start) < 0).any():
        ends = f"{start[0]} to {start[-1]}" if len(start) else "empty"
        raise BadInput(path, name, ends, f"ascending offsets from 0 to {rows}")


def check_range(path: Path, name: str, numbers: Array, count: int) -> None:
    """Refuses numbers of things of which there are not so many.

    Raises:
        BadInput: One is negative, or `count` or more.
    """
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < count):
        raise BadInput(path, name, f"{numbers.min()} to {numbers.max()}", f"0 to {count - 1}")


def _check_kind(path: Path, name: str, array: Array, form: ArrayForm) -> None:
    kinds = {"float": "f", "int": "iu", "bool": "b", "text": "U"}
    if array.dtype.kind not in kinds[form.kind]:
        raise BadInput(path, name, f"of {array.dtype}", form.kind)
    if form.kind != "float":
        return
    finite, size = np.isfinite(array), np.abs(array.astype(np.float64))
    bad = np.where(finite, size > LARGEST, not form.may_be_infinite)
    if bad.any():
        at = tuple(int(i) for i in np.argwhere(bad)[0])
        place = f"{name}[{', '.join(map(str, at))}]" if at else name
        raise BadInput(path, place, array[at], f"a finite number up to {LARGEST:g}")


def _check_shape(
    path: Path, name: str, shape: tuple[int, ...], wanted: tuple[str, ...], sizes: dict[str, tuple[int, str]]
) -> None:
    fits = len(shape) == len(wanted)
    for size, word in zip(shape, wanted, strict=False):
        known, _ = (int(word), "") if word.isdigit() else sizes.setdefault(word, (size, name))
        fits = fits and size == known
    if not fits:
        said = " x ".join(str(sizes[word][0]) if word in sizes else word for word in wanted)
        raise BadInput(path, name, f"of shape {shape}", said or "one number")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
