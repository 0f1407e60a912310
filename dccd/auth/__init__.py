"""Who may do what on the bus, and how that is set up.

The table of operations flows in and a server's users with their permissions flow out (``permissions``); names flow in,
secrets and files flow out (``users``, ``folder``, ``certificates``); a ``nats`` context or a credentials file flows in
and a login flows out (``logins``, ``local``).
"""
