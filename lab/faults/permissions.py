"""Permissions are taken away by an explicit deny under the fault's own name, so that faults compose.

AWS answers an explicit deny and a missing allow with the same words.
"""

from __future__ import annotations

from collections.abc import Callable

from lab import world
from lab.faults.fault import Fault
from lab.iam import control


def denial(name: str, summary: str, *actions: str, resource: str = "*", role: str = world.ROLE_NAME) -> Fault:
    """A fault: the role is denied these actions (``kafka-cluster:ReadData``) on the resource."""

    def on() -> None:
        statement = {"Sid": name.replace("-", ""), "Effect": "Deny", "Action": list(actions), "Resource": resource}
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        control.patch_state({"roles": {role: {"policies": {f"fault-{name}": policy}}}})

    def off() -> None:
        control.patch_state({"roles": {role: {"policies": {f"fault-{name}": None}}}})

    return Fault(name, summary, on, off)


def behaviour(name: str, summary: str, **faults: object) -> Fault:
    """A fault: lab-iam behaves so (`lab.iam.state.Faults`)."""

    def switch(values: dict[str, object]) -> Callable[[], None]:
        return lambda: control.patch_state({"faults": values})

    return Fault(name, summary, switch(dict(faults)), switch(dict.fromkeys(faults)))
