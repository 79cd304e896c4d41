"""Whoever listens on an address of the lab is found, whatever way it was bound, and named."""

from __future__ import annotations

import os
import socket

import pytest

from lab import listeners

ADDRESS = "127.77.0.250"
"""Of the lab's network, and no part's."""


def ours() -> list[listeners.Listener]:
    return [one for one in listeners.in_lab() if one.address == ADDRESS]


@pytest.mark.parametrize(
    ("family", "kind", "address"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, ADDRESS),
        (socket.AF_INET, socket.SOCK_DGRAM, ADDRESS),
        (socket.AF_INET6, socket.SOCK_STREAM, f"::ffff:{ADDRESS}"),
    ],
    ids=["tcp", "udp", "as Java binds"],
)
def test_a_listener_is_found_and_named(family: int, kind: int, address: str) -> None:
    with socket.socket(family, kind) as server:
        server.bind((address, 0))
        if kind == socket.SOCK_STREAM:
            server.listen()
        (found,) = ours()
        assert found.port == server.getsockname()[1]
        assert f"pid {os.getpid()} " in str(found)
    assert ours() == []


def test_a_client_is_no_listener() -> None:
    with socket.create_server((ADDRESS, 0)) as server, socket.create_connection(server.getsockname()):
        assert len(ours()) == 1


def test_other_addresses_are_other_peoples() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server.getsockname()[1] not in {one.port for one in listeners.in_lab() if one.address == "127.0.0.1"}
        assert all(one.address != "127.0.0.1" for one in listeners.in_lab())
