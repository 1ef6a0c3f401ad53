"""Workers are killed at random and at every event: nothing is lost, nothing is paid for twice."""

import asyncio
import random
import signal
from pathlib import Path

import pytest

from agent_lab.contracts import RunRequest
from agent_lab.errors import RunStateError
from agent_lab.lab import Lab
from tests.chaos.campaign import conduct, conduct_every_event
from tests.chaos.figures import Figures, examine
from tests.chaos.stage import debates, staged
from tests.postgres import PostgresServer

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(900)]


def assert_kept(figures: Figures, kills: int) -> None:
    assert not figures.broken(), f"{figures.table()}\n{figures.broken()}"
    assert figures.kills == kills


async def test_twenty_kills_lose_no_run_and_pay_no_turn_twice(tmp_path: Path):
    figures = Figures("sqlite")
    await conduct(tmp_path, 20, figures)
    assert_kept(figures, 20)


async def test_five_kills_on_postgres_lose_no_run_and_pay_no_turn_twice(
    tmp_path: Path, durable_url: str
):
    figures = Figures("postgres")
    await conduct(tmp_path, 5, figures, database=durable_url)
    assert_kept(figures, 5)


async def test_workers_that_start_the_same_runs_and_take_up_each_others_keep_them_apart(
    tmp_path: Path,
):
    figures = Figures("sqlite")
    await conduct(tmp_path, 10, figures, workers=2, seed=2)
    assert_kept(figures, 10)


async def test_workers_on_one_server_keep_runs_apart(tmp_path: Path, durable_url: str):
    figures = Figures("postgres")
    await conduct(tmp_path, 5, figures, database=durable_url, workers=2, seed=3)
    assert_kept(figures, 5)


async def test_a_kill_at_any_event_and_before_any_turn_is_survived(tmp_path: Path):
    figures = Figures("sqlite")
    await conduct_every_event(tmp_path, figures)
    assert_kept(figures, figures.runs)


async def test_a_kill_while_the_database_is_made_leaves_one_that_can_be_used(tmp_path: Path):
    chance = random.Random(4)  # noqa: S311 - moments, no secrets
    async with staged(tmp_path) as stage:
        for number in range(12):
            own = debates(1, f"birth-{number}")
            url = f"sqlite:///{tmp_path / f'{number}.db'}"
            worker = await stage.spawn(own, database=url)
            await asyncio.sleep(chance.uniform(0, 0.3))
            await worker.process.kill()
            said = await stage.finish(own, database=url)
            assert list(said["runs"].values()) == ["completed"]


async def test_a_turn_that_kills_its_process_three_times_is_given_up(tmp_path: Path):
    async with staged(tmp_path) as stage:
        (debate,) = own = debates(1, "deadly")
        for begun_before in (1, 0, 0):
            stage.upstream.count_anew()
            worker = await stage.spawn(own)

            def kill(number: int, begun_before: int = begun_before) -> None:
                if number > begun_before:
                    worker.process.send(signal.SIGKILL)  # noqa: B023 - of this pass

            stage.upstream.on_request = kill
            assert await worker.process.gone == -signal.SIGKILL
        stage.upstream.count_anew()
        await stage.finish(own)
        log = stage.books.read([debate.key]).logs[debate.key]
        lost = log.turns["challenger", 0, 0]
        assert lost.starts == 3
        assert lost.asked.error is not None
        assert lost.asked.error.code == "turn_lost"
        assert log.row.status == "completed"
        assert not stage.unannounced(own)


async def test_a_run_that_is_taken_up_from_two_sides_in_one_process_is_executed_once(
    scripted_lab: Lab,
):
    async with scripted_lab as lab:
        run_id = await lab.runs.start(RunRequest(flow="challenge", input="Say it twice."))
        await lab.runs.cancel(run_id)
        twice = (lab.runs.resume(run_id), lab.runs.resume(run_id))
        said = await asyncio.gather(*twice, return_exceptions=True)
        assert {type(each) for each in said} == {RunStateError, str}
        assert (await lab.runs.wait(run_id)).status == "completed"


async def test_a_postgres_server_that_restarts_in_mid_run_loses_nothing(
    tmp_path: Path, durable_postgres: PostgresServer, durable_url: str
):
    figures = Figures("postgres")
    async with staged(tmp_path, durable_url) as stage:
        own = debates(6, "restart")
        restarts: set[asyncio.Future[None]] = set()

        def restart(number: int) -> None:
            if number in (8, 24):
                work = asyncio.to_thread(durable_postgres.restart, "immediate")
                restarts.add(asyncio.ensure_future(work))

        worker = await stage.spawn(own)
        stage.upstream.on_request = restart
        if await worker.process.gone != 0:  # its runs are gone on with
            assert worker.said()["error"] == "storage_error", worker.log()
            await asyncio.gather(*restarts)
            figures.in_flight += stage.take_stock(own).in_flight
            await stage.finish(own)
        await asyncio.gather(*restarts)
        assert len(restarts) == 2
        await examine(stage, own, figures)
    assert not figures.broken(), f"{figures.broken()}\n{worker.log()}"
