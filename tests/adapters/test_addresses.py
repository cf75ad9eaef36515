"""Which addresses workflows may reach, by tables: whatever its spelling, an inner address stays inner."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest

from app.adapters.addresses import AddressGuard, Allowed, is_public
from app.ports import EffectError

INNER = """
0.0.0.0 0.1.2.3 10.0.0.1 100.64.0.1 100.100.100.200 127.0.0.1 127.255.255.254 168.63.129.16 169.254.0.1
169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.1.1 198.18.0.1
198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
:: ::1 ::7f00:1 ::10.0.0.1 ::ffff:127.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1 64:ff9b::7f00:1
64:ff9b::a9fe:a9fe 64:ff9b:1::1 100::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:db8::1 2002:7f00:1::
2002:c0a8:101::1 2002:808:808::1 fc00::1 fd00:ec2::254 fd20:ce::254 fe80::1 febf::1 fec0::1 ff02::1
""".split()
OUTER = """
1.1.1.1 8.8.8.8 93.184.216.34 172.15.0.1 172.32.0.1 192.0.1.1 223.255.255.255
2606:4700:4700::1111 2a00:1450:4001:80b::200e ::ffff:8.8.8.8 64:ff9b::808:808
""".split()
# What the system's resolver reads as an inner address, without asking anybody.
SPELLINGS = """
127.0.0.1 127.1 127.0.1 0 0.0.0.0 2130706433 0x7f000001 0x7f.1 0177.0.0.1 017700000001 0x7f.0.0.0x1 localhost
10.1 169.254.43518 0xa9fea9fe 2852039166 ::1 0:0:0:0:0:0:0:1 ::ffff:127.0.0.1 ::ffff:7f00:1 fe80::1%1
""".split()


class Names:
    """A resolver whose answers change: one after the other, the last for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


async def refusal(guard: AddressGuard, host: str, port: int = 80, more: Sequence[str] = ()) -> tuple[str, bool]:
    with pytest.raises(EffectError) as caught:
        await guard.pin(host, port, more)
    return caught.value.error_type, caught.value.retryable


@pytest.mark.parametrize("address", INNER)
def test_an_inner_address_is_not_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address)) is False


@pytest.mark.parametrize("address", OUTER)
def test_an_outer_address_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address)) is True


@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_an_inner_address_passes(host: str) -> None:
    assert await refusal(AddressGuard(), host) == ("blocked_address", False)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "a..b", "\0", "nowhere.invalid"])
async def test_what_does_not_resolve_is_no_connection(host: str) -> None:
    assert await refusal(AddressGuard(), host) == ("http_connection", True)


async def test_of_mixed_answers_only_the_outer_addresses_are_used() -> None:
    names = Names(["10.0.0.1", "1.1.1.1", "::1", "2606:4700:4700::1111", "127.0.0.1"])
    assert await AddressGuard((), names).pin("mixed.example", 443) == ["1.1.1.1", "2606:4700:4700::1111"]


async def test_each_request_is_judged_by_the_answer_that_it_will_use() -> None:
    names = Names(["1.1.1.1"], ["169.254.169.254"])
    guard = AddressGuard((), names)
    assert await guard.pin("rebinding.example", 80) == ["1.1.1.1"]
    assert await refusal(guard, "rebinding.example") == ("blocked_address", False)
    assert names.asked == [("rebinding.example", 80)] * 2


@pytest.mark.parametrize("answer", [["no address"], [""]])
async def test_a_resolver_that_answers_nonsense_is_no_connection(answer: list[str]) -> None:
    assert await refusal(AddressGuard((), Names(answer)), "x.example") == ("http_connection", True)


@pytest.mark.parametrize(
    ("rules", "host", "port", "address", "passes"),
    [
        (["10.0.0.0/8"], "x", 80, "10.255.0.1", True),
        (["10.0.0.7/8"], "x", 80, "10.255.0.1", True),
        (["10.0.0.0/8"], "x", 80, "11.0.0.1", False),
        (["10.0.0.0/8"], "x", 80, "::ffff:10.0.0.1", False),
        (["10.0.0.1"], "x", 1, "10.0.0.1", True),
        (["fd00::/8"], "x", 80, "fd00::1", True),
        (["crm.internal:8080"], "crm.internal", 8080, "10.0.0.1", True),
        ([" CRM.internal:8080 "], "crm.INTERNAL", 8080, "10.0.0.1", True),
        (["crm.internal:8080"], "crm.internal", 8081, "10.0.0.1", False),
        (["crm.internal:8080"], "crm.internal.", 8080, "10.0.0.1", False),
        (["crm.internal:8080"], "x.crm.internal", 8080, "10.0.0.1", False),
        (["127.0.0.1:9000"], "localhost", 9000, "127.0.0.1", True),
        (["localhost:9000"], "127.0.0.1", 9000, "127.0.0.1", False),
        (["[::1]:9000"], "::1", 9000, "::1", True),
        ([], "x", 80, "127.0.0.1", False),
    ],
)
def test_the_operator_allows_a_place_or_a_network_and_no_more(
    rules: list[str], host: str, port: int, address: str, passes: bool
) -> None:
    assert Allowed(rules).has(host, port, ipaddress.ip_address(address)) is passes


@pytest.mark.parametrize("rule", ["", "host", "host:", ":80", "host:0", "host:65536", "host:x", "10.0.0.0/33"])
def test_a_rule_that_says_nothing_is_refused(rule: str) -> None:
    with pytest.raises(ValueError, match="neither host:port nor a network"):
        Allowed([rule])


async def test_what_is_allowed_to_one_workspace_is_allowed_to_no_other() -> None:
    guard = AddressGuard(["127.0.0.1:1"])
    assert await guard.pin("127.0.0.1", 2, ["127.0.0.1:2"]) == ["127.0.0.1"]
    assert await refusal(guard, "127.0.0.1", 2) == ("blocked_address", False)
    assert await guard.pin("127.0.0.1", 1) == ["127.0.0.1"]
