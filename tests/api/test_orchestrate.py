"""`POST /api/orchestrate`: the first lab's request and answer, on turns that were really taken."""

from pathlib import Path
from typing import Any

import pytest

from agent_lab.api.wire.orchestrate import OrchestrateResponse
from agent_lab.config import Settings
from agent_lab.errors import ProviderUnavailableError
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.graph_configs import FLOW_CONFIGS
from agent_lab.providers.local.scripted_provider import ScriptedProvider, ScriptedReply
from tests.api.conftest import DEBATE, Serve, Served

OF_THE_DOCUMENT = {
    "prompt": "Explain quantum computing",
    "strategy": "optimized",
    "max_tokens": 500,
}
PATHS = ("/api/orchestrate", "/orchestrate", "/api/orchestrate/", "/orchestrate/")


@pytest.mark.parametrize("path", PATHS)
async def test_the_documents_own_request_is_answered(served: Served, path: str):
    status, answer = await served.post(path, OF_THE_DOCUMENT)
    assert status == 200
    assert OrchestrateResponse.model_validate(answer).success
    assert answer["output"] == "the final answer"
    assert answer["flow"]["edges"] == [
        {"source": "creator", "target": "challenger"},
        {"source": "challenger", "target": "refiner"},
    ]
    assert [node["output"] for node in answer["flow"]["nodes"]] == list(DEBATE.values())
    assert answer["metrics"]["total_time_sec"] == answer["metrics"]["total_time"]


async def test_what_was_asked_for_reaches_the_models(serve: Serve):
    provider = ScriptedProvider(DEBATE)
    request = {
        **OF_THE_DOCUMENT,
        "model": "second",
        "models": {"refiner": "third"},
        "temperature": 0.1,
        "seed": 7,
        "lang": "es",
        "attachments": [{"name": "notes.md", "text": "remember the milk"}],
    }
    async with serve(provider) as served:
        status, _ = await served.post("/api/orchestrate", request)
    assert status == 200
    assert [call.model.key for call in provider.calls] == ["second", "second", "third"]
    for call in provider.calls:
        assert call.params["temperature"] == 0.1
        assert call.params["max_tokens"] == 500
        assert call.params["seed"] == 7
        prompt = call.messages[-1].content
        assert "# Tarea\n\nExplain quantum computing" in prompt
        assert "remember the milk" in prompt


async def test_the_run_is_saved_under_the_id_of_the_answer(served: Served, settings: Settings):
    _, answer = await served.post("/api/orchestrate", OF_THE_DOCUMENT)
    assert (settings.outputs_dir / "challenge_flows" / f"{answer['id']}.json").exists()


async def test_outputs_are_cut_and_prompts_left_out_unless_it_is_verbose(serve: Serve):
    long = "word " * 100
    async with serve(lambda call: long) as served:
        _, short = await served.post("/api/orchestrate", {"prompt": "Why?"})
        _, whole = await served.post("/api/orchestrate", {"prompt": "Why?", "verbose": True})
    for node in short["flow"]["nodes"]:
        assert len(node["output"]) == 200
        assert node["full_content_length"] == len(long)
        assert "prompt" not in node
    for node in whole["flow"]["nodes"]:
        assert node["output"] == long
        assert "Why?" in node["prompt"][-1]["content"]


async def test_a_degraded_run_is_an_answer_that_says_so(serve: Serve):
    script = {**DEBATE, "challenger": TimeoutError()}
    async with serve(script) as served:
        status, answer = await served.post("/api/orchestrate", {"prompt": "Why?"})
    assert status == 200
    assert answer["success"]
    assert answer["output"] == "the final answer"
    assert "`challenger` failed" in answer["degraded"][0]
    assert [n["status"] for n in answer["flow"]["nodes"]] == ["completed", "failed", "completed"]


async def test_row_5_an_unknown_flow_is_an_error(served: Served):
    status, answer = await served.post("/api/orchestrate", {"prompt": "x", "flow_type": "chalenge"})
    assert status == 400
    assert answer["success"] is False
    assert answer["error"]["code"] == "unknown_flow"
    assert "did you mean `challenge`" in answer["error"]["message"]
    assert answer["error"]["details"]["known"] == list(FLOW_CONFIGS)
    status, _ = await served.get("/api/flows/chalenge")
    assert status == 404


