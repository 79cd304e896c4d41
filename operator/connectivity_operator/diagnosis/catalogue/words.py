"""From a template and evidence to a text.

``{name}``      the evidence of that name; a placeholder that a person can fill where it is not known
``{name!q}``    the same as an SQL identifier, in quotes where it needs them
``[[ … ]]``     left out unless everything named in it is known
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from typing import Any

from connectivity_operator.diagnosis.catalogue.entry import Entry
from connectivity_operator.diagnosis.catalogue.evidence import placeholder
from connectivity_operator.sql import identifier

_OPTIONAL = re.compile(r"\[\[(.*?)\]\]")


def message_and_remedy(entry: Entry, evidence: Mapping[str, str]) -> tuple[str, str]:
    """Both texts of ``entry`` for what is known; empty values count as unknown."""
    known = {name: value for name, value in evidence.items() if value}
    message, remedy = entry.message, entry.remedy
    for variant in entry.variants:
        if variant.name in known and (not variant.values or known[variant.name] in variant.values):
            message, remedy = variant.message or message, variant.remedy or remedy
            break
    return fill(message, known), fill(remedy, known)


def fill(template: str, known: Mapping[str, str]) -> str:
    """The text of one template."""
    chosen = _OPTIONAL.sub(lambda found: found[1] if names(found[1]) <= known.keys() else "", template)
    return _FORMATTER.vformat(chosen, (), known)


def names(template: str) -> set[str]:
    """The evidence that a template names."""
    return {name for _, name, _, _ in _FORMATTER.parse(template) if name}


class _Formatter(string.Formatter):
    def get_value(self, key: int | str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        return str(kwargs.get(str(key)) or placeholder(str(key)))

    def convert_field(self, value: Any, conversion: Any) -> Any:
        return identifier(value) if conversion == "q" else super().convert_field(value, conversion)


_FORMATTER = _Formatter()
