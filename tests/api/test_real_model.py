"""The server with a real model behind it."""

import asyncio

import pytest

from agent_lab.api.server import create_app
from agent_lab.config import Settings, load_settings
from agent_lab.contracts import JsonObject
from tests.api.conftest import LONGEST_WAIT_S, each_event, serving

SMALLEST = "smollm2-135m"
pytestmark = pytest.mark.weights(SMALLEST)


@pytest.fixture
def real(settings: Settings) -> Settings:
    return load_settings(
        default_model=SMALLEST, outputs_dir=settings.outputs_dir, home=settings.home
    )


async def answer_in_which_all_spoke(real: Settings) -> JsonObject:
    """A server's first answer; a model this small now and then ends before it begins."""
    body = {"prompt": "Explain quantum computing", "strategy": "optimized", "max_tokens": 16}
    for seed in range(20):
        async with serving(create_app(real)) as served:
            status, answer = await served.post("/api/orchestrate", {**body, "seed": seed})
            _, resources = await served.get("/api/system/resources")
        assert status == 200
        assert resources["loaded_models"] == [SMALLEST]
        if all(node["status"] == "completed" for node in answer["flow"]["nodes"]):
            spoken: JsonObject = answer
            return spoken
    pytest.fail("with none of 20 seeds did all three roles say something")


async def test_the_documents_own_request_is_answered_with_real_times(real: Settings):
    answer = await answer_in_which_all_spoke(real)
    nodes = answer["flow"]["nodes"]
    assert len(nodes) == 3
    assert [node["model"] for node in nodes] == [SMALLEST] * 3
    for earlier, later in zip(nodes, nodes[1:], strict=False):
        assert earlier["start_time"] < earlier["end_time"] <= later["start_time"]
    assert answer["metrics"]["model_warm_rate"] == pytest.approx(2 / 3)
    assert answer["metrics"]["load_time"] > 0
    assert answer["metrics"]["total_time"] >= nodes[-1]["end_time"]


async def test_cutting_a_stream_frees_the_model(real: Settings):
    endless = {"prompt": "Count to one million.", "max_tokens": 4000, "stream": True}
    async with serving(create_app(real)) as served, asyncio.timeout(3 * LONGEST_WAIT_S):
        response = await served.http.post("/api/orchestrate", json=endless)
        async for _, data in each_event(response):
            if data["type"] == "TEXT_MESSAGE_CONTENT":
                response.close()
                break
        # The model answers one chat at a time: this one begins when the other has stopped.
        status, answer = await served.post("/api/inference", {"prompt": "Hi", "max_tokens": 4})
    assert status == 200
    assert answer["usage"]["completion_tokens"] <= 4
