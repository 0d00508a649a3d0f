import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgcli.http.addresses import addresses_of, denied
from imgcli.http.request import Broken, NotFetched, Target

INSIDE = (  # as the rules name them, apart from the program's own list
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
    *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.168.0.0/16", "198.18.0.0/15"),
    *("198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
)
SERVER = IPv4Address("8.8.4.4")  # of Teredo


def target(host: str) -> Target:
    """As no URL would spell it."""
    return Target("", "http", host, 80, "/")


def embedded(inner: IPv4Address) -> dict[str, IPv6Address]:
    """The IPv6 addresses that lead to `inner`."""
    bits = int(inner)
    teredo = 0x20010000 << 96 | int(SERVER) << 64
    return {
        "compatible": IPv6Address(bits),
        "mapped": IPv6Address(0xFFFF << 32 | bits),
        "nat64": IPv6Address(0x64FF9B << 96 | bits),
        "6to4": IPv6Address(0x2002 << 112 | bits << 80 | 0x5678),
        "teredo client": IPv6Address(teredo | (bits ^ 0xFFFFFFFF)),
        "teredo server": IPv6Address(0x20010000 << 96 | bits << 64 | (int(SERVER) ^ 0xFFFFFFFF)),
    }


def in_network(network: str) -> st.SearchStrategy[IPv4Address]:
    return st.ip_addresses(v=4, network=network)  # type: ignore[return-value]


@given(st.one_of(*map(in_network, INSIDE)))
def test_addresses_on_the_inside_are_denied_in_every_form(address: IPv4Address) -> None:
    assert denied(address)
    for form, outer in embedded(address).items():
        assert denied(outer), form


def is_global(address: IPv4Address) -> bool:
    """By the library, but for the two networks that it has exceptions in."""
    ours = str(address).startswith(("192.0.0.", "192.88.99."))
    return address.is_global and not address.is_multicast and not ours


@given(st.ip_addresses(v=4).filter(is_global))
def test_global_addresses_are_allowed_in_every_form(address: IPv4Address) -> None:
    assert not denied(address)
    for form, outer in embedded(address).items():
        assert not denied(outer), form


@given(st.ip_addresses(v=6))
def test_of_ipv6_only_global_unicast_is_allowed(address: IPv6Address) -> None:
    embeds = int(address) >> 32 in (0, 0xFFFF, 0x64FF9B << 64)
    assert embeds or 0x2000 <= int(address) >> 112 < 0x4000 or denied(address)


@pytest.mark.parametrize(
    "address",
    [
        *("::", "::1", "fe80::1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1", "ff0e::1"),
        *("2001:db8::1", "2001:2::1", "2001:10::1", "2001:20::1", "3fff::1", "5f00::1", "100::1"),
        *("64:ff9b:1::7f00:1", "64:ff9b::127.0.0.1", "2002:7f00:1::", "::ffff:169.254.169.254"),
        *("224.0.0.1", "255.255.255.255", "0.0.0.0", "192.0.0.9", "192.88.99.1"),
    ],
)
def test_what_the_library_takes_for_global_is_denied_too(address: str) -> None:
    assert denied(ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::6810:84e5", "2a00:1450:4001::200e"])
def test_the_open_internet_is_allowed(address: str) -> None:
    assert not denied(ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0", "2130706433", "0x7f.1", "0177.0.0.1", "0x7f000001", "::1"),
        *("localhost", "::ffff:127.0.0.1", "１２７.0.0.1"),
    ],
)
def test_every_spelling_of_loopback_is_judged_by_its_address(host: str) -> None:
    with pytest.raises(NotFetched, match="not on the open internet") as caught:
        addresses_of(target(host))
    assert not caught.value.later


def test_one_denied_address_among_others_denies_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80))
        for address in ("93.184.216.34", "10.0.0.5")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(NotFetched, match=r"^photos\.test leads to 10\.0\.0\.5, which is not"):
        addresses_of(target("photos.test"))
    assert addresses_of(target("photos.test"), anywhere=True) == ["93.184.216.34", "10.0.0.5"]


@pytest.mark.parametrize("host", ["a" * 64 + ".test", "x..test", "nowhere.invalid"])
def test_a_host_that_is_not_found_is_left_for_later(host: str) -> None:
    with pytest.raises(Broken, match="is not found"):
        addresses_of(target(host))
