"""The hosts over the bus: what each has written into ``dccd_hosts`` flows in, the list flows out."""

from __future__ import annotations

import msgspec

from actors.links import Links
from dccd import messages as m
from dccd import subjects

__all__ = ["hosts"]


async def hosts(links: Links) -> m.Hosts:
    """All that are there now, by id. One that this version can't read is left out: it may be of a newer one."""
    found = []
    for entry in await links.hosts.all(subjects.host_key("*")):
        try:
            found.append(msgspec.json.decode(entry.value, type=m.HostEntry))
        except msgspec.DecodeError:
            continue
    return m.Hosts(host=links.host, hosts=sorted(found, key=lambda host: host.id))
