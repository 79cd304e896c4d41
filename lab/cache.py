"""What is expensive to make and the same for every checkout: made once, kept in `lab.paths.CACHE` under a hash."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import paths


def digest(*ingredients: Path | str) -> str:
    """A short name for what is made of these: files count by content, folders by all their files, texts as they are."""
    total = hashlib.sha256()
    for ingredient in ingredients:
        for content in _contents(ingredient):
            total.update(hashlib.sha256(content).digest())
    return total.hexdigest()[:12]


def made(name: str, make: Callable[[Path], None]) -> Path:
    """The file or folder ``name`` of the cache; ``make(path)`` is called to produce it if it is not there.

    It appears under its name only when complete, and parts, processes and checkouts that want the same thing
    at the same time wait for the first of them.
    """
    target = paths.CACHE / name
    if target.exists():
        return target
    with locked(name):
        if not target.exists():
            unfinished = target.with_name(f".{target.name}.unfinished")
            _remove(unfinished)
            make(unfinished)
            unfinished.rename(target)
    return target


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Hold a lock between processes for as long as the block runs."""
    file = paths.CACHE / f"{name}.lock"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _contents(ingredient: Path | str) -> Iterator[bytes]:
    if isinstance(ingredient, str):
        yield ingredient.encode()
    elif ingredient.is_dir():
        for file in sorted(ingredient.rglob("*")):
            if file.is_file():
                yield os.fsencode(file.relative_to(ingredient))
                yield file.read_bytes()
    else:
        yield ingredient.read_bytes()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
