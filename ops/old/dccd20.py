"""What dccd 2.2.0 and older write: runs in an environment with 2.2.0 (see ``regenerate``).

``write FOLDER`` lets it save bars as CSV and as Excel below ``{Exchange}/Data/Clean_Data``.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dccd.histo_dl import FromBinance, FromKraken

NEW_YEAR = 1_704_067_200


def save(source: FromBinance | FromKraken, form: str) -> None:
    source.start, source.end = NEW_YEAR - 2 * 3600, NEW_YEAR + 3 * 3600
    source._sort_data([
        {"date": float(source.start + i * 3600), "open": 100.0 + i, "high": 101.5 + i, "low": 99.25 + i,
         "close": 100.1 + i, "volume": 1.1 * i, "quoteVolume": 110.3 * i, "weightedAverage": 100.05 + i}
        for i in range(6)
    ])  # fmt: skip
    source.save(form=form)


def write(root: Path) -> None:
    save(FromBinance(str(root), "ETH", 3600, fiat="USDT"), "csv")
    save(FromKraken(str(root), "BTC", 3600, fiat="USD"), "xlsx")
    save(FromBinance(str(root), "BTC", 3600, fiat="BUSD"), "csv")  # BTC/BUSD, or BTCB/USD?


if __name__ == "__main__":
    write(Path(sys.argv[2]))
