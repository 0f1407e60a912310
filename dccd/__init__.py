"""dccd: a supervised collector of crypto market data.

``dccd.connect()`` is the way in for Python programs: it returns a :class:`dccd.client.Client`
that speaks to running daemons over NATS. Everything else is reached through the command line
(``dccd --help``) or any NATS client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dccd.client import Client

__all__ = ["__version__", "connect"]

__version__ = "4.0.0.dev0"


def connect(
    url: str | None = None, *, context: str | None = None, credentials: str | None = None, host: str | None = None
) -> Client:
    """Return a client for the daemons on the bus at *url*.

    The connection is opened by ``async with dccd.connect() as client``. Without a URL, ``DCCD_BUS_URL``, then the
    ``nats`` context *context* or the file *credentials*, then the configuration found as ``dccd start`` finds it
    decide. *host* is the host that is to answer, where several are on the bus; otherwise any may.
    """
    # Imported here so that `import dccd` costs nothing to those who only want the version.
    from dccd.client import Client

    return Client(url, context=context, credentials=credentials, host=host)
