"""Building a tree of elements as one expression."""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree import ElementTree as ET


def tag(name: str, /, *inside: str | ET.Element | Mapping[str, str], **attributes: str) -> ET.Element:
    """An element with text and elements in it; a mapping holds attributes whose names are no Python names."""
    element = ET.Element(name, attributes)
    for part in inside:
        if isinstance(part, ET.Element):
            element.append(part)
        elif isinstance(part, Mapping):
            element.attrib.update(part)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + part
        else:
            element.text = (element.text or "") + part
    return element
