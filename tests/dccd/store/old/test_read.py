"""The rows of old files, whatever they are written in."""

from __future__ import annotations

import pickle
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from dccd.errors import OldFileProblem
from dccd.store.old.read import read_old


@pytest.mark.parametrize("name", ["trades.csv", "trades.db", "trades.parquet"])
def test_each_format_has_the_same_rows(old: Callable[[str], Path], name: str) -> None:
    """What dccd 2 saved in two goes is read whole."""
    frame = read_old(old("dccd2") / "dump" / name)
    assert frame["tid"].to_list() == list(range(7000, 7010))
    assert frame["price"].to_list() == [100 + i / 8 for i in range(10)]


def test_excel_is_read(old: Callable[[str], Path]) -> None:
    """With its numbers as numbers."""
    (path,) = old("dccd20").rglob("*2024.xlsx")
    frame = read_old(path)
    assert frame["TS"].to_list() == [1704067200 + i * 3600 for i in range(4)]
    assert frame["weightedAverage"].to_list() == [102.05, 103.05, 104.05, 105.05]


def test_a_pickle_is_not_opened(old: Callable[[str], Path], tmp_path: Path) -> None:
    """It could run anything: the message says how its owner gets at the rows."""

    class Bomb:
        def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
            return open, (str(tmp_path / "opened"), "w")

    (tmp_path / "x.dat").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(OldFileProblem, match="write_parquet"):
        read_old(tmp_path / "x.dat")
    assert not (tmp_path / "opened").exists()


@pytest.mark.parametrize("name", ["x.parquet", "x.xlsx", "x.db"])
def test_nonsense_is_named(tmp_path: Path, name: str) -> None:
    """A file that isn't what it is called."""
    (tmp_path / name).write_bytes(b"nonsense" * 100)
    with pytest.raises(OldFileProblem, match="can't be read"):
        read_old(tmp_path / name)


def test_a_database_needs_its_table(tmp_path: Path) -> None:
    """With several, none of which dccd 2 made, nobody knows which is meant."""
    with sqlite3.connect(tmp_path / "x.db") as connection:
        connection.execute("CREATE TABLE a (x)")
        connection.execute("CREATE TABLE b (x)")
    connection.close()
    with pytest.raises(OldFileProblem, match="main_table: a, b"):
        read_old(tmp_path / "x.db")
