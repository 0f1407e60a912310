"""What is found wrong with a store, and damaged files out of the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dccd.errors import CorruptFile
from dccd.store.doctor import Finding, Progress, examine
from dccd.store.files import locked
from dccd.store.fold import fold
from dccd.store.parquet import OpenFile


def found(bench: Any, **options: Any) -> list[Finding]:
    return [one for one in examine(bench.layout, **options) if isinstance(one, Finding)]


def damage(path: Path, where: str) -> None:
    """Break *path* in the middle of a page, at its end, in its footer, or wholly."""
    data = bytearray(path.read_bytes())
    if where == "page":
        chunk = pq.read_metadata(path).row_group(0).column(1)
        data[chunk.data_page_offset + chunk.total_compressed_size - 3] ^= 0xFF
    elif where == "footer":
        data[-60] ^= 0xFF
    path.write_bytes(b"" if where == "empty" else bytes(data[: len(data) // 2] if where == "cut" else data))


def test_a_sound_store_has_no_findings(bench: Any) -> None:
    """Segments, merged ones, a base; all bytes are read."""
    for n in range(9):
        bench.put([bench.trade(n)])
    fold(bench.layout, bench.trades, bench.day, now=bench.noon)
    bench.put([bench.trade(10)])
    everything = list(examine(bench.layout))
    assert all(isinstance(one, Progress) for one in everything)
    last = everything[-1]
    assert isinstance(last, Progress)
    size = sum(path.stat().st_size for path in bench.layout.root.rglob("*.parquet"))
    assert (last.files, last.bytes, last.of_bytes) == (last.of_files, size, size)
    assert last.files == 2


@pytest.mark.parametrize("where", ["page", "footer", "cut", "empty"])
@pytest.mark.parametrize("base", [False, True])
def test_a_damaged_file_is_named_and_set_aside(bench: Any, where: str, base: bool) -> None:
    """Looking changes nothing; set aside, its dataset can be read again, and its interval is missing."""
    (segment,) = bench.put([bench.trade(n) for n in range(100)])
    path = segment.path
    if base:
        fold(bench.layout, bench.trades, bench.day, force=True)
        path = bench.layout.base_path(bench.trades, bench.day)
    bench.put([bench.trade(200)])
    damage(path, where)
    before = bench.files()
    (one,) = found(bench)
    assert (one.what, one.path, one.dataset, one.moved) == (
        "damaged",
        str(path.relative_to(bench.layout.root)),
        bench.trades.name,
        None,
    )
    assert bench.files() == before
    with pytest.raises(CorruptFile, match="dccd doctor"):
        bench.tids()
    (one,) = found(bench, set_aside=True)
    assert one.moved is not None
    assert (bench.layout.root / one.moved).exists()
    assert not path.exists()
    assert bench.tids() == ["200"]
    assert found(bench) == []
    first, last = bench.noon, bench.noon + 99 * 1_000_000
    gaps = [gap for gap in bench.store.coverage(bench.trades).missing if "damaged file" in gap.reason]
    assert gaps[0].start <= first
    assert gaps[-1].end > last
    if where == "page":
        assert (one.start, one.end) == (first, last + 1)


def test_what_a_later_file_claims_of_its_rows_counts_for_nothing(bench: Any) -> None:
    """A stream claims a time seconds after its rows: in the next file, which stays, and no row of it is there."""
    second, noon = 1_000_000_000, bench.noon
    bench.put([bench.trade(0, noon)], covered=[(noon, noon + 1)])
    (segment,) = bench.put([bench.trade(n, noon + n * second) for n in (1, 2)], covered=[(noon + 1, noon + second)])
    bench.put([bench.trade(3, noon + 9 * second)], covered=[(noon + second, noon + 4 * second)])
    damage(segment.path, "page")
    assert len(found(bench, set_aside=True)) == 1
    coverage = bench.store.coverage(bench.trades)
    assert noon + second not in coverage.verified
    assert noon + 2 * second not in coverage.verified
    (gap,) = coverage.missing
    assert gap.reason.startswith("damaged file")
    assert (gap.start, gap.end) == (noon + 1, noon + 2 * second + 1)  # with what it claimed itself


@pytest.mark.parametrize("where", ["page", "footer"])
def test_what_a_damaged_base_held_counts_again(bench: Any, where: str) -> None:
    """Segments that a crash left beside it: their rows are there when it is out of the way, each once."""

    def killed(name: str) -> None:
        if name == "remove":
            raise bench.Killed

    for n in range(3):
        bench.put([bench.trade(n)])
    with pytest.raises(bench.Killed):
        fold(bench.layout, bench.trades, bench.day, force=True, step=killed)
    assert bench.tids() == ["0", "1", "2"]
    damage(bench.layout.base_path(bench.trades, bench.day), where)
    assert len(found(bench, set_aside=True)) == 1
    assert bench.tids() == ["0", "1", "2"]
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert bench.tids() == ["0", "1", "2"]


def test_no_byte_can_change_rows_unseen(bench: Any) -> None:
    """Whichever byte is another: the file is damaged, or its rows are what they were."""
    (segment,) = bench.put([bench.trade(n, bench.noon + 7 * n, price=1.5 * n) for n in range(50)])
    whole = segment.path.read_bytes()
    rows = bench.store.read(bench.trades)
    damaged = 0
    for at in range(0, len(whole), 5):
        segment.path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :])
        if found(bench):
            damaged += 1
        else:
            assert bench.store.read(bench.trades).equals(rows)
    assert damaged > len(whole) // 5 // 2


def test_a_file_that_a_fold_is_replacing_is_left_alone(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock is waited for, and what is whole by then stays where it is."""
    bench.put([bench.trade(1)])
    fold(bench.layout, bench.trades, bench.day, force=True)
    path = bench.layout.base_path(bench.trades, bench.day)
    whole = path.read_bytes()
    damage(path, "page")

    def replacing(lock: Path, *, wait: bool = False) -> Any:
        assert wait
        path.write_bytes(whole)  # what a fold that held it has done
        return locked(lock, wait=wait)

    monkeypatch.setattr("dccd.store.doctor.locked", replacing)
    assert found(bench, set_aside=True) == []
    assert path.exists()
    assert not (bench.layout.root / ".dccd" / "damaged").exists()


