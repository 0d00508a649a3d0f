"""The network interface by which this machine reaches another one.

gloo takes the one that the machine's own name stands for, which on many machines is the loopback:
two hosts then wait for each other for ever.
"""

import fcntl
import os
import socket
import struct

_NAME = "GLOO_SOCKET_IFNAME"
_ADDRESS_OF = 0x8915  # SIOCGIFADDR, of Linux


def choose_interface(host: str, port: int) -> None:
    """Have gloo use the interface that leads to `host`, unless the environment names one."""
    if os.environ.get(_NAME):
        return
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
            route.connect((host, port))  # sends nothing
            own = route.getsockname()[0]
            for _, name in socket.if_nameindex():
                if _address_of(name, route) == own:
                    os.environ[_NAME] = name
    except OSError:  # an address of IPv6 alone, or another system
        return


def _address_of(name: str, any_socket: socket.socket) -> str | None:
    request = struct.pack("256s", name.encode()[:15])
    try:
        answer = fcntl.ioctl(any_socket.fileno(), _ADDRESS_OF, request)
    except OSError:  # it has none
        return None
    return socket.inet_ntoa(answer[20:24])
