"""What all commands share: the common options, the way to the bus, and what an error becomes.

An exception flows in, one or two lines on stderr and an exit code flow out (:func:`report`); ``dccd --help`` lists the
codes.
"""

from __future__ import annotations

import io
import re
import signal
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dccd.client import Client, Target
    from dccd.config import Config

__all__ = [
    "COMPLETION",
    "DONE",
    "FAILED",
    "INTERRUPTED",
    "NOT_FOUND",
    "NO_DAEMON",
    "TERMINATED",
    "USAGE",
    "App",
    "Session",
    "entry_point",
    "local_options",
    "note",
    "options",
    "own_host_options",
    "report",
]

COMPLETION = "_DCCD_COMPLETE"
"""Of the environment: set by the shells' scripts, it has dccd complete and do nothing else."""

DONE, FAILED, USAGE, NOT_FOUND, NO_DAEMON, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 130, 143

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")


@dataclass
class Session:
    """A client, and whether the daemon it speaks to runs in this very process."""

    client: Client
    embedded: bool


@dataclass
class App:
    """The common options of one call."""

    config_file: str | None = None
    bus: str | None = None
    context: str | None = None
    credentials: str | None = None
    user: str | None = None
    host: str | None = None
    json: bool = False
    debug: bool = False
    data_path: str | None = None
    _told: str | None = None

    def config(self) -> Config:
        """The configuration; only a ``data_path`` where the command was given one. Raises ConfigError."""
        from dccd import config

        if self.data_path is not None:
            return config.Config(settings=config.Settings(data_path=self.data_path))
        return config.load(config.find(self.config_file))

    def config_of_bus(self) -> Config:
        """The same where only the bus and the data's folder count, and an error elsewhere doesn't."""
        from dccd import config
        from dccd.config_broken import load_for_bus

        return self.config() if self.data_path is not None else load_for_bus(config.find(self.config_file))[0]

    def target(self) -> Target:
        """The bus to use; what else is wrong with the configuration is told once. Raises ConfigError."""
        from dccd.client import find_target

        target = find_target(
            self.config_file,
            url=self.bus,
            context=self.context,
            credentials=self.credentials,
            user=self.user,
            password=self._password(),
        )
        if target.error is not None and target.error != self._told and not self.json:
            note(f"warning: the configuration has an error, and says only where the bus is: {target.error}")
            self._told = target.error
        return target

    def _password(self) -> str | None:
        """That of --user: from the environment or a prompt, never from the command line, which all may see."""
        import os

        if self.user is None:
            return None
        password = os.environ.get("NATS_PASSWORD")
        if password is None:
            if not sys.stdin.isatty():
                raise click.UsageError(f"the password of {self.user}? Set NATS_PASSWORD")
            password = click.prompt(f"Password of {self.user}", hide_input=True, err=True)
        return password

    @asynccontextmanager
    async def connect(self, *, embed: bool = False) -> AsyncIterator[Session]:
        """A client for the daemon on the bus.

        When nobody named a bus and no daemon answers at the default one: that of another command that runs one on
        the same data, else, with *embed*, a daemon here as long as the block, on a free port, without streams and jobs.
        Raises BusUnavailable, at once when nobody listens.
        """
        from dccd.auth.local import client_login
        from dccd.client import Client, Target, noted_port
        from dccd.errors import BusUnavailable

        target = self.target() if self.data_path is None else Target(url="", default=True)
        targets = [target] if self.data_path is None else []
        if target.default and (port := noted_port((config := self.config_of_bus()).data_path)):
            targets.append(Target(url=f"nats://127.0.0.1:{port}", login=client_login(config), default=True))
        for candidate in targets:
            if await _listens(candidate.url):
                async with Client(candidate, host=self.host) as client:
                    if not target.default or self.host is not None or await _is_daemon(client):
                        yield Session(client, embedded=False)
                        return
        if not (embed and target.default and self.host is None):
            raise BusUnavailable(
                f"no daemon answers at {target.url.rpartition('@')[2] or self.data_path}. "
                "Start one with `dccd start`, or name the bus of one with --bus or DCCD_BUS_URL"
            )
        async with self._daemon() as url, Client(Target(url=url, login=client_login(self.config()))) as client:
            yield Session(client, embedded=True)

    @asynccontextmanager
    async def _daemon(self) -> AsyncIterator[str]:
        """Run a daemon here, on a free port and without its jobs; yield the URL of its bus."""
        import msgspec

        config = self.config()
        config = msgspec.structs.replace(config, bus=msgspec.structs.replace(config.bus, host="127.0.0.1", port=0))
        # What concerns the run comes as events, what concerns the start as an exception: its log would say both again.
        self._log("critical")
        run_daemon: Callable[..., AbstractAsyncContextManager[Any]] = entry_point("embedded")
        async with run_daemon(config, jobs=False) as daemon:
            yield daemon.bus_url

    @asynccontextmanager
    async def connect_to_one(self) -> AsyncIterator[Session]:
        """As :meth:`connect`, for what is of one host and changes it: where there are several, --host says which."""
        async with self.connect() as session:
            if self.host is None:
                hosts = [one.id for one in await session.client.hosts()]
                if len(hosts) > 1:
                    raise click.UsageError(f"of which host? --host names one of {', '.join(hosts)}")
            yield session

    async def settle(self, session: Session, dataset: str | None = None) -> None:
        """Where there are several hosts and none is named, ask one from here on, and say which: what it has, or does,
        is its own. The one with most rows of *dataset*, else who answers first."""
        from dccd.errors import DccdError
        from dccd.messages import Hosts

        client = session.client
        if self.host is not None or session.embedded:
            return
        try:
            found: Hosts = await client.request("hosts")
            if len(found.hosts) < 2:
                return
            client.host = (None if dataset is None else await client.holder(dataset)) or found.host
        except DccdError:
            return  # what is asked for next says what is wrong
        if not self.json:
            others = ", ".join(host.id for host in found.hosts if host.id != client.host)
            note(f"of host {client.host}; --host asks another: {others}")

    def connect_to_store(self) -> AbstractAsyncContextManager[Session]:
        """As :meth:`connect`, with a daemon of our own only where there is a store that it can look into."""
        return self.connect(embed=self.target().default and (self.config_of_bus().data_path / ".dccd").is_dir())

    def run(self, main: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run *main*; SIGTERM ends it in order, as Ctrl-C does."""
        import asyncio

        self._log("warning")

        async def guarded() -> T:
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
            return await main()

        try:
            return asyncio.run(guarded())
        except asyncio.CancelledError:  # by SIGTERM: Ctrl-C comes as KeyboardInterrupt
            raise click.exceptions.Exit(TERMINATED) from None

    def _log(self, level: str) -> None:
        """Log from *level* on to stderr, everything with --debug."""
        entry_point("log")("debug" if self.debug else level, "console", _Stderr())


async def _listens(url: str) -> bool:
    """Whether somebody accepts connections at *url*: told at once, where a client would go on trying."""
    import asyncio

    if "," in url:
        return True  # a cluster: which of its nodes are up is the client's business
    host, _, port = url.rpartition("//")[2].rpartition("@")[2].rstrip("/").rpartition(":")
    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    except (OSError, TimeoutError):
        return False
    except ValueError:
        return True  # a URL without a port, or none at all: the client knows better
    writer.close()
    return True


async def _is_daemon(client: Client) -> bool:
    from dccd.errors import BusUnavailable

    try:
        await client.request("health", timeout=3)
    except BusUnavailable:
        return False  # some other NATS server: what is asked for can be done without a daemon
    return True


def entry_point(name: str) -> Any:
    """What the daemon offers as *name* (``run``, ``embedded``, ``log``): found, since the library never imports it."""
    from importlib.metadata import entry_points

    from dccd.errors import DccdError

    for found in entry_points(group="dccd.daemon", name=name):
        return found.load()
    raise DccdError(f"no daemon is installed here (entry point dccd.daemon/{name}): install dccd again with pip")


class _Stderr(io.TextIOBase):
    """Standard error as it is when something is written: a progress bar puts itself in its place while it is drawn."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()

    def isatty(self) -> bool:
        return sys.stderr.isatty()


# ---------------------------------------------------------------- options


def _keep(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value and param.name:  # given after the command it wins over the same given before
        setattr(ctx.ensure_object(App), param.name, value)


def _common(**parameter: Any) -> Callable[[F], F]:
    return click.option(*parameter.pop("names"), expose_value=False, callback=_keep, **parameter)


_CONFIG = _common(names=("--config", "config_file"), metavar="FILE", type=click.Path(), help="The configuration file.")
_BUS = _common(names=("--bus",), metavar="URL", help="The bus of the daemon to speak to.")
_CONTEXT = _common(names=("--context",), metavar="NAME", help="The nats context to connect by.")
_CREDS = _common(
    names=("--creds", "credentials"),
    metavar="FILE",
    type=click.Path(),
    help="Who to be: a file of `dccd auth`, an NKEY's seed or a .creds file.",
)
_USER = _common(names=("--user",), metavar="NAME", help="Who to be; the password is NATS_PASSWORD, or asked for.")
_HOST = _common(names=("--host",), metavar="HOST", help="The host that is to answer; otherwise any may.")
_JSON = _common(names=("--json",), is_flag=True, help="JSON for scripts; errors are JSON on stderr.")
_DEBUG = _common(names=("--debug",), is_flag=True, help="Show tracebacks of errors.")


def options(command: F) -> F:
    """Give *command* the common options; their values are in the App."""
    return _CONFIG(_BUS(_CONTEXT(_CREDS(_USER(_HOST(_JSON(_DEBUG(command))))))))


def own_host_options(command: F) -> F:
    """The same for a command whose ``--host`` means something else: ``dccd --host HOST`` is for that."""
    return _CONFIG(_BUS(_CONTEXT(_CREDS(_USER(_JSON(_DEBUG(command)))))))


def local_options(command: F) -> F:
    """The same for a command that speaks to no daemon."""
    return _CONFIG(_JSON(_DEBUG(command)))


# ---------------------------------------------------------------- errors


def note(text: str, head: str = "") -> None:
    """A line for people, on stderr, with a red *head*; as :func:`dccd.cli.output.say`."""
    from dccd.printable import printable

    text = printable(text, keep="\n")
    click.echo(click.style(head, fg="red", bold=True) + text if head else text, err=True)


_LISTS = re.compile(r"dccd\.(inventory|runs|streams|jobs|replay)(?:\.list)? (?:lists|has) (them|what is)")
"""Where a daemon's words name a request that a command makes, too."""


_WHO = """
Who asks is said by --creds FILE or --user NAME, of a daemon by bus.credentials; `dccd auth list`, where the bus's users
are made, has them and their roles"""


def report(exc: Exception, app: App) -> int:
    """Say what went wrong and return the exit code."""
    if isinstance(exc, click.exceptions.Exit):
        return exc.exit_code
    if isinstance(exc, click.Abort):
        return INTERRUPTED
    if app.debug:
        traceback.print_exception(exc)
    if isinstance(exc, click.ClickException):
        if app.json:
            _say_json(exc.exit_code, "usage", exc.format_message(), None)
        else:
            exc.show()
        return exc.exit_code
    from dccd import errors

    code, reason, field = FAILED, "failed", None
    text = str(exc) or type(exc).__name__
    if not app.json:
        text = _LISTS.sub(r"`dccd \1` lists \2", text)
    match exc:
        case errors.RequestError():
            code = {400: USAGE, 422: USAGE, 404: NOT_FOUND}.get(exc.code, FAILED)
            reason, field = exc.reason, exc.field
        case errors.ConfigError():
            code, reason, field = USAGE, "config", exc.path
        case errors.IdentityError() | errors.NoCapability():
            code, reason, field = USAGE, "malformed", exc.field
        case errors.BadRead():
            code, reason, field = USAGE, "bad_read", exc.field
        case errors.BadQuery():
            code, reason = USAGE, "bad_query"
        case errors.NotStored():
            code, reason = NOT_FOUND, "no_dataset"
        case errors.BusRefused():
            code, reason = NO_DAEMON, "refused"
            text += "" if app.json else _WHO
        case errors.BusUnavailable():
            code, reason = NO_DAEMON, "no_daemon"
        case errors.AuthError():
            code, reason = USAGE, "auth"
        case errors.RunFailed():
            reason = f"run_{exc.state}"
        case errors.DccdError() | OSError():
            pass
        case _:
            text = f"{type(exc).__name__}: {text}\nThis is a fault of dccd. Please report it with what --debug shows"
            reason = "internal"
    if app.json:
        _say_json(code, reason, text, field)
    else:
        shown = f" (field: {field})" if isinstance(exc, errors.RequestError) and field else ""
        note(text + shown, head="error: ")
    return code


def _say_json(code: int, reason: str, message: str, field: str | None) -> None:
    import json

    body = {"error": {"exit_code": code, "reason": reason, "message": message, "field": field}}
    print(json.dumps(body), file=sys.stderr)
