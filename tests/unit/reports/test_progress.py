"""Following a climb: what is under way, and what is certain when it is cut short."""

from __future__ import annotations

import asyncio
from io import StringIO

from rich.console import Console

from connectivity_operator.diagnosis.ladder import Climb, Notes, RungOutcome, Step, climb
from connectivity_operator.diagnosis.listening import listening
from connectivity_operator.reasons import Result, Rung, Service
from connectivity_operator.reports import live
from connectivity_operator.reports.progress import Progress

PLAN = {Service.KAFKA: (Rung.CONFIGURATION, Rung.DNS, Rung.TCP)}


def outcome(rung: Rung, result: Result = Result.PASSED) -> RungOutcome:
    return RungOutcome(rung, result, 0.1)


def step(progress: Progress, rung: Rung, result: Result = Result.PASSED) -> None:
    progress.begun(Service.KAFKA, rung)
    progress.ended(Service.KAFKA, outcome(rung, result))


def so_far(progress: Progress) -> list[Result]:
    [climbed] = progress.climbs()
    assert climbed.failure is None
    return [o.result for o in climbed.outcomes]


def test_rungs_under_way_are_skipped_when_it_is_cut_short() -> None:
    """Only what has passed counts; the ladder keeps its length."""
    progress = Progress(PLAN)
    step(progress, Rung.CONFIGURATION)
    progress.begun(Service.KAFKA, Rung.DNS)
    assert so_far(progress) == [Result.PASSED, Result.SKIPPED, Result.SKIPPED]
    assert progress.unfinished == (Service.KAFKA,)


def test_a_rung_has_passed_when_all_that_climb_it_have() -> None:
    """Several brokers are climbed side by side."""
    progress = Progress(PLAN)
    step(progress, Rung.CONFIGURATION)
    progress.begun(Service.KAFKA, Rung.DNS)
    step(progress, Rung.DNS)
    assert so_far(progress)[1] is Result.SKIPPED
    progress.ended(Service.KAFKA, outcome(Rung.DNS))
    assert so_far(progress)[1] is Result.PASSED


def test_a_failure_is_no_verdict_before_the_ladder_has_come_to_its_end() -> None:
    """One broker of many may fail."""
    progress = Progress(PLAN)
    step(progress, Rung.CONFIGURATION)
    step(progress, Rung.DNS, Result.FAILED)
    assert so_far(progress) == [Result.PASSED, Result.SKIPPED, Result.SKIPPED]


def test_what_is_done_keeps_its_climb_and_its_time() -> None:
    """The clock of a service stops with it."""
    now = [0.0]
    progress = Progress(PLAN, clock=lambda: now[0])
    whole = Climb(Service.KAFKA, (outcome(Rung.CONFIGURATION),))
    now[0] = 2.0
    progress.done(whole)
    now[0] = 9.0
    assert progress.climbs() == [whole]
    assert progress.unfinished == ()
    assert progress.rows()[0].seconds == 2.0


def test_the_shared_identitys_own_climb_is_nobodys_progress() -> None:
    """Each ladder has a rung for it."""
    progress = Progress(PLAN)
    progress.begun(Service.IDENTITY, Rung.IDENTITY)
    progress.ended(Service.IDENTITY, outcome(Rung.IDENTITY))
    assert [row.service for row in progress.rows()] == [Service.KAFKA]


async def test_a_listener_hears_the_steps_of_tasks_made_while_it_listens() -> None:
    """Also of those that others make, such as shared probes; and no more afterwards."""
    progress = Progress(PLAN)
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def wait(_: Notes) -> None:
        reached.set()
        await go_on.wait()

    async def pass_(_: Notes) -> None: ...

    steps = [Step(Rung.CONFIGURATION, pass_, 1.0), Step(Rung.DNS, wait, 10.0)]
    with listening(progress):
        task = asyncio.create_task(climb(Service.KAFKA, steps))
        await reached.wait()
        assert progress.rows()[0].current is Rung.DNS
        go_on.set()
        await task
    await climb(Service.KAFKA, [Step(Rung.TCP, pass_, 1.0)])
    assert so_far(progress) == [Result.PASSED, Result.PASSED, Result.SKIPPED]


def test_nothing_is_shown_where_there_is_no_terminal() -> None:
    """Neither in a pipe nor in a log."""
    stream = StringIO()
    with live.shown(Progress(PLAN), Console(file=stream)):
        pass
    assert stream.getvalue() == ""


def test_on_a_terminal_the_rung_is_named_and_nothing_is_left() -> None:
    """It is erased line by line at its end."""
    stream = StringIO()
    progress = Progress(PLAN)
    progress.begun(Service.KAFKA, Rung.CONFIGURATION)
    with live.shown(progress, Console(file=stream, force_terminal=True, width=80)):
        pass
    assert "Kafka" in stream.getvalue()
    assert "configuration" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K")
