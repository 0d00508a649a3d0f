"""Which addresses may be connected to: only those of the open internet.

The standard library's `is_global` takes some of these for global: 224.0.0.1, fec0::1, and 127.0.0.1
in its NAT64 and 6to4 forms. So this is a list of our own.
"""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from imgcli.http.request import Denied, NotConnected, Target

Address = IPv4Address | IPv6Address

DENIED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared, of providers
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, where clouds keep their metadata
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
        "::/3",  # reserved: all that is not 2000::/3, among it ::1
        "2001::/23",  # protocol assignments
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
        "4000::/2",  # reserved
        "8000::/1",  # reserved, private (fc00::/7), link- and site-local (fe80::/9), multicast
    )
)

# IPv6 networks whose addresses stand for an IPv4 address, and how many bits follow it.
EMBEDDING = {
    ip_network("::/96"): 0,  # the former IPv4-compatible addresses
    ip_network("::ffff:0:0/96"): 0,  # IPv4-mapped
    ip_network("64:ff9b::/96"): 0,  # NAT64
    ip_network("2002::/16"): 80,  # 6to4
}


def denied(address: Address) -> bool:
    """Whether an address, or one that hides inside it, is not of the open internet."""
    hidden = _hidden(address)
    if hidden:
        return any(denied(inner) for inner in hidden)
    return any(address in network for network in DENIED)


def _hidden(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return []
    if address.teredo is not None:  # 2001::/32: a server, and a client behind it
        return list(address.teredo)
    return [
        IPv4Address(int(address) >> bits & 0xFFFFFFFF)
        for network, bits in EMBEDDING.items()
        if address in network
    ]


def addresses_of(target: Target, anywhere: bool = False) -> list[str]:
    """Resolve a host; every one of its addresses is checked, unless `anywhere` is permitted.

    Raises:
        Denied: one of the addresses is.
        NotConnected: the name is unknown, or the name service does not answer.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "no possible name"
        raise NotConnected(f"the host {target.host} is not found ({why})") from None
    addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
    for address in addresses:
        if not anywhere and denied(ip_address(address)):
            name = address if target.host == address else f"{target.host} leads to {address}, which"
            raise Denied(
                target.at,
                f"{name} is not on the open internet; --allow-host {target.at} would permit it",
            )
    return addresses
