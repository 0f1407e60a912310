"""The whole exception tree of dccd.

::

    DccdError
    ├── ListenError            an address that can't be listened on (address)
    ├── AuthError              users, credentials or certificates that can't be made or read as asked
    ├── ConfigError            the configuration file is wrong (path, found, allowed)
    ├── IdentityError          a symbol, data type, span or dataset name is not one
    ├── RequestError           a request is refused: code, reason, field
    ├── RunFailed              a run that was waited for ended failed or cancelled
    ├── ReplayFailed           a replay was over before its end (which, in which state)
    ├── BusError               NATS is away or refuses
    │   ├── BusUnavailable     nobody answers at the URL, or JetStream can't now: try again later
    │   ├── BusPortTaken       the embedded server's port is in use
    │   ├── BusRefused         credentials or permissions
    │   ├── PayloadTooLarge    more bytes than the server takes in one message
    │   ├── Conflict           a KV entry was changed by somebody else meanwhile
    │   ├── StreamReplaced     a stream is not the one that was being read any more
    │   ├── TicksGone          what was to be read next has fallen off the stream
    │   └── JetStreamError     JetStream refuses, and not only for now: its codes
    ├── ExchangeError          an exchange's answer (exchange, message in its own words)
    │   ├── ParseError         bytes that are not what the exchange documents
    │   ├── NoProgress         pages of history that lead nowhere
    │   ├── NoCapability       this exchange can't do that; says what it can
    │   ├── SubscriptionRefused
    │   ├── MessagesLost       a connection's numbered messages have a gap
    │   ├── RateLimited        429/418, with the time to wait
    │   ├── ExchangeDown       5xx, time-outs, connection errors: try again later
    │   └── BadSymbol          the exchange does not list it
    ├── SocketClosed           a WebSocket ended, or never opened: code, reason
    ├── BookUnknown            an order book can't be told at a time (which, when, why)
    ├── NotStored              there are no rows of a dataset, nor of what it could be made from
    ├── BadRead                a read of columns or from a source that can't be (which field)
    ├── BadQuery               SQL that DuckDB refuses, in its own words
    ├── Uninstalled            an optional part is wanted and not installed: what to install
    ├── BadRecord              a tick message or record that the store can't take (which one, why)
    ├── RemoteError            a remote refuses, or has nonsense (which remote)
    │   ├── RemoteAway         it can't be reached: try again later
    │   ├── RemoteMissing      it has no such object
    │   ├── RemoteDamaged      an object isn't what its manifest says
    │   └── RemoteTaken        another store's files are there
    ├── NotTold                a webhook doesn't take a message: when to try again
    ├── Stopped                long work was told to stop
    └── StoreError             files
        ├── CorruptFile        a file that is not the Parquet it should be
        │   └── OldFile        it is of dccd 2.x: migrate it
        ├── OldFileProblem     a file of an older release that can't be migrated as it is
        ├── StoreFull          no space left
        └── StoreLocked        another process folds

Foreign exceptions are translated at the boundary where they arise, ``from exc``.
The actor runtime has a tree of its own (``actors.runtime.exits``), since it knows nothing of dccd.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "AuthError",
    "BadQuery",
    "BadRead",
    "BadRecord",
    "BadSymbol",
    "BookUnknown",
    "BusError",
    "BusPortTaken",
    "BusRefused",
    "BusUnavailable",
    "ConfigError",
    "Conflict",
    "CorruptFile",
    "DccdError",
    "ExchangeDown",
    "ExchangeError",
    "IdentityError",
    "JetStreamError",
    "ListenError",
    "MessagesLost",
    "NoCapability",
    "NoProgress",
    "NotStored",
    "NotTold",
    "OldFile",
    "OldFileProblem",
    "ParseError",
    "PayloadTooLarge",
    "RateLimited",
    "RemoteAway",
    "RemoteDamaged",
    "RemoteError",
    "RemoteMissing",
    "RemoteTaken",
    "ReplayFailed",
    "RequestError",
    "RunFailed",
    "SocketClosed",
    "Stopped",
    "StoreError",
    "StoreFull",
    "StoreLocked",
    "StreamReplaced",
    "SubscriptionRefused",
    "TicksGone",
    "Uninstalled",
]


class DccdError(Exception):
    """Raised when dccd can't do what it was asked; base of all below."""


class ListenError(DccdError):
    """Raised when an address can't be listened on, as when another program has its port."""

    address: str

    def __init__(self, address: str, message: str) -> None:
        self.address = address
        super().__init__(f"can't listen on {address}: {message}")


class AuthError(DccdError):
    """Raised when users, credentials or certificates of the bus can't be made, changed or read as asked."""


class ConfigError(DccdError):
    """Raised when the configuration is wrong.

    ``path`` is the field (``jobs[2].span``), ``found`` what stands there, ``allowed`` what may.
    """

    path: str
    found: str
    allowed: str

    def __init__(self, path: str, found: str, allowed: str) -> None:
        self.path, self.found, self.allowed = path, found, allowed
        super().__init__(f"{path}: found {found}; allowed: {allowed}")


