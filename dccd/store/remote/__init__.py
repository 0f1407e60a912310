"""Copies of the store elsewhere: object stores, folders, and whatever rclone reaches.

Life of a copy: ``local`` takes a snapshot of a period, ``manifest`` tells what is new and what it stands for, ``sync``
uploads it; ``verify`` reads it back, ``restore`` brings it home, ``past`` lets readers of a purged period have it.
``base`` is the seam to a remote; ``objects``, ``folder`` and ``rclone`` are behind it, ``fake`` for tests.

What lies on a remote, below its URL::

    {host}/.dccd/owner.json                                        whose files these are
    {host}/.dccd/manifests/{dataset}/{year}.json                   which objects make up the periods of a year
    {host}/.dccd/manifests/{dataset}/notes.json                    what is noted beside the files (``claims``)
    {host}/{exchange}/{data_type}/{SYMBOL}[/{span}]/{period}.{hash}.parquet     a base
    {host}/.dccd/segments/{dataset}/{period}/{name}.parquet        a segment that no base holds yet

An object never changes: other content has another name. A manifest is replaced when all that it names is there, and
what it doesn't name any more is removed after that. So a manifest is whole at each moment, and whatever is killed,
and whenever: what can be restored is a state that the store was in.
"""
