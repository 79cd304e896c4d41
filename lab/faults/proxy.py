"""Faults of an HTTP proxy between the pod and HTTPS services.

A proxy of each manner listens while its fault is on, and the operator's HTTPS_PROXY names it. NO_PROXY leaves one
service to it, so that all others show that they are exempt.
"""

from __future__ import annotations

import socket
import sys
from functools import partial

from lab import certificates, paths, processes, proxy, world
from lab.faults import packets
from lab.faults.fault import Fault
from lab.part import NotReady
from lab.proxy import PORTS, Manner
from lab.waiting import until_ready

_EXEMPT = {
    "openai": ".amazonaws.com",
    "opensearch": f"{world.OPENAI[0]},{world.STS[0]}",
}
"""Service that goes through the proxy -> NO_PROXY, for all others."""


def _start(manner: Manner) -> None:
    argv = [sys.executable, "-m", "lab.proxy", f"--manner={manner}"]
    if manner is Manner.INTERCEPT:
        hosts = [world.OPENAI[0], world.OPENSEARCH[0]]
        chain, key = certificates.issue("proxy", ca=proxy.AUTHORITY, hosts=hosts)
        argv += [f"--certificate={chain.resolve()}", f"--key={key.resolve()}"]
    processes.spawn(f"proxy-{manner}", argv, cwd=paths.ROOT)
    until_ready(partial(_check_listening, manner), limit=20)


def _check_listening(manner: Manner) -> None:
    processes.check(f"proxy-{manner}")
    try:
        socket.create_connection((world.PROXY[1], PORTS[manner]), timeout=2).close()
    except OSError as error:
        raise NotReady(f"the proxy does not listen yet: {error}") from error


def _end(manner: Manner) -> None:
    processes.end(f"proxy-{manner}")


def _environment(service: str, url: str) -> dict[str, str | None]:
    return {"HTTPS_PROXY": url, "NO_PROXY": _EXEMPT[service]}


def _proxied(service: str, name: str, summary: str, manner: Manner, *, user: str = "") -> Fault:
    """The service's way leads through a proxy of that manner."""
    environment = _environment(service, proxy.url(manner, user=user))
    return Fault(
        f"proxy-{service}-{name}", summary, partial(_start, manner), partial(_end, manner), environment=environment
    )


def _named(service: str, name: str, summary: str, url: str) -> Fault:
    """HTTPS_PROXY names something else."""
    return Fault(f"proxy-{service}-{name}", summary, environment=_environment(service, url))


def _drop_packets(name: str) -> None:
    packets.block(name, world.PROXY[1], PORTS[Manner.OPEN], packets.DROP)


def _blackholed(service: str) -> Fault:
    name = f"proxy-{service}-blackholed"
    return Fault(
        name,
        "drop packets to the proxy",
        partial(_drop_packets, name),
        partial(packets.clear, name),
        environment=_environment(service, proxy.url(Manner.OPEN)),
    )


FAULTS: tuple[Fault, ...] = (
    _named("openai", "refused", "name a proxy that does not run", f"http://{world.PROXY[0]}:8888"),
    _named("openai", "name-unknown", "name a proxy whose name does not resolve", "http://no-proxy.example.com:3128"),
    _named("openai", "not-a-proxy", "name a TLS server as the proxy", f"http://{world.OPENSEARCH[0]}:443"),
    _blackholed("openai"),
    _proxied("openai", "silent", "let the proxy accept connections and say nothing", Manner.SAY_NOTHING),
    _proxied("openai", "hangs-up", "let the proxy hang up", Manner.HANG_UP),
    _proxied("openai", "forbids", "let the proxy answer 403", Manner.FORBID),
    _proxied("openai", "asks-password", "let the proxy answer 407", Manner.ASK_PASSWORD),
    _proxied("openai", "wrong-password", "give the proxy a wrong password (407)", Manner.ASK_PASSWORD, user="a:b"),
    _proxied("openai", "lost-target", "let the proxy answer 503: it cannot reach the host", Manner.LOSE),
    _proxied("openai", "intercepts", "let the proxy intercept TLS with an authority of its own", Manner.INTERCEPT),
    _named("opensearch", "refused", "name a proxy that does not run", f"http://{world.PROXY[0]}:8888"),
    _proxied("opensearch", "forbids", "let the proxy answer 403", Manner.FORBID),
    _proxied("opensearch", "asks-password", "let the proxy answer 407", Manner.ASK_PASSWORD),
    _proxied("opensearch", "intercepts", "let the proxy intercept TLS with an authority of its own", Manner.INTERCEPT),
)
