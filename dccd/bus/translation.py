"""What nats-py raises and what services answer, as dccd's errors.

Foreign exceptions and error replies flow in, the exceptions of :mod:`dccd.errors` flow out, ``from`` what caused them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec
import nats.errors
import nats.js.errors
from nats.aio.msg import Msg

from dccd.errors import BusError, BusRefused, BusUnavailable, RequestError

__all__ = ["ERROR", "ERROR_CODE", "raise_service_error", "text_of", "translated"]

ERROR_CODE = "Nats-Service-Error-Code"
ERROR = "Nats-Service-Error"
"""Headers of an error reply (ADR-32); its body says the same as JSON, for those who don't see headers."""


class _ErrorDetail(msgspec.Struct):
    code: int = 500
    reason: str = "internal"
    message: str = ""
    field: str | None = None


class _ErrorBody(msgspec.Struct):
    error: _ErrorDetail


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """Turn what nats-py raises inside the block into dccd's errors; *what* was to be done, for the message."""
    try:
        yield
    except nats.errors.AuthorizationError as exc:
        raise BusRefused(f"{what}: {exc}") from exc
    except (nats.errors.NoRespondersError, nats.js.errors.ServiceUnavailableError) as exc:
        raise BusUnavailable(f"{what}: nobody answers") from exc
    except nats.js.errors.NoStreamResponseError as exc:
        raise BusUnavailable(f"{what}: no stream takes it") from exc
    except (
        TimeoutError,
        OSError,
        nats.errors.TimeoutError,
        nats.errors.ConnectionClosedError,
        nats.errors.ConnectionDrainingError,
        nats.errors.ConnectionReconnectingError,
        nats.errors.NoServersError,
        nats.errors.OutboundBufferLimitError,
        nats.errors.StaleConnectionError,
    ) as exc:
        raise BusUnavailable(f"{what}: {text_of(exc)}") from exc
    except nats.errors.Error as exc:
        raise BusError(f"{what}: {text_of(exc)}") from exc


def raise_service_error(message: Msg) -> None:
    """Raise the RequestError that *message* carries, if it is an error reply."""
    headers = message.headers
    if headers is None or ERROR_CODE not in headers:
        return
    try:
        detail = msgspec.json.decode(message.data, type=_ErrorBody).error
    except msgspec.DecodeError:  # another service than ours: headers only
        code = headers[ERROR_CODE]
        detail = _ErrorDetail(int(code) if code.isdigit() else 500, "error", headers.get(ERROR, ""))
    raise RequestError(detail.code, detail.reason, detail.message, detail.field)


def text_of(error: BaseException) -> str:
    """What *error* says, or else what it is."""
    return str(error).removeprefix("nats: ") or type(error).__name__
