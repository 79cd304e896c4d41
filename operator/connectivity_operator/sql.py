"""Names as SQL wants them."""

from __future__ import annotations

import re

_SIMPLE = re.compile(r"[a-z_][a-z0-9_]*|<.*>")
# Reserved in PostgreSQL 18 (appendix C of its manual); such a name needs quotes.
_RESERVED = re.compile(
    r"all|analyse|analyze|and|any|array|as|asc|asymmetric|authorization|binary|both|case|cast|check|collate|collation|"
    r"column|concurrently|constraint|create|cross|current_\w+|default|deferrable|desc|distinct|do|else|end|except|false|"
    r"fetch|for|foreign|freeze|from|full|grant|group|having|ilike|in|initially|inner|intersect|into|is|isnull|join|"
    r"lateral|leading|left|like|limit|localtime|localtimestamp|natural|not|notnull|null|offset|on|only|or|order|outer|"
    r"overlaps|placing|primary|references|returning|right|select|session_user|similar|some|symmetric|system_user|table|"
    r"tablesample|then|to|trailing|true|union|unique|user|using|variadic|verbose|when|where|window|with"
)


def identifier(name: str) -> str:
    """In double quotes unless it is a plain lower-case word; a ``<placeholder>`` stays as it is.

    PostgreSQL folds an unquoted name to lower case, allows no dash in it and takes its own words for something else.
    """
    if _SIMPLE.fullmatch(name) and not _RESERVED.fullmatch(name):
        return name
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