async def test_row_7_times_are_those_of_the_turns_and_figures_are_their_sums(
    served: Served, settings: Settings
):
    _, answer = await served.post("/api/orchestrate", OF_THE_DOCUMENT)
    record = await _saved(settings, answer["id"])
    nodes = answer["flow"]["nodes"]
    assert len(nodes) == len(record["turns"]) == 3
    moments = [moment for node in nodes for moment in (node["start_time"], node["end_time"])]
    assert moments == sorted(moments)
    assert moments != [float(round(moment)) for moment in moments]
    for node, turn in zip(nodes, record["turns"], strict=True):
        assert node["end_time"] - node["start_time"] == pytest.approx(turn["seconds"])
        assert node["timestamp"] == turn["started_at"].replace("Z", "+00:00")
        assert node["tokens_generated"] == turn["completion_tokens"] > 0
    metrics = answer["metrics"]
    assert metrics["total_time"] >= moments[-1]
    assert metrics["tokens_generated"] == sum(t["completion_tokens"] for t in record["turns"])


async def test_row_7_a_run_without_an_answer_has_an_error_status(serve: Serve):
    script: dict[str, Any] = {
        **DEBATE,
        "creator": ProviderUnavailableError("The model is gone.", hint="Wait."),
    }
    async with serve(script) as served:
        status, answer = await served.post("/api/orchestrate", {"prompt": "Why?"})
    assert status == 503
    assert answer["success"] is False
    assert answer["output"] == ""
    assert answer["error"]["code"] == "provider_unavailable"
    assert answer["error"]["hint"] == "Wait."
    assert answer["error"]["request_id"]
    assert [n["status"] for n in answer["flow"]["nodes"]] == ["failed", "skipped", "skipped"]


async def test_row_10_no_run_sees_another_run(serve: Serve):
    provider = ScriptedProvider(DEBATE)
    async with serve(provider) as served:
        await served.post("/api/orchestrate", {"prompt": "My password is swordfish"})
        status, answer = await served.post(
            "/api/orchestrate", {"prompt": "What is my password?", "enable_history": True}
        )
    assert status == 200
    assert answer["dropped_params"] == ["enable_history"]
    for call in provider.calls[3:]:
        assert "swordfish" not in "".join(message.content for message in call.messages)


@pytest.mark.parametrize(
    "field",
    [
        {"rag_config": {"top_k": 3}},
        {"retrieval_config": {"index": "docs"}},
        {"embedding_model": "bge"},
        {"vector_store": "faiss"},
    ],
    ids=lambda field: next(iter(field)),
)
async def test_row_12_retrieval_is_refused_never_mocked(serve: Serve, field: dict[str, Any]):
    provider = ScriptedProvider(DEBATE)
    async with serve(provider) as served:
        status, answer = await served.post("/api/orchestrate", {"prompt": "x", **field})
    assert status == 422
    assert f"`{next(iter(field))}`" in answer["error"]["message"]
    assert "`attachments`" in answer["error"]["message"]
    assert provider.calls == []


async def test_row_12_a_retrieval_flow_is_unknown(served: Served):
    status, _ = await served.post("/api/orchestrate", {"prompt": "x", "flow_type": "rag_simple"})
    assert status == 400


async def test_row_13_fields_that_change_nothing_are_listed_as_dropped(served: Served):
    given = {"agents": ["a"], "tools": [{"name": "t"}], "retry_on_error": True}
    status, answer = await served.post("/api/orchestrate", {"prompt": "x", **given})
    assert status == 200
    assert answer["dropped_params"] == ["agents", "retry_on_error", "tools"]


@pytest.mark.parametrize(
    ("flow", "given", "chosen", "dropped"),
    [
        ("linear", {"enable_history": True}, {"read_history": True}, []),
        ("linear", {"enable_history": False}, {"read_history": False}, []),
        ("linear", {"retry_on_error": True}, {}, []),
        ("linear", {"retry_on_error": False}, {"retries": 0}, []),
        ("linear", {"retry_on_error": False, "inputs": {"retries": 1}}, {"retries": 1}, []),
        (
            "linear",
            {"enable_history": True, "inputs": {"read_history": False}},
            {"read_history": False},
            ["enable_history"],
        ),
        ("challenge", {"enable_history": True}, {}, ["enable_history"]),
        ("challenge", {"enable_history": False, "retry_on_error": False}, {}, []),
    ],
)
async def test_row_13_the_first_labs_switches_are_inputs_where_the_flow_has_them(
    serve: Serve, settings: Settings, flow: str, given: Any, chosen: Any, dropped: list[str]
):
    async with serve(lambda call: "An answer.") as served:
        status, answer = await served.post(
            "/api/orchestrate", {"prompt": "Why?", "flow_type": flow, **given}
        )
    assert status == 200
    assert answer["dropped_params"] == dropped
    record = await _saved(settings, answer["id"], flow)
    assert record["options"]["inputs"] == chosen