def test_a_file_that_is_folded_meanwhile_is_nothing_wrong(bench: Any) -> None:
    """It was listed, and gone when its turn came."""
    bench.put([bench.trade(1)])
    looking = examine(bench.layout)
    assert isinstance(next(looking), Progress)
    fold(bench.layout, bench.trades, bench.day, force=True)
    assert all(isinstance(one, Progress) for one in looking)


def test_what_is_no_rows_is_told(bench: Any) -> None:
    """Remains, rejected messages, notes, files of others."""
    root = bench.layout.root
    (segment,) = bench.put([bench.trade(1)])
    renamed = segment.path.with_name("mine.parquet")
    segment.path.rename(renamed)
    leftover = segment.path.with_name(".fold~1.tmp")
    notes = root / ".dccd" / "coverage" / bench.trades.name / "a.json"
    rejected = root / ".dccd" / "rejected" / "7.json"
    stranger = root / "binance" / "trades" / "BTC-USDT" / "notes.txt"
    for path in (leftover, notes, rejected, stranger):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{")
    told = {(one.what, one.path) for one in found(bench)}
    assert told == {
        ("misnamed", str(renamed.relative_to(root))),
        ("leftover", str(leftover.relative_to(root))),
        ("notes", str(notes.relative_to(root))),
        ("rejected", str(rejected.relative_to(root))),
        ("unknown", str(stranger.relative_to(root))),
    }
    assert {one.what for one in found(bench, set_aside=True)} == {"misnamed", "notes", "rejected", "unknown"}
    assert not leftover.exists()
    (misnamed,) = (one for one in found(bench) if one.what == "misnamed")
    renamed.rename(renamed.with_name(misnamed.detail.rpartition(" ")[2]))
    assert fold(bench.layout, bench.trades, bench.day, force=True) is not None
    assert bench.tids() == ["1"]


def test_a_living_writers_file_is_no_leftover(bench: Any) -> None:
    """It is about to get its name."""
    seen: list[list[Finding]] = []

    def look(name: str) -> None:
        if name == "rename":
            seen.append(found(bench, set_aside=True))

    bench.writer._step = look
    bench.put([bench.trade(1)])
    assert seen == [[]]
    assert bench.tids() == ["1"]


def test_only_datasets_that_are_asked_for(bench: Any) -> None:
    """By the beginning of their names, up to a dot: an exchange isn't another one whose name begins alike."""
    (one,) = bench.put([bench.trade(1)])
    damage(one.path, "cut")
    assert found(bench, prefix="kraken") == found(bench, prefix="bin") == []
    assert len(found(bench, prefix="binance.trades")) == 1


def test_reading_whole_is_bounded(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch at a time."""
    most: list[int] = []
    frames = OpenFile.frames

    def noting(self: OpenFile, *arguments: Any) -> Any:
        for frame, more in frames(self, *arguments):
            most.append(frame.height)
            yield frame, more

    monkeypatch.setattr(OpenFile, "frames", noting)
    bench.put([bench.trade(n, bench.noon + n) for n in range(200_000)])
    assert found(bench) == []
    assert sum(most) == 200_000
    assert max(most) < 70_000
