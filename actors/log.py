"""Logging of the daemon: structlog, to standard error; coloured lines for a terminal, JSON or plain lines otherwise."""

from __future__ import annotations

import logging
import sys
from typing import Any, TextIO

import structlog

__all__ = ["configure"]


def configure(level: str, style: str, stream: TextIO | None = None) -> None:
    """Set up structlog. *style*: ``console``, ``json``, or ``auto`` (console)."""
    stream = stream or sys.stderr
    terminal = stream.isatty()
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if style == "json":
        tail: list[Any] = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        # Plain tracebacks: drawing one with frames around it stops the event loop for a tenth of a second.
        plain = structlog.dev.plain_traceback
        tail = [
            structlog.dev.ConsoleRenderer(colors=terminal, pad_event_to=0, pad_level=False, exception_formatter=plain)
        ]
    structlog.configure(
        processors=shared + tail,
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    # Libraries that use the standard module (nats-py, asyncio, websockets) are told of problems only.
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(asctime)s %(levelname)s %(name)s %(message)s")
