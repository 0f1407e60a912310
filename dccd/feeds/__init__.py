"""I/O to exchanges: performs what the pure protocols in ``dccd.exchanges`` decide.

Live: ``socket`` (one WebSocket, over ``framing``) → ``shared`` (one connection of a ``pool``; by ``switch``, at the
pace of ``outbox``) → ``line`` (one stream's share) → ``session`` (decided in ``machine``, ``holes``, ``doubts``,
``ahead`` and ``silence``), which yields ``items``. ``pro`` stands for the first three where ccxt.pro speaks to the
exchange. Past: ``rest_client`` (the seam to ccxt), in turns that ``limiter`` gives → ``history``.
"""
