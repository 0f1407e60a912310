"""I/O to exchanges: performs what the pure protocols in ``dccd.exchanges`` decide.

Live: ``socket`` (one WebSocket, over ``framing``) → ``session`` (one stream; decided in ``machine`` and ``holes``),
which yields ``items``. Past: ``rest_client`` (the seam to ccxt), in turns that ``limiter`` gives → ``history``.
"""
