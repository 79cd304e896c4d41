"""The brokers' configuration."""

from __future__ import annotations

import ipaddress
from pathlib import Path

from lab import listeners, world
from lab.kafka import broker


def configuration(node: int) -> dict[str, str]:
    return broker.properties(
        node, broker.address(node), log_dir=Path("data"), keystore=Path("key.pem"), truststore=Path("ca.pem")
    )


def sockets(value: str) -> dict[str, str]:
    return dict(listener.split("://") for listener in value.split(","))


def test_msk_listeners_are_at_the_public_address_and_advertised_by_name() -> None:
    """The internal one is advertised by its address: it must need no resolver."""
    for node, (name, address) in world.BROKERS.items():
        values = configuration(node)
        listening, advertised = sockets(values["listeners"]), sockets(values["advertised.listeners"])
        for listener, port in {"PLAINTEXT": 9092, "TLS": 9094, "SCRAM": 9096, "IAM": 9098}.items():
            assert (listening[listener], advertised[listener]) == (f"{address}:{port}", f"{name}:{port}")
        assert listening["INTERNAL"] == advertised["INTERNAL"]
        assert not listening["INTERNAL"].startswith(f"{address}:")


def test_node_1_alone_is_controller_and_all_find_it() -> None:
    """A broker does not listen where it is no controller, and no client is sent there."""
    one, two = configuration(1), configuration(2)
    assert sockets(one["listeners"])["CONTROLLER"] == two["controller.quorum.bootstrap.servers"]
    assert "CONTROLLER" not in sockets(two["listeners"])
    assert all("CONTROLLER" not in sockets(values["advertised.listeners"]) for values in (one, two))


def test_every_address_is_among_those_that_the_lab_watches() -> None:
    """`lab down` checks that nothing listens there any more."""
    for node in broker.NODES:
        for socket in sockets(configuration(node)["listeners"]).values():
            address = socket.rpartition(":")[0]
            assert any(ipaddress.ip_address(address) in network for network in listeners.NETWORKS)


def test_only_topics_that_were_made_exist_and_all_are_on_both_brokers() -> None:
    """As on an MSK cluster in two zones."""
    values = configuration(1)
    assert values["auto.create.topics.enable"] == "false"
    assert {value for name, value in values.items() if name.endswith("replication.factor")} == {"2"}