class IdentityError(DccdError, ValueError):
    """Raised when text is no symbol, data type, span, time or dataset name.

    ``field`` names which of them was meant.
    """

    field: str

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class RequestError(DccdError):
    """Raised when a request is refused; becomes the error reply, and the client raises it again.

    ``code`` is 400 malformed, 404 not found, 409 conflict, 422 understood but impossible, 500 our
    fault, 503 not now. ``reason`` is a stable token for scripts, ``field`` the field at fault, if one is.
    """

    code: int
    reason: str
    field: str | None

    def __init__(self, code: int, reason: str, message: str, field: str | None = None) -> None:
        self.code, self.reason, self.field = code, reason, field
        super().__init__(message)


class RunFailed(DccdError):
    """Raised when a run that was waited for ends otherwise than done; what it stored is kept.

    ``state`` is ``failed`` or ``cancelled``.
    """

    run_id: str
    state: str

    def __init__(self, run_id: str, state: str, message: str) -> None:
        self.run_id, self.state = run_id, state
        super().__init__(message)


class ReplayFailed(DccdError):
    """Raised when a replay is over before its end, and not because we stopped it.

    ``state`` is ``failed`` (what is stored can't be read), ``stopped`` by somebody else, ``expired``, or ``gone``: its
    host, or a part of it, was started anew.
    """

    replay_id: str
    state: str

    def __init__(self, replay_id: str, state: str, message: str) -> None:
        self.replay_id, self.state = replay_id, state
        super().__init__(message)


class BusError(DccdError):
    """Raised when the message bus is away or refuses."""


class BusUnavailable(BusError):
    """Raised when nobody answers at the bus URL in time, or JetStream answers that it can't now (it starts, has no
    leader, no room, too much to do, or none of a stream's servers is there)."""


class BusPortTaken(BusError):
    """Raised when the port meant for the embedded nats-server is in use."""

    port: int

    def __init__(self, port: int) -> None:
        self.port = port
        super().__init__(
            f"port {port} is taken by another process. If a NATS server or another dccd runs there, set "
            f"bus.url: nats://127.0.0.1:{port} to join it; else set bus.port to another, or 0 for a free one"
        )


class BusRefused(BusError):
    """Raised when the server refuses our credentials or a permission is missing."""


class PayloadTooLarge(BusError, ValueError):
    """Raised when a message is larger than the server takes: split it before. Sizes in bytes."""

    size: int
    limit: int

    def __init__(self, size: int, limit: int) -> None:
        self.size, self.limit = size, limit
        super().__init__(f"{size:,} bytes in one message, where the bus takes {limit:,}: split it")


class Conflict(BusError):
    """Raised when a KV entry isn't at the revision that an update or a create expected."""

    key: str

    def __init__(self, key: str, message: str) -> None:
        self.key = key
        super().__init__(f"{key}: {message}")


class StreamReplaced(BusError):
    """Raised when a stream or its consumer was deleted or made anew while it was being read.

    Sequence numbers of before mean nothing any more: open a reader again and take its epoch.
    """


class TicksGone(BusError):
    """Raised when messages that were to be read next have fallen off the limits of their stream, or may have.

    ``begins`` is when the oldest that is left was stored (ns), None when there is none.
    """

    begins: int | None

    def __init__(self, begins: int | None, message: str) -> None:
        self.begins = begins
        super().__init__(message)


class JetStreamError(BusError):
    """Raised when the JetStream API refuses; ``code`` as HTTP's, ``err_code`` the server's own. Never for what
    passes by itself (503, as a rule): that is :class:`BusUnavailable`."""

    code: int
    err_code: int

    def __init__(self, code: int, err_code: int, message: str) -> None:
        self.code, self.err_code = code, err_code
        super().__init__(message)


class ExchangeError(DccdError):
    """Raised when an exchange answers with an error; the message has its own words.

    ``exchange`` is its id.
    """

    exchange: str

    def __init__(self, exchange: str, message: str) -> None:
        self.exchange = exchange
        super().__init__(message)


class ParseError(ExchangeError):
    """Raised when bytes from an exchange aren't what it documents.

    ``sample`` is the start of the bytes.
    """

    sample: bytes

    def __init__(self, exchange: str, message: str, sample: bytes = b"") -> None:
        self.sample = sample[:512]
        super().__init__(exchange, message)


class NoProgress(ExchangeError):
    """Raised when an exchange's pages of history don't get on: it repeats itself, or leads round in a circle.

    ``endpoint`` is what was asked, ``position`` the time (ns) before which all is covered.
    """

    endpoint: str
    position: int

    def __init__(self, exchange: str, message: str, endpoint: str, position: int) -> None:
        self.endpoint, self.position = endpoint, position
        super().__init__(exchange, message)


class NoCapability(ExchangeError):
    """Raised when an exchange can't do what is asked; the message says what it can."""

    field: str | None

    def __init__(self, exchange: str, message: str, field: str | None = None) -> None:
        self.field = field
        super().__init__(exchange, message)


