"""What the parts of the daemon raise, as the errors that requests are answered with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from actors.runtime.exits import ActorError
from dccd.errors import (
    BadRead,
    BookUnknown,
    BusError,
    CorruptFile,
    ExchangeDown,
    ExchangeError,
    IdentityError,
    NoCapability,
    NotStored,
    RemoteError,
    RequestError,
    StoreError,
)

__all__ = ["as_request_errors"]


@contextmanager
def as_request_errors() -> Iterator[None]:
    """Turn what the parts of the daemon raise into the RequestError that says so."""
    try:
        yield
    except IdentityError as exc:
        raise RequestError(400, "malformed", str(exc), exc.field) from exc
    except NoCapability as exc:
        raise RequestError(422, "no_capability", str(exc), exc.field) from exc
    except ExchangeDown as exc:
        raise RequestError(503, "exchange_down", str(exc)) from exc
    except ExchangeError as exc:
        raise RequestError(422, "exchange", str(exc)) from exc
    except BookUnknown as exc:
        raise RequestError(404, "book_unknown", str(exc), "at") from exc
    except NotStored as exc:
        raise RequestError(404, "no_dataset", str(exc), "dataset") from exc
    except BadRead as exc:
        raise RequestError(422, "bad_read", str(exc), exc.field) from exc
    except CorruptFile as exc:
        raise RequestError(500, "corrupt_file", str(exc)) from exc
    except RemoteError as exc:
        raise RequestError(503, "remote", str(exc)) from exc
    except StoreError as exc:
        raise RequestError(503, "store", str(exc)) from exc
    except (BusError, TimeoutError, ActorError) as exc:
        raise RequestError(503, "not_now", str(exc) or "timed out; try again") from exc