async def test_an_input_that_a_flow_cannot_take_is_an_error(served: Served):
    body = {"prompt": "x", "inputs": {"rounds": 0, "round": 2}}
    status, answer = await served.post("/api/orchestrate", body)
    assert status == 422
    assert "`rounds` is `0`" in answer["error"]["message"]
    assert "did you mean `rounds`" in answer["error"]["message"]


@pytest.mark.parametrize("flow", list(FLOW_CONFIGS))
async def test_every_shipped_flow_is_answered_in_the_same_form(serve: Serve, flow: str):
    async with serve(lambda call: "An answer.") as served:
        status, answer = await served.post(
            "/api/orchestrate", {"prompt": "Why?", "flow_type": flow}
        )
    assert status == 200
    view = OrchestrateResponse.model_validate(answer)
    assert view.output == "An answer."
    assert {node.id for node in view.flow.nodes} == {
        n.id for n in plan_flow(FLOW_CONFIGS[flow]).nodes
    }
    assert set(view.outputs) == set(FLOW_CONFIGS[flow].outputs)


async def test_issues_and_why_the_run_ended_are_told(serve: Serve):
    script = {
        "creator": "the draft",
        "challenger": '[high] "draft": it is one; finish it.',
        "refiner": "the final answer\nC1 fixed: finished",
    }
    async with serve(script) as served:
        _, answer = await served.post("/api/orchestrate", {"prompt": "Why?"})
    view = OrchestrateResponse.model_validate(answer)
    assert [(issue.id, issue.severity, issue.status) for issue in view.issues] == [
        ("C1", "high", "fixed")
    ]
    assert (view.stop_reason, view.outputs) == ("issues_closed", {"open_issues": 0})


@pytest.mark.parametrize(
    ("budget", "reason"), [({"calls": 2}, "budget"), ({"tokens": 5000}, "budget")]
)
async def test_a_limit_ends_a_run_with_the_best_answer_so_far(
    served: Served, budget: Any, reason: str
):
    inputs = {"rounds": 50}
    status, answer = await served.post(
        "/api/orchestrate", {"prompt": "Why?", "inputs": inputs, "budget": budget}
    )
    assert status == 200
    assert answer["success"]
    assert answer["stop_reason"] == reason


async def test_row_13_the_first_labs_defaults_are_taken_without_a_word(served: Served):
    defaults = {
        "agents": [],
        "tools": [],
        "verbose": False,
        "enable_history": False,
        "retry_on_error": False,
        "rag_config": {},
        "embedding_model": None,
        "vector_store": None,
        "retrieval_config": {},
    }
    status, answer = await served.post("/api/orchestrate", {"prompt": "x", **defaults})
    assert status == 200
    assert answer["dropped_params"] == []


@pytest.mark.parametrize("path", ["/api/orchestrate", "/api/inference"])
async def test_row_13_an_unknown_field_is_refused(served: Served, path: str):
    status, answer = await served.post(path, {"prompt": "x", "temprature": 0.1})
    assert status == 422
    assert "`temprature`" in answer["error"]["message"]


async def test_row_13_what_a_model_does_not_take_is_listed(
    settings: Settings, serve: Serve, tmp_path: Path
):
    from agent_lab.config import load_settings
    from agent_lab.lab import build

    file = tmp_path / "models.toml"
    file.write_text(
        '[models.stubborn]\nprovider = "scripted"\ncontext_window = 4096\n'
        'unsupported_params = ["temperature"]\n[models.stubborn.options.answers]\ndefault = "ok"\n'
    )
    mine = load_settings(
        models_file=file, default_model="stubborn", outputs_dir=settings.outputs_dir
    )
    async with serve(lab=build(mine)) as served:
        _, run = await served.post("/api/orchestrate", {"prompt": "x", "temperature": 0.3})
        _, direct = await served.post("/api/inference", {"prompt": "x", "temperature": 0.3})
    assert run["dropped_params"] == direct["dropped_params"] == ["temperature"]


async def test_a_role_that_the_flow_does_not_have_is_an_error(served: Served):
    status, answer = await served.post(
        "/api/orchestrate", {"prompt": "x", "models": {"judge": "first"}}
    )
    assert status == 400
    assert answer["error"]["code"] == "unknown_role"


async def test_a_cut_answer_says_so(serve: Serve):
    cut = ScriptedReply("half of it", finish_reason="length")
    async with serve(lambda call: cut) as served:
        _, answer = await served.post("/api/inference", {"prompt": "x"})
    assert answer["finish_reason"] == "length"


async def _saved(settings: Settings, run_id: str, flow: str = "challenge") -> Any:
    import json

    path = settings.outputs_dir / f"{flow}_flows" / f"{run_id}.json"
    return json.loads(path.read_text("utf-8"))
