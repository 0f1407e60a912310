"""When the bus's certificate ends: the configuration flows in, a finding for ``dccd.health`` flows out."""

from __future__ import annotations

from pathlib import Path

from dccd.auth.certificates import expiry
from dccd.config import BusConfig
from dccd.errors import AuthError
from dccd.messages import HealthCheck
from dccd.symbols import NS

__all__ = ["Certificate", "check_certificate"]

_SOON = 14 * 86_400 * NS
_AGAIN = 60 * NS


def check_certificate(ends: int, now: int) -> HealthCheck:
    """It must hold for two weeks more; *ends* and *now* in ns."""
    days = (ends - now) / (86_400 * NS)
    if days <= 0:
        detail = f"the bus's certificate has expired {-days:.1f} days ago: `dccd auth tls` makes a new one"
    elif ends - now < _SOON:
        detail = f"the bus's certificate expires in {days:.1f} days: `dccd auth tls` makes a new one"
    else:
        detail = f"holds for {days:.0f} days"
    return HealthCheck(name="certificate", ok=ends - now >= _SOON, detail=detail)


class Certificate:
    """Looks at the file of ``bus.tls.cert`` now and then."""

    def __init__(self) -> None:
        self._looked = 0
        self._found: int | AuthError = 0

    def __repr__(self) -> str:
        return f"<Certificate {self._found}>"

    def checks(self, bus: BusConfig, now: int) -> list[HealthCheck]:
        """What is found at *now* (ns); nothing where there is no certificate."""
        if bus.tls is None or bus.tls.cert is None:
            return []
        if not self._looked or now - self._looked > _AGAIN:
            self._looked = now
            try:
                self._found = int(expiry(Path(bus.tls.cert)).timestamp()) * NS
            except AuthError as exc:
                self._found = exc
        if isinstance(self._found, AuthError):
            return [HealthCheck(name="certificate", ok=False, detail=str(self._found))]
        return [check_certificate(self._found, now)]