class SubscriptionRefused(ExchangeError):
    """Raised when an exchange refuses a subscription."""


class MessagesLost(ExchangeError):
    """Raised when the numbers of a connection's messages show that some are missing, of whichever of its streams."""


class RateLimited(ExchangeError):
    """Raised when an exchange answers 429 or 418; ``retry_after`` is seconds, if it said."""

    retry_after: float | None

    def __init__(self, exchange: str, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(exchange, message)


class ExchangeDown(ExchangeError):
    """Raised when an exchange can't be reached, times out or answers 5xx."""


class BadSymbol(ExchangeError):
    """Raised when an exchange doesn't list a symbol."""


class SocketClosed(DccdError):
    """Raised when a WebSocket has ended, cleanly or not, or could not be opened.

    ``code`` is the close code (RFC 6455, 7.4; 1006 when no close frame came), or the HTTP status when the
    server refused the handshake, with ``retry_after`` in seconds if it said.
    """

    code: int
    reason: str
    retry_after: float | None

    def __init__(self, code: int, reason: str, retry_after: float | None = None) -> None:
        self.code, self.reason, self.retry_after = code, reason, retry_after
        super().__init__(f"{reason} ({code})" if reason else f"closed ({code})")


class BookUnknown(DccdError):
    """Raised when an order book can't be told at a time, since changes may be missing or no snapshot is stored.

    ``at`` is the time (ns), ``until`` when the missing interval ends, where there is one.
    """

    dataset: str
    at: int
    reason: str
    until: int | None

    def __init__(self, dataset: str, at: int, reason: str, message: str, until: int | None = None) -> None:
        self.dataset, self.at, self.reason, self.until = dataset, at, reason, until
        super().__init__(message)


class NotStored(DccdError):
    """Raised when nothing is stored of a dataset, nor anything that it could be made from."""

    dataset: str

    def __init__(self, dataset: str, message: str) -> None:
        self.dataset = dataset
        super().__init__(message)


class BadRead(DccdError, ValueError):
    """Raised when a read asks for what its dataset can't give; ``field`` is ``columns``, ``source`` or ``after``."""

    field: str

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class BadQuery(DccdError):
    """Raised when DuckDB refuses a query, in its own words."""


class Uninstalled(DccdError):
    """Raised when an optional part of dccd is needed and not installed; the message says what to install."""


class BadRecord(DccdError, ValueError):
    """Raised when a tick message or record isn't what its data type asks for; nothing of its batch is stored then.

    ``index`` is its place in what was handed over, so that the caller can leave it out, report it and go on.
    """

    index: int

    def __init__(self, index: int, message: str) -> None:
        self.index = index
        super().__init__(f"item {index}: {message}")


class RemoteError(DccdError):
    """Raised when a remote refuses, or has what can't be understood; ``remote`` is its name."""

    remote: str

    def __init__(self, remote: str, message: str) -> None:
        self.remote = remote
        super().__init__(f"remote {remote}: {message}")


class RemoteAway(RemoteError):
    """Raised when a remote can't be reached, or says that it can't just now: the same may work later."""


class RemoteMissing(RemoteError):
    """Raised when a remote has no object of this ``key``."""

    key: str

    def __init__(self, remote: str, key: str) -> None:
        self.key = key
        super().__init__(remote, f"it has no {key}")


class RemoteDamaged(RemoteError):
    """Raised when an object on a remote isn't what its manifest says; ``key`` is which."""

    key: str

    def __init__(self, remote: str, key: str, message: str) -> None:
        self.key = key
        super().__init__(remote, f"{key}: {message}")


class RemoteTaken(RemoteError):
    """Raised when the files of another store are where this host's are to go."""


class Stopped(DccdError):
    """Raised when work that takes long ends since it was told to; what it has done is kept."""


class NotTold(DccdError):
    """Raised when a webhook doesn't take a message; ``retry_after`` is how many seconds it asks to be left alone."""

    retry_after: float | None

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class StoreError(DccdError):
    """Raised when a file of the store can't be read or written; ``path`` is that file, ``reason`` why not."""

    path: Path
    reason: str
    hint = ""
    """What to do about it."""

    def __init__(self, path: Path, message: str) -> None:
        self.path, self.reason = path, message
        super().__init__(f"{path}: {message}{self.hint}")


class CorruptFile(StoreError):
    """Raised when a file isn't the Parquet that it should be; rows are never left out in silence."""

    hint = " (`dccd doctor` sets it aside)"


class OldFile(CorruptFile):
    """Raised when a file of the store has times in seconds, as dccd 2.x wrote them: ``dccd migrate`` converts it."""

    hint = ""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "times that aren't of its period: written by dccd 2.x? `dccd migrate` converts it")


class OldFileProblem(StoreError):
    """Raised when a file of an older release can't be migrated as it is; the message says why."""


class StoreFull(StoreError):
    """Raised when no space is left."""


class StoreLocked(StoreError):
    """Raised when another process holds a lock of the store: folds the dataset, or stores in the folder."""
