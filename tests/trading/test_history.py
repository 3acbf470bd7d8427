"""Candles from files: in order, each once, what is missing told, and no line believed blindly."""

import gzip
from pathlib import Path

import pytest

from trading.history import BadHistory, History, read_csv

T = 1_677_628_800_000
MINUTE = 60_000


def line(number: int, *, per_ms: float = 1, prices: str = "10,12,9,11,5") -> str:
    return f"{int((T + number * MINUTE) * per_ms)},{prices}"


def read(folder: Path, *lines: str, name: str = "x.csv") -> History:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return read_csv(path, "BTC/USDT", "1m")


@pytest.mark.parametrize("per_ms", [1, 0.001, 1000])
@pytest.mark.parametrize("head", [[], ["timestamp,open,high,low,close,volume"]])
def test_seconds_milliseconds_and_microseconds_with_and_without_a_header(
    tmp_path: Path, per_ms: float, head: list[str]
) -> None:
    found = read(tmp_path, *head, line(1, per_ms=per_ms), "", line(0, per_ms=per_ms))
    assert found.candles.times == (T, T + MINUTE)
    assert found.candles.high == (12.0, 12.0)
    assert (found.repeated, found.gaps, found.missing) == (0, (), 0)


def test_a_gzipped_file_is_read_and_more_columns_are_let_be(tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress(f"{line(0)},999,more\n".encode()))
    assert read_csv(path, "BTC/USDT", "1m").candles.volume == (5.0,)


def test_what_is_missing_and_what_is_there_twice_is_told(tmp_path: Path) -> None:
    found = read(tmp_path, line(0), line(5), line(1), line(5), line(9))
    assert found.candles.times == tuple(T + n * MINUTE for n in (0, 1, 5, 9))
    assert found.repeated == 1
    assert found.gaps == ((T + 2 * MINUTE, T + 5 * MINUTE), (T + 6 * MINUTE, T + 9 * MINUTE))
    assert found.missing == 6


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (f"{T + 30_000},10,12,9,11,5", "grid"),
        (f"{T},10,12,9,11", "5 columns, not 6"),
        (f"{T},10,12,9,x,5", "x"),
        (f"{T}.5,10,12,9,11,5", "invalid literal"),
        (f"{T},nan,12,9,11,5", "none"),
        (f"{T},10,inf,9,11,5", "none"),
        (f"{T},10,12,0,11,5", "none"),
        (f"{T},10,12,9,11,-1", "none"),
        (f"{T},10,10.5,9,11,5", "high or low"),
        (f"{T},10,12,10.5,11,5", "high or low"),
    ],
)
def test_a_line_that_is_no_candle_is_named(tmp_path: Path, bad: str, why: str) -> None:
    with pytest.raises(BadHistory, match=rf"line 2: .*{why}"):
        read(tmp_path, line(1), bad)


def test_a_candle_told_twice_differently_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadHistory, match=f"the candle at {T} is told twice, differently"):
        read(tmp_path, line(0), line(0, prices="10,12,9,11.5,5"))


def test_an_empty_file_holds_no_candles(tmp_path: Path) -> None:
    assert len(read(tmp_path).candles) == 0
