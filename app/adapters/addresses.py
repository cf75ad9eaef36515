"""Where outgoing requests may go: addresses are resolved here, checked, and pinned, so that nobody can rebind them later.

The guard lies below every client that a workflow can point somewhere: loopback, private, link-local and metadata addresses
are refused unless the operator allows them.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from typing import Final

from app.ports import EffectError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_nat64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class Allowed:
    """What the operator lets pass besides public addresses: `host:port`, `[v6]:port`, or a network."""

    def __init__(self, rules: Iterable[str]) -> None:
        self._places: set[tuple[str, int]] = set()
        self._networks: list[Network] = []
        for rule in rules:
            self._add(rule.strip())

    def _add(self, rule: str) -> None:
        try:
            self._networks.append(ipaddress.ip_network(rule, strict=False))
            return
        except ValueError:
            host, _, port = rule.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise ValueError(f"{rule!r} is neither host:port nor a network")
        self._places.add((host.strip("[]").lower(), int(port)))

    def has(self, host: str, port: int, address: Address) -> bool:
        """`host` as the workflow wrote it, `address` as it resolved."""
        named = {host.strip("[]").lower(), str(address)}
        return any((name, port) in self._places for name in named) or any(
            address in network for network in self._networks if network.version == address.version
        )


class AddressGuard:
    """Resolves and checks. `allowed`: the operator's, for all workspaces."""

    def __init__(self, allowed: Sequence[str] = ()) -> None:
        self._allowed = Allowed(allowed)

    async def pin(self, host: str, port: int, more: Sequence[str] = ()) -> str:
        """The address to connect to; `more` is what is allowed to this workspace. Raises EffectError: `http_connection`
        (it does not resolve), `blocked_address`."""
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise EffectError("http_connection", f"{host} cannot be resolved", retryable=True) from error
        own = Allowed(more)
        for family, _, _, _, place in found:
            if family not in (socket.AF_INET, socket.AF_INET6):
                continue
            address = ipaddress.ip_address(str(place[0]).partition("%")[0])
            if is_public(address) or self._allowed.has(host, port, address) or own.has(host, port, address):
                return str(address)
        raise EffectError("blocked_address", f"{host} leads to an address that workflows may not reach")


def is_public(address: Address) -> bool:
    """Out on the internet, and no disguise of an inner address."""
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if inner is None and address in _nat64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved
