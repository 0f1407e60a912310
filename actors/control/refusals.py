"""What the parts of the daemon raise, as the errors that requests are answered with."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
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

__all__ = ["as_request_errors", "no_job"]


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


def no_job(name: str, known: Iterable[str]) -> RequestError:
    """The 404 for a job *name* that isn't among the *known*; it tells those whose names are near."""
    near = difflib.get_close_matches(name, list(known), 3)
    told = f"did you mean {' or '.join(near)}?" if near else "dccd.jobs.list has them"
    return RequestError(404, "no_job", f"there is no job {name}; {told}", "name")
