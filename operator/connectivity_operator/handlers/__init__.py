"""The only place that knows kopf: handlers parse, delegate and return, nothing else.

`run` starts the operator; what the handlers delegate to is a `Host`, which the composition root provides.
"""

from connectivity_operator.handlers.host import Host
from connectivity_operator.handlers.registry import build_registry
from connectivity_operator.handlers.running import operate, operator_settings, run

__all__ = ["Host", "build_registry", "operate", "operator_settings", "run"]
