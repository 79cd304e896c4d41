"""Prints docs/runbooks.md: ``python -m connectivity_operator.runbooks > docs/runbooks.md``."""

from __future__ import annotations

import sys

from connectivity_operator.runbooks.markdown import render

sys.stdout.write(render())
