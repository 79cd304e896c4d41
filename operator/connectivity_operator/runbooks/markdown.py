"""docs/runbooks.md, from the catalogue and the runbooks' data."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable

from connectivity_operator.diagnosis.catalogue import SERVICE_NAMES
from connectivity_operator.reasons import Service
from connectivity_operator.runbooks import HELPERS, RESOURCE, Article, articles, variables

_HEAD = """# Runbooks

<!-- Made of operator/connectivity_operator/runbooks by `make runbooks`; do not edit. -->

For every code that can stand in a status, an event, a metric or a report of `connectivity-operator check`: what it
means, how to confirm it, how to fix it, who can, and how soon the operator notices. The same is printed by
`connectivity-operator explain CODE`. A message of the status holds the real names; here they are shell variables.

All privileges at once, for the settings and resources that you have, as policies and statements to be pasted:
`kubectl -n "$NAMESPACE" exec "$DEPLOY" -- connectivity-operator permissions`.
"""

_BEFORE = """## Before the commands

Set what the commands of a section use. `aws` is the AWS CLI with rights of your own, not the operator's.

```bash
{variables}
```

And what else they use:

```bash
{helpers}
```"""

_COLUMN = 70
"""Where the meaning of a variable stands; after a longer value it would be out of sight."""

_TITLES = {
    **{service.value: name for service, name in SERVICE_NAMES.items()},
    RESOURCE: "The resource and its messages",
}
_SHARED = "All dependencies: settings, names, connections, TLS"
_PROXIES = "HTTPS: proxies, and who answers"


def render() -> str:
    """The whole file."""
    chapters = _chapters()
    lines = [_HEAD, "## Contents", ""]
    for title, entries in chapters.items():
        lines.append(f"- {title}: " + ", ".join(f"[{a.code}](#{a.anchors[0]})" for a in entries))
    lines += ["", _BEFORE.format(variables=_variables(), helpers=_helpers())]
    for title, entries in chapters.items():
        lines += ["", f"## {title}"]
        for article in entries:
            lines += ["", *_article(article)]
    return "\n".join(lines) + "\n"


def _chapters() -> dict[str, list[Article]]:
    found: dict[str, list[Article]] = {}
    for article in articles():
        found.setdefault(_chapter(article.groups), []).append(article)
    order = [_SHARED, _PROXIES, *_TITLES.values()]
    return {title: found[title] for title in order if title in found}


def _chapter(groups: Iterable[str]) -> str:
    *others, last = groups
    if not others:
        return _TITLES[last]
    return _PROXIES if Service.IDENTITY in others else _SHARED


def _variables() -> str:
    lines = [(f"{v.name}={v.value}", f"# {v.meaning}") for v in variables()]
    return "\n".join(
        f"{line:<{_COLUMN}}  {meaning}" if len(line) <= _COLUMN else f"{meaning}:\n{line}" for line, meaning in lines
    )


def _helpers() -> str:
    return "\n".join(
        "\n".join(textwrap.wrap(f"# {h.meaning}:", 118, subsequent_indent="# ")) + f"\n{h.text}" for h in HELPERS
    )


def _article(article: Article) -> list[str]:
    anchors = "".join(f'<a id="{anchor}"></a>' for anchor in article.anchors)
    lines = [anchors, "", f"### {article.code}", ""]  # before the heading, so that a link shows it
    if len(article.groups) > 1:
        lines += [f"Of {', '.join(_TITLES[group] for group in article.groups)}.", ""]
    if article.message:
        lines += [f"> {html.escape(article.message, quote=False)}", ""]
    lines += [html.escape(article.meaning, quote=False), ""]
    facts = [("Rung", article.rung), ("Healed by", article.healer), ("Shown", article.noticed)]
    lines += [f"- {name}: {text}" for name, text in facts if text]
    for title, commands in (("Confirm", article.confirm), ("Fix", article.fix)):
        if commands:
            lines += ["", f"{title}:", "", "```bash", commands.rstrip(), "```"]
    return lines
