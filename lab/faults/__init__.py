"""Faults: named switches that make the lab's world really wrong, one cause each, and right again.

``python -m lab fault on kafka-readdata-denied``; the fault matrix (`tests/faults`) and a person use the same ones.
A policy is changed in lab-iam, a certificate swapped on its server, packets are dropped, a token file goes stale, a
server answers as its documentation says. Nothing touches the operator's code; faults of its settings change its
environment.

One module a dependency, each with a tuple ``FAULTS``; what several of them use has modules of its own
(`packets`, `names`, `permissions`, `server_certificates`).
"""

from __future__ import annotations

from collections.abc import Mapping

from lab.faults import identity, kafka, network, openai, opensearch, postgresql, proxy, tls, web_identity
from lab.faults.fault import Fault

_MODULES = (network, tls, identity, web_identity, kafka, openai, opensearch, postgresql, proxy)

FAULTS: Mapping[str, Fault] = {fault.name: fault for module in _MODULES for fault in module.FAULTS}
"""Every fault by its name."""
