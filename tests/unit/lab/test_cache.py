"""The cache: made once, complete or not at all."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from lab import cache, paths


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(paths, "CACHE", tmp_path / "cache")
    return paths.CACHE


def test_what_is_there_is_not_made_again() -> None:
    """The second caller gets the first one's."""
    made = [cache.made("folder/thing", lambda target, n=n: target.write_text(str(n))) for n in (1, 2)]  # type: ignore[misc]
    assert made[0] == made[1]
    assert made[0].read_text() == "1"


def test_what_failed_half_way_does_not_exist(own_cache: Path) -> None:
    """The next attempt begins from nothing."""

    def fail(target: Path) -> None:
        target.mkdir()
        (target / "half").touch()
        raise OSError("no space")

    def succeed(target: Path) -> None:
        target.mkdir()
        (target / "whole").touch()

    with pytest.raises(OSError, match="no space"):
        cache.made("thing", fail)
    assert not (own_cache / "thing").exists()
    assert [file.name for file in cache.made("thing", succeed).iterdir()] == ["whole"]


def test_two_who_want_the_same_make_it_once() -> None:
    """The second waits for the first."""
    times: list[float] = []

    def make(target: Path) -> None:
        times.append(time.monotonic())
        time.sleep(0.05)
        target.touch()

    threads = [threading.Thread(target=cache.made, args=("thing", make)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(times) == 1


def test_a_digest_changes_with_contents_names_and_texts(tmp_path: Path) -> None:
    """Files by content, folders by names and contents, texts as they are; nothing else."""
    folder = tmp_path / "sources"
    (folder / "deep").mkdir(parents=True)
    file = folder / "deep" / "a.java"
    file.write_text("class A {}")
    digests = [cache.digest(folder, "1")]
    digests.append(cache.digest(folder, "2"))
    file.write_text("class B {}")
    digests.append(cache.digest(folder, "1"))
    file.rename(folder / "b.java")
    digests.append(cache.digest(folder, "1"))
    assert len(set(digests)) == 4
    assert cache.digest(folder, "1") == digests[-1]
