"""What the requests and replies have in common: the bases, and the limits that several share."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from dccd.errors import IdentityError, RequestError
from dccd.symbols import Dataset

__all__ = [
    "Count",
    "Depth",
    "Empty",
    "HostId",
    "Limit",
    "Name",
    "OfDataset",
    "Reply",
    "Request",
    "Rule",
    "RunId",
    "Span",
    "Time",
]

Name = Annotated[str, Meta(min_length=1, max_length=100)]
Span = Annotated[str, Meta(max_length=12)] | Annotated[int, Meta(ge=1, le=2_419_200)]
Time = Annotated[str, Meta(max_length=40)] | Annotated[int, Meta(ge=0, le=9_223_372_036_854_775_807)]
# In Python `$` is also before a line end that ends a text, and a subject can't have one.
RunId = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z-]+$(?!\n)")]
HostId = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"^[0-9A-Za-z_-]+$(?!\n)")]
Limit = Annotated[int, Meta(ge=1, le=1000)]
Count = Annotated[int, Meta(ge=1, le=9_223_372_036_854_775_807)]
Depth = Annotated[int, Meta(ge=1, le=100_000)]
Rule = Literal["age", "size", "free_space"]


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is asked: a field that isn't known is an error."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What is answered: newer daemons may say more."""


class OfDataset(Request, frozen=True, kw_only=True):
    """A request about one dataset: named whole in ``dataset``, or by its parts."""

    dataset: Name | None = None
    exchange: Name | None = None
    symbol: Name | None = None
    data_type: Name | None = None
    span: Span | None = None

    def resolve(self) -> Dataset:
        """Return the dataset meant. Raises RequestError 400 naming the field at fault."""
        parts = {"exchange": self.exchange, "symbol": self.symbol, "data_type": self.data_type}
        try:
            if self.dataset is not None:
                if any(parts.values()) or self.span is not None:
                    raise RequestError(400, "malformed", "give dataset, or its parts, not both", "dataset")
                return Dataset.parse(self.dataset)
            for field, value in parts.items():
                if value is None:
                    raise RequestError(
                        400,
                        "malformed",
                        f"{field} is missing: give exchange, symbol, data_type and, for ohlc, span",
                        field,
                    )
            return Dataset.make(self.exchange or "", self.data_type or "", self.symbol or "", self.span)
        except IdentityError as exc:
            raise RequestError(400, "malformed", str(exc), exc.field) from exc


class Empty(Request, frozen=True, kw_only=True):
    """A request without fields: ``{}`` or nothing at all."""
