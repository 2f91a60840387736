"""Tables of scores as files: what is written is read again, and what is no table is refused in one sentence."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from simscale.evaluate.table import COLUMNS_OF, SUMMARY_OF, ScoreTable, read_table, table_csv
from simscale.scene import BadInput

KINDS = tuple(COLUMNS_OF)


def made(kind: str, rows: int = 4) -> ScoreTable:
    rng = np.random.default_rng(3)
    values = rng.random((rows, len(COLUMNS_OF[kind])))
    values[rng.random(values.shape) < 0.2] = np.nan
    return ScoreTable(
        kind=kind,
        token=tuple(f"token-{n}" for n in range(rows)),
        valid=rng.random(rows) < 0.5,
        values=values,
        summary={name: rng.random(values.shape[1]) for name in SUMMARY_OF[kind]},
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz"])
def test_what_is_written_is_read(tmp_path: Path, kind: str, name: str):
    table, path = made(kind), tmp_path / name
    text = table_csv(table).encode()
    path.write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    found = read_table(path)
    assert (found.kind, found.token) == (kind, table.token)
    np.testing.assert_array_equal(found.valid, table.valid)
    np.testing.assert_array_equal(found.values, table.values)
    assert list(found.summary) == list(SUMMARY_OF[kind])
    for row in table.summary:
        np.testing.assert_array_equal(found.summary[row], table.summary[row])
    assert table_csv(found).encode() == text


@pytest.mark.shared
def test_the_references_own_tables_are_written_again_byte_by_byte(shared: Path):
    goldens = sorted((shared / "golden/scoring/two_stage").glob("*_*.csv"))
    assert len(goldens) == 7
    for path in goldens:
        assert table_csv(read_table(path)) == path.read_text()


def test_a_row_of_two_stages_fills_one():
    table = made("two-stage", rows=4)
    table.values[:] = np.nan
    table.values[0, 2], table.values[1, 12] = 1.0, 1.0
    table.values[2, [0, 9]] = 1.0
    np.testing.assert_array_equal(table.stage, [1, 2, 0, 0])


TEXT = table_csv(made("one-stage"))
WITHOUT_SCORE = "\n".join(line.rsplit(",", 1)[0] for line in TEXT.splitlines())
DAMAGED = {
    "empty": (b"", "file is empty, expected a table of scores"),
    "blank": (b"\n\n", "file is empty"),
    "no table": (b"a,b\n1,2\n", "header is without token"),
    "no score": (WITHOUT_SCORE.encode(), "header is without score, expected the columns of a one-stage table"),
    "no rows": (TEXT.splitlines()[0].encode() + b"\n", "rows is none of a token"),
    "words": (TEXT.replace("True", "perhaps").replace("False", "perhaps").encode(), "table is damaged"),
    "letters": (TEXT.replace("0.", "x.").encode(), "table is damaged"),
    "cut": (TEXT[: TEXT.rindex(",") - 30].encode(), "table is damaged"),
    "twice": (TEXT.replace("two_frame_extended_comfort", "two_frame_extended_comfort,score", 1).encode(), "twice"),
    "binary": (bytes(range(256)) * 9, "header is without token"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_what_is_no_table_is_refused_in_one_sentence(tmp_path: Path, what: str):
    content, words = DAMAGED[what]
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(BadInput) as refused:
        read_table(path)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_packed_table_must_be_whole(tmp_path: Path):
    path = tmp_path / "table.csv.gz"
    packed = gzip.compress(TEXT.encode())
    for content in (packed[:-20], packed[: len(packed) // 2], TEXT.encode(), b"", packed[:40] + b"zzzz" + packed[44:]):
        path.write_bytes(content)
        with pytest.raises(BadInput, match=r"file is (damaged|empty)"):
            read_table(path)
    with pytest.raises(BadInput, match="file is missing"):
        read_table(tmp_path / "nothing.csv")
