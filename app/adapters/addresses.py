"""Where outgoing requests may go: addresses are resolved here, checked, and pinned, so that nobody can rebind them later.

The guard lies below every client that a workflow can point somewhere: loopback, private, link-local and metadata addresses
are refused unless the operator allows them. Names and odd spellings (`127.1`, `0x7f000001`) are judged by what they
resolve to, never by how they look.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final

from app.ports import EffectError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]

_nat64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_unicast: Final = ipaddress.IPv6Network("2000::/3")  # all of IPv6 that is given to anybody
_refused: Final[tuple[Network, ...]] = (
    ipaddress.IPv4Network("168.63.129.16/32"),  # a cloud's metadata, though public by its number
    ipaddress.IPv4Network(
        "192.0.0.0/24"
    ),  # of protocols, with another cloud's metadata; the library knows a part of it
    ipaddress.IPv4Network("192.88.99.0/24"),  # relays of 6to4
    ipaddress.IPv6Network("2001::/32"),  # Teredo and 6to4: an IPv4 address in disguise, behind somebody's tunnel
    ipaddress.IPv6Network("2002::/16"),
)


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


async def resolve(host: str, port: int) -> Sequence[str]:
    """By the system. Raises OSError, ValueError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    places = [str(place[0]) for family, _, _, _, place in found if family in (socket.AF_INET, socket.AF_INET6)]
    return list(dict.fromkeys(places))


class AddressGuard:
    """Resolves and checks. `allowed`: the operator's, for all workspaces."""

    def __init__(self, allowed: Sequence[str] = (), resolver: Resolver = resolve) -> None:
        self._allowed = Allowed(allowed)
        self._resolver = resolver

    async def pin(self, host: str, port: int, more: Sequence[str] = ()) -> Sequence[str]:
        """The addresses to connect to, one after the other, at least one; `more` is what is allowed to this workspace.
        Raises EffectError: `http_connection` (it does not resolve), `blocked_address`."""
        try:
            found = [ipaddress.ip_address(text.partition("%")[0]) for text in await self._resolver(host, port)]
        except (OSError, ValueError) as error:
            raise EffectError("http_connection", f"{host} cannot be resolved", retryable=True) from error
        own = Allowed(more)
        passed = [
            str(address)
            for address in found
            if is_public(address) or self._allowed.has(host, port, address) or own.has(host, port, address)
        ]
        if not passed:
            raise EffectError("blocked_address", f"{host} leads to an address that workflows may not reach")
        return passed


def is_public(address: Address) -> bool:
    """Out on the internet, and no disguise of an inner address."""
    if any(address in network for network in _refused if network.version == address.version):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address in _nat64:
            return is_public(ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _unicast:
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved
