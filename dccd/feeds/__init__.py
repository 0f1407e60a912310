"""I/O to exchanges: performs what the pure protocols in ``dccd.exchanges`` decide.

Live: ``socket`` (one WebSocket, over ``framing``) → ``session`` (one stream; decides in ``machine`` and ``holes``) → ``items``.
Past: ``rest_client`` (the seam to ccxt), in turns given by ``limiter`` → ``history`` (bodies, pages).
"""
