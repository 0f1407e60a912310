"""Logging of the daemon: structlog, to standard error; coloured lines for a terminal, JSON or plain lines otherwise."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO, cast

import structlog

from actors.runtime.exits import ActorError
from dccd.errors import DccdError
from dccd.printable import printable

__all__ = ["configure", "set_level"]

_LEVEL = [logging.INFO]
"""The one in force, for all loggers."""


def configure(level: str, style: str, stream: TextIO | None = None) -> None:
    """Set up structlog. *style*: ``console``, ``json``, or ``auto`` (console)."""
    stream = stream or sys.stderr
    terminal = stream.isatty()
    set_level(level)
    shared: list[Any] = [
        _above_level,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _in_a_line,
    ]
    if style == "json":
        tail: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Plain tracebacks: drawing one with frames around it stops the event loop for a tenth of a second.
        plain = structlog.dev.plain_traceback
        tail = [
            _printable,
            structlog.dev.ConsoleRenderer(colors=terminal, pad_event_to=0, pad_level=False, exception_formatter=plain),
        ]
    structlog.configure(
        processors=shared + tail,
        # All pass, as far as the first processor: loggers that there are by then know the level of another time.
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Steady(stream))),
        cache_logger_on_first_use=True,
    )
    # Libraries that use the standard module (nats-py, asyncio, websockets) are told of problems only.
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(asctime)s %(levelname)s %(name)s %(message)s")


def set_level(level: str) -> None:
    """Log what is of *level* or above from now on."""
    _LEVEL[0] = getattr(logging, level.upper())


def _above_level(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    if structlog.processors.NAME_TO_LEVEL.get(method, logging.CRITICAL) < _LEVEL[0]:
        raise structlog.DropEvent
    return event


def _in_a_line(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An actor that ended over an error of ours is one line: a port that is taken isn't explained by tracebacks."""
    if _LEVEL[0] <= logging.DEBUG:
        return event
    error = event.get("exc_info")
    while isinstance(error, ActorError) and error.__cause__ is not None:
        error = error.__cause__
    if event["event"] in ("crash", "start_failed") and isinstance(error, DccdError):
        del event["exc_info"]
        event["error"] = f"{type(error).__name__}: {error}"
    return event


def _printable(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What an exchange, a webhook or the bus has said is text, and does nothing to a terminal."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = printable(value)
    return event


class _Steady:
    """A stream that never fails who logs: on a full disk, or with nobody at the pipe's end, lines are left out.

    Raised into an actor, such an error would crash it, and raised in its supervisor, which logs the crash, all of them.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed
            self._stream.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()
