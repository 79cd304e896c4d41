"""What the operator's process keeps, and for how long."""

from __future__ import annotations

import gc

from connectivity_operator.host import Operator
from connectivity_operator.settings import Settings


def test_a_namespaces_pace_lasts_as_long_as_a_pipeline_has_it() -> None:
    """All of a namespace share one; namespaces that come and go leave nothing behind."""
    operator = Operator(Settings())
    pace = operator._pace("orders")
    assert operator._pace("orders") is pace
    assert operator._pace("payments") is not pace
    del pace
    gc.collect()
    assert len(operator._paces) == 0
