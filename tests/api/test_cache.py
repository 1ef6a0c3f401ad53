"""The answer cache over HTTP: asked for by a request, shown, and emptied."""

from typing import Any

import pytest

from tests.api.conftest import Served

GREEDY = {"prompt": "hi", "model": "first", "temperature": 0}


async def clear(served: Served, **query: str) -> tuple[int, Any]:
    async with served.http.delete("/api/cache", params=query) as answer:
        return answer.status, await answer.json()


async def hits(served: Served, *bodies: dict[str, Any]) -> list[bool]:
    return [(await served.post("/api/inference", b))[1]["metrics"]["cache_hit"] for b in bodies]


async def test_an_empty_cache_shows_its_limits(served: Served):
    status, shown = await served.get("/api/cache")
    assert status == 200
    assert shown == {
        "entries": 0,
        "bytes": 0,
        "max_entries": 10_000,
        "max_bytes": 64_000_000,
        "ttl_s": 0.0,
        "hits": 0,
        "misses": 0,
        "waits": 0,
    }


async def test_what_is_kept_and_how_it_helped_is_shown(served: Served):
    assert await hits(served, GREEDY, GREEDY, {**GREEDY, "model": "second"}) == [False, True, False]
    _, shown = await served.get("/api/cache")
    assert (shown["entries"], shown["hits"], shown["misses"]) == (2, 1, 2)
    assert shown["bytes"] > 0
    async with served.http.get("/metrics") as answer:
        text = await answer.text()
    assert 'lab_cache_hits_total{model="first",provider="scripted"} 1.0' in text


async def test_a_request_decides_whether_a_stored_answer_will_do(served: Served):
    lively = {**GREEDY, "temperature": 1}
    bodies = [lively, lively, *({**lively, "cache": "on"} for _ in range(2))]
    assert await hits(served, *bodies) == [False, False, False, True]
    assert await hits(served, GREEDY, {**GREEDY, "cache": "off"}) == [False, False]
    status, refused = await served.post("/api/inference", {**GREEDY, "cache": "never"})
    assert (status, refused["error"]["code"]) == (422, "invalid_request")


async def test_a_stored_answer_is_told_from_one_that_cost_something(served: Served):
    _, first = await served.post("/api/inference", GREEDY)
    _, stored = await served.post("/api/inference", GREEDY)
    assert stored["output"] == first["output"]
    assert (stored["usage"]["cost_usd"], stored["metrics"]["tokens_generated"]) == (0.0, 0)
    assert (len(first["attempts"]), stored["attempts"]) == (1, [])


async def test_an_emptied_cache_asks_anew(served: Served):
    await hits(served, GREEDY)
    assert await clear(served) == (200, {"dropped": 1})
    assert await clear(served) == (200, {"dropped": 0})
    assert await hits(served, GREEDY) == [False]


async def test_the_answers_of_one_model_can_be_forgotten(served: Served):
    other = {**GREEDY, "model": "second"}
    await hits(served, GREEDY, other)
    assert await clear(served, model="first") == (200, {"dropped": 1})
    assert await hits(served, GREEDY, other) == [False, True]


@pytest.mark.parametrize("name", ["firs", ""])
async def test_a_model_that_there_is_not_is_refused_and_nothing_is_forgotten(
    served: Served, name: str
):
    await hits(served, GREEDY)
    status, refused = await clear(served, model=name)
    assert (status, refused["error"]["code"]) == (400, "unknown_model")
    assert (await served.get("/api/cache"))[1]["entries"] == 1
