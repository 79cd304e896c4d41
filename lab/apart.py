"""A second lab beside the one that a person uses, for benchmarks and tests: its own network, processes and mounts.

The lab's addresses are loopback addresses, and every network namespace has its own loopback: labs run side by side
with the same names, addresses and ports. A pid namespace ends all of a lab with the program it was made for,
however that ends. What tells labs apart on disk is LAB_STATE (`lab.paths`), which the caller chooses.
"""

from __future__ import annotations

import fcntl
import socket
import struct
from collections.abc import Sequence

_NOT_OUTLIVING_US = ["setpriv", "--pdeathsig", "KILL", "--"]
_OWN_PROCESSES = ["unshare", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]

_SET_INTERFACE_FLAGS = 0x8914
_UP = 0x1
"""SIOCSIFFLAGS and IFF_UP of netdevice(7)."""


def command(argv: Sequence[str], *, network: bool = True) -> list[str]:
    """The command line that runs ``argv`` apart. ``network``: in a network of its own, without a way out."""
    return [*_NOT_OUTLIVING_US, *_OWN_PROCESSES, *(["--net"] if network else []), "--", *argv]


def loopback() -> None:
    """Switch on the loopback interface, which is down in a new network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_INTERFACE_FLAGS, struct.pack("16sH14x", b"lo", _UP))
