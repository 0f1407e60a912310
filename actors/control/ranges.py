"""From when to when a backfill is to fetch: what was asked for and what the exchange serves flow in, start and end flow
out. Pure.
"""

from __future__ import annotations

from dccd.errors import IdentityError, RequestError
from dccd.exchanges.base import Capability
from dccd.symbols import NS, Dataset, DataType, format_time, parse_time

__all__ = ["resolve_range"]

_DEFAULT_BARS = 1000
_DEFAULT_LOOKBACK = {DataType.TRADES: 3600 * NS, DataType.FUNDING: 30 * 86_400 * NS}


def resolve_range(
    dataset: Dataset, asked: tuple[str, str | None], stored_end: int | None, now: int, capability: Capability
) -> tuple[int, int, str | None]:
    """Return start and end in ns of what was *asked* for, and a warning when it had to be clamped.

    ``last`` goes on from *stored_end* (the first hole, else the end of what is stored), or looks a bounded time back
    when there is none: 1,000 bars, an hour of trades, a month of funding rates, a day of open interest.
    ``origin`` is 0: the pager finds the exchange's first record. Raises RequestError: 400 for text
    that is no time, 422 for a range that is empty, in the future, or older than what the exchange serves.
    """
    text, until = asked
    warning = None
    try:
        end = now if until is None else parse_time(until, "end")
        if end > now:
            end, warning = now, "the end lies in the future: it ends now"
        if text == "last":
            back = (dataset.span or 0) * NS * _DEFAULT_BARS or _DEFAULT_LOOKBACK.get(dataset.data_type, 86_400 * NS)
            start = end - back if stored_end is None else stored_end
        elif text == "origin":
            start = 0
        else:
            start = parse_time(text, "start")
    except IdentityError as exc:
        raise RequestError(400, "malformed", str(exc), exc.field) from exc
    if dataset.data_type is DataType.ORDERBOOK:
        return end - 1, end, None  # the one book that REST has is that of now
    if start >= end:
        raise RequestError(
            422, "empty_range", f"start {format_time(start)} is not before end {format_time(end)}", "start"
        )
    reach = capability.reach(dataset.span)
    if reach is not None:
        earliest = now - reach * NS
        if end <= earliest:
            raise RequestError(
                422,
                "no_capability",
                f"{dataset.exchange} serves {dataset.data_type} from {format_time(earliest)} on ({capability.note})",
                "end",
            )
        if start < earliest:
            if text not in ("last", "origin") or stored_end is not None:
                warning = f"{dataset.exchange} serves nothing before {format_time(earliest)}: it starts there"
            start = earliest
    return start, end, warning
