"""The first lab's flows are refused for what was wrong with them, and run once that is mended.

One test a row of the list of its defects (deliberation.md 1.1) that concerns flows; rows 1, 2, 3, 8
and 11 have further ones of the whole debate in tests/e2e.
"""

import copy
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agent_lab.config import load_settings
from agent_lab.contracts import ErrorInfo, RunRecord, RunRequest, Turn
from agent_lab.deliberation.ballots.ballot import Tally
from agent_lab.deliberation.context import shared_head
from agent_lab.deliberation.issues import Issue
from agent_lab.deliberation.trajectory import Flip
from agent_lab.deliberation.votes import Vote
from agent_lab.errors import InvalidFlowError, UnknownFlowError
from agent_lab.flows.catalogue import Catalogue
from agent_lab.flows.flow_plan import plan_flow
from agent_lab.flows.flow_validator import read_flow, validate
from agent_lab.flows.graph_configs import FLOW_CONFIGS, FlowConfig, NodeConfig, get_flow_config
from agent_lab.orchestrator.agent_state import AgentState, CastBallot, StateUpdate, new_state
from agent_lab.orchestrator.flow_runner import run_flow
from agent_lab.orchestrator.graph_builder import GraphBuilder, build_routing_graph
from agent_lab.orchestrator.model_facts import with_models
from agent_lab.orchestrator.node_types import NODES
from agent_lab.orchestrator.outcome import FlowOutcome
from agent_lab.orchestrator.run_context import RunContext
from agent_lab.orchestrator.run_recorder import Collector
from agent_lab.providers.local.scripted_provider import Script, ScriptedProvider
from agent_lab.providers.provider_gateway import ProviderGateway
from agent_lab.runs.service import RunService
from tests.conftest import FIXED_SECRET, service_of
from tests.flows.catalogues import Json, flow, group, subflow

TASK = "Diseña una función que calcule la media."
HOSTILE = '{"a": 1} {x.__class__} {user_input} {{task}} {security_expert_output} {0}'
THREE = ("smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b")
"""Model keys that the registry has."""


def role(node_id: str, name: str, prompt: str) -> Json:
    """A node as the first lab wrote it."""
    return {
        "id": node_id,
        "type": "execution",
        "name": name,
        "prompt_template": prompt,
        "model_hint": "mistral7b",
        "config": {"temperature": 0.7},
    }


def edge(source: str, target: str) -> Json:
    return {"source": source, "target": target, "condition": None}


CHALLENGE: Json = {
    "name": "challenge",
    "description": "Un creador propone, un crítico ataca y un refinador mejora la solución.",
    "nodes": [
        role("creator", "Creador", "Crea una solución completa para esta tarea:\n{input}"),
        role("challenger", "Crítico", "Encuentra los fallos de:\n{previous_output}"),
        role("refiner", "Refinador", "Mejora la solución con esta crítica:\n{previous_output}"),
    ],
    "edges": [edge("creator", "challenger"), edge("challenger", "refiner")],
    "entry_point": "creator",
}
EXPERTS = ("security_expert", "performance_expert", "usability_expert")
MULTI_PERSPECTIVE: Json = {
    "name": "multi_perspective",
    "description": "Varios expertos analizan la tarea y un sintetizador une sus respuestas.",
    "nodes": [
        role("security_expert", "Seguridad", "Analiza la seguridad de:\n{input}"),
        role("performance_expert", "Rendimiento", "Analiza el rendimiento de:\n{input}"),
        role("usability_expert", "Usabilidad", "Analiza la usabilidad de:\n{input}"),
        role(
            "synthesizer",
            "Sintetizador",
            "Seguridad: {security_output}\nRendimiento: {performance_output}\n"
            "Usabilidad: {usability_output}\nUne las tres respuestas.",
        ),
    ],
    "edges": [
        *(edge("splitter", expert) for expert in EXPERTS),
        *(edge(expert, "synthesizer") for expert in EXPERTS),
    ],
    "entry_point": "splitter",
}


@pytest.fixture(scope="module")
def found() -> Catalogue:
    """What a lab that nobody has configured knows, with the models of its registry."""
    gateway = ProviderGateway.from_settings(load_settings())
    return with_models(GraphBuilder().catalogue(), gateway)


class Told(NamedTuple):
    """A fault, without its severity."""

    code: str
    node: str
    field: str
    reason: str
    fix: str


def faults(content: Json, catalogue: Catalogue) -> list[Told]:
    report = validate(content, catalogue)
    assert report.faults == report.errors
    return [Told(f.code, f.node, f.field, f.reason, f.fix) for f in report.faults]


def changed(content: Json, **prompts: str) -> Json:
    """The same flow with other prompts."""
    copied = copy.deepcopy(content)
    for node in copied["nodes"]:
        node["prompt_template"] = prompts.get(node["id"], node["prompt_template"])
    return copied


def mended(content: Json, models: tuple[str, ...] = THREE, **prompts: str) -> Json:
    """The same flow with models that there are, and temperatures where they are read."""
    copied = changed(content, **prompts)
    for index, (node, model) in enumerate(zip(copied["nodes"], itertools.cycle(models))):
        node |= {"model_hint": model, "config": {}, "temperature": round(0.1 + 0.2 * index, 1)}
        node["prompt_template"] = node["prompt_template"].replace("{input}", "{user_input}")
    return copied


def mended_challenge(models: tuple[str, ...] = THREE) -> Json:
    asks = "Mejora la solución:\n{creator_output}\ncon esta crítica:\n{previous_output}"
    return mended(CHALLENGE, models, refiner=asks)


def mended_multi_perspective(models: tuple[str, ...] = THREE) -> Json:
    asks = "\n".join(f"{{{expert}_output}}" for expert in EXPERTS)
    content = mended(MULTI_PERSPECTIVE, models, synthesizer=f"{asks}\nUne las respuestas.")
    # The first lab's type `splitter`; as it was written, but that the node is there.
    splitter = {"id": "splitter", "type": "splitter", "name": "Divisor", "config": {}}
    return {**content, "nodes": [splitter, *content["nodes"]]}


async def play(
    content: Json | FlowConfig,
    script: Script,
    task: str = TASK,
    *,
    builder: GraphBuilder | None = None,
    **request: Any,
) -> tuple[FlowOutcome, Sequence[Turn], ScriptedProvider]:
    """Run a flow on scripted turns of three models."""
    config = content if isinstance(content, FlowConfig) else read_flow(content)
    provider, collector = ScriptedProvider(script), Collector()

    async def no_time(seconds: float) -> None:
        pass

    context = RunContext(
        gateway=ProviderGateway.scripted(provider, THREE),
        request=RunRequest.parse({"flow": config.name, "input": task, **request}),
        seed=1,
        secret=FIXED_SECRET,
        recorder=collector,
        sleep=no_time,
    )
    outcome = await run_flow(config, context, lang="es", request_id="a run", builder=builder)
    return outcome, collector.turns, provider


def prompts(turns: Sequence[Turn]) -> dict[str, str]:
    """By path: the last prompt that was sent."""
    return {turn.path: turn.messages[-1].content for turn in turns}


DEBATE = {"creator": "el borrador", "challenger": "la crítica", "refiner": "la respuesta"}
VIEWS = {expert: f"lo que dice {expert}" for expert in EXPERTS} | {"synthesizer": "la síntesis"}

# --- the flows as they were ---------------------------------------------------------------------


def of_every_role(content: Json) -> list[Told]:
    """What was wrong with the configuration of every node alike."""
    return [
        Told(
            "wrong_config",
            node["id"],
            "config.temperature",
            "`temperature` in `config` would be ignored.",
            "Write it as `temperature` of the node itself.",
        )
        for node in content["nodes"]
    ]


def nameless(node: str, name: str, fix: str) -> Told:
    reason = f"Nothing is called `{{{name}}}`."
    return Told("unknown_name", node, "prompt_template", reason, fix)


def test_the_first_labs_challenge_is_refused_and_every_cause_is_named(found: Catalogue):
    told = faults(CHALLENGE, found)
    assert [(fault.code, fault.node) for fault in told] == [
        ("wrong_config", "creator"),
        ("wrong_config", "challenger"),
        ("wrong_config", "refiner"),
        ("unknown_name", "creator"),
        ("refiner_without_draft", "refiner"),
    ]
    assert told[:3] == of_every_role(CHALLENGE)
    assert told[3] == nameless("creator", "input", "Did you mean `user_input`?")


def test_the_first_labs_multi_perspective_is_refused_and_every_cause_is_named(found: Catalogue):
    told = faults(MULTI_PERSPECTIVE, found)
    assert [(fault.code, fault.node or fault.field) for fault in told] == [
        ("unknown_node", "entry_point"),
        ("unknown_node", "edges[0]"),
        ("unknown_node", "edges[1]"),
        ("unknown_node", "edges[2]"),
        *(("wrong_config", node["id"]) for node in MULTI_PERSPECTIVE["nodes"]),
        *(("unknown_name", expert) for expert in EXPERTS),
        ("unknown_name", "synthesizer"),
        ("unknown_name", "synthesizer"),
        ("unknown_name", "synthesizer"),
    ]


@pytest.mark.parametrize("content", [CHALLENGE, MULTI_PERSPECTIVE], ids=lambda f: f["name"])
async def test_a_refused_flow_is_never_run(content: Json):
    with pytest.raises(InvalidFlowError) as caught:
        await play(content, lambda call: "x")
    assert caught.value.http_status == 422
    assert caught.value.flow == content["name"]


@pytest.mark.parametrize(
    ("content", "script", "answer"),
    [
        (mended_challenge(), DEBATE, "la respuesta"),
        (mended_multi_perspective(), VIEWS, "la síntesis"),
    ],
    ids=["challenge", "multi_perspective"],
)
async def test_once_mended_it_is_valid_and_runs(
    found: Catalogue, content: Json, script: Script, answer: str
):
    assert faults(content, found) == []
    outcome, turns, _ = await play(content, script)
    assert (outcome.output, outcome.degraded, outcome.error) == (answer, (), None)
    assert {turn.role for turn in turns} == set(script)  # type: ignore[arg-type]


# --- row 1: what nodes return is lost -----------------------------------------------------------


def test_row_1_a_refiner_that_never_gets_the_draft_is_refused(found: Catalogue):
    (fault,) = [f for f in faults(CHALLENGE, found) if f.code == "refiner_without_draft"]
    assert fault == Told(
        "refiner_without_draft",
        "refiner",
        "prompt_template",
        "The refiner never gets the draft: its prompt holds the task and `challenger`.",
        "Ask for `{creator_output}`.",
    )


EVERYTHING: StateUpdate = {
    "outputs": {"a": "a text"},
    "failures": {"a": ErrorInfo(code="gone", message="It is gone.")},
    "models": {"a": "a model"},
    "degraded": {"a": "a reason"},
    "values": {"a_found": 3},
    "task_type": "code",
    "requirements": "in JSON",
    "demanding": True,
    "score": 0.5,
    "accepted": True,
    "issues": (Issue(id="C1", claim="It is wrong.", severity="high"),),
    "issue_floor": "high",
    "votes": {"a": (Vote(node="a", kind="free", tally=Tally(method="plurality")),)},
    "answers": {"42": "It is 42."},
    "ballots": {"a": CastBallot(None, ("x",), "unreadable")},
    "flips": (Flip(member="a", round=1, from_key="40", to_key="41"),),
    "stops": {"a": "agreement"},
    "history": "an earlier run",
}


def returning(*updates: StateUpdate) -> GraphBuilder:
    """A builder whose nodes of the type `note` return one of these after the other."""
    left = iter(updates)

    def note(config: NodeConfig, _: FlowConfig) -> Callable[..., Any]:
        async def run(state: AgentState, __: RunContext) -> StateUpdate:
            return next(left)

        return run

    builder = GraphBuilder()
    builder.register_node("note", note)
    return builder


@pytest.mark.parametrize("key", StateUpdate.__annotations__)
async def test_row_1_whatever_a_node_returns_reaches_the_final_state(key: str):
    value: Any = EVERYTHING[key]  # type: ignore[literal-required]
    update: Any = {key: value}
    content = flow({"id": "a", "type": "note"}, {"id": "b", "type": "note"}, edges="a-b")
    outcome, _, _ = await play(content, {}, builder=returning(update, {"outputs": {"b": "end"}}))
    state: Any = outcome.state
    added = {"b": "end"} if key == "outputs" else {}
    assert state[key] == ({**value, **added} if isinstance(value, dict) else value)
    assert state["outputs"]["b"] == "end"


def test_row_1_no_key_of_the_state_is_left_out_here():
    assert set(EVERYTHING) == set(StateUpdate.__annotations__)


async def test_row_1_every_text_and_every_verdict_is_there_to_the_end():
    outcome, _, _ = await play(mended_challenge(), DEBATE)
    assert outcome.state is not None
    assert outcome.state["outputs"] == DEBATE
    script = {"execution": ["TODO", "hecho"], "summary": "entregado"}
    outcome, turns, _ = await play(get_flow_config("linear"), script)
    assert outcome.state is not None
    assert outcome.state["outputs"]["execution"] == "hecho"
    assert outcome.state["outputs"]["summary"] == "entregado"
    assert outcome.state["values"]["output_validator_accepted"] is True
    assert outcome.state["values"]["output_validator_score"] == 1.0
    assert [(turn.path, turn.retry) for turn in turns] == [
        ("execution", 0),
        ("execution", 1),
        ("summary", 0),
    ]


# --- row 2: who sees what -----------------------------------------------------------------------


def test_row_2_a_critic_that_is_shown_the_task_alone_is_refused(found: Catalogue):
    told = faults(changed(CHALLENGE, challenger="Critica:\n{input}"), found)
    assert nameless("challenger", "input", "Did you mean `user_input`?") in told
    assert (
        Told(
            "critic_without_draft",
            "challenger",
            "prompt_template",
            "The critic never gets the draft: its prompt holds the task alone.",
            "Ask for `{creator_output}`.",
        )
        in told
    )
    renamed = changed(CHALLENGE, challenger="Critica:\n{user_input}")
    assert "critic_without_draft" in [fault.code for fault in faults(renamed, found)]


async def test_row_2_once_mended_each_role_is_sent_the_task_and_what_it_works_on(found: Catalogue):
    _, turns, _ = await play(mended_challenge(), DEBATE)
    sent = prompts(turns)
    head = shared_head(TASK, (), "es", FIXED_SECRET)
    assert all(prompt.startswith(head) for prompt in sent.values())
    assert "el borrador" not in sent["creator"]
    assert "el borrador" in sent["challenger"]
    assert "la crítica" not in sent["challenger"]
    assert "el borrador" in sent["refiner"]
    assert "la crítica" in sent["refiner"]


# --- row 3: who answers, and how ----------------------------------------------------------------


@pytest.mark.parametrize("content", [CHALLENGE, MULTI_PERSPECTIVE], ids=lambda f: f["name"])
def test_row_3_a_model_that_nobody_has_and_a_temperature_that_nobody_reads_are_refused(
    content: Json, found: Catalogue
):
    content = copy.deepcopy(content)
    for node in content["nodes"]:
        node["model_hint"] = "parrot7b"
    told = faults(content, found)
    for node in content["nodes"]:
        (model,) = [f for f in told if (f.code, f.node) == ("unknown_model", node["id"])]
        assert (model.field, model.reason) == ("model", "The model `parrot7b` is unknown.")
        assert model.fix.endswith("`agent-lab models list` shows them.")
    assert [fault for fault in told if fault.code == "wrong_config"] == of_every_role(content)


def test_row_3_a_model_that_is_nearly_right_is_told_the_near_ones(found: Catalogue):
    content = mended_challenge(("qwen2.5-coder-1.5", *THREE[1:]))
    (fault,) = faults(content, found)
    assert fault.fix.startswith("Did you mean `qwen2.5-coder-1.5b`, `qwen2.5-coder-0.5b`")


async def test_row_3_once_mended_three_roles_have_three_models_and_three_temperatures():
    _, turns, provider = await play(mended_challenge(), DEBATE)
    asked = [(call.role, call.model.key, call.params["temperature"]) for call in provider.calls]
    assert asked == [
        ("creator", THREE[0], 0.1),
        ("challenger", THREE[1], 0.3),
        ("refiner", THREE[2], 0.5),
    ]
    assert [turn.model_resolved for turn in turns] == list(THREE)


# --- row 4: retries -----------------------------------------------------------------------------


@pytest.mark.parametrize("retries", [0, 1, 2, 3])
async def test_row_4_an_answer_that_fails_is_asked_for_exactly_n_times_more_then_the_run_goes_on(
    retries: int,
):
    script = {"execution": "TODO: lo demás", "summary": "lo que hay"}
    config = get_flow_config("linear")
    outcome, turns, _ = await play(config, script, inputs={"retries": retries})
    tries = [turn for turn in turns if turn.path == "execution"]
    keys = [(turn.path, turn.visit, turn.retry) for turn in tries]
    assert keys == [("execution", 0, index) for index in range(retries + 1)]
    assert len({message.content for turn in tries for message in turn.messages}) <= 3
    assert [turn.path for turn in turns[retries + 1 :]] == ["summary"]
    assert (outcome.output, outcome.stop_reason) == ("lo que hay", "max_rounds")
    assert "no superó sus comprobaciones" in " ".join(outcome.degraded)
    assert "no aceptada" in prompts(turns)["summary"]


@pytest.mark.parametrize("good", [0, 1, 2, 3])
async def test_row_4_retries_end_with_the_first_answer_that_passes(good: int):
    script = {"execution": ["TODO"] * good + ["bien"], "summary": "bien"}
    outcome, turns, _ = await play(get_flow_config("linear"), script, inputs={"retries": 3})
    assert [turn.retry for turn in turns if turn.path == "execution"] == list(range(good + 1))
    assert (outcome.output, outcome.degraded, outcome.stop_reason) == ("bien", (), "completed")


async def test_row_4_each_retry_is_shown_its_own_text_and_what_was_wrong():
    script = {"execution": ["TODO uno", "TODO dos", "tres"], "summary": "tres"}
    _, turns, _ = await play(get_flow_config("linear"), script)
    first, second, third = (t.messages[-1].content for t in turns if t.path == "execution")
    assert "TODO" not in first
    assert "TODO uno" in second
    assert "TODO dos" in third
    assert "TODO uno" not in third
    assert all("Hay un marcador" in prompt for prompt in (second, third))


# --- row 5: another flow than the one that was asked for -----------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda runs: runs.run(RunRequest(flow="multi_perspectiv", input=TASK)),
        lambda runs: runs.plan("multi_perspectiv"),
        lambda runs: build_routing_graph("multi_perspectiv"),
        lambda runs: get_flow_config("multi_perspectiv"),
    ],
    ids=["run", "plan", "graph", "config"],
)
async def test_row_5_an_unknown_flow_is_an_error_that_names_the_near_ones(
    tmp_path: Path, ask: Callable[[RunService], Any]
):
    provider = ScriptedProvider(lambda call: "x")
    runs = service(tmp_path, provider)
    with pytest.raises(UnknownFlowError) as caught:
        await ask(runs)
    assert "did you mean `multi_perspective`" in caught.value.message
    assert provider.calls == []
    assert not (tmp_path / "outputs").exists()


def test_row_5_an_unknown_flow_within_a_flow_is_a_fault(found: Catalogue):
    (fault,) = faults(flow(subflow("a", "multi_perspectiv")), found)
    assert (fault.code, fault.node) == ("unknown_flow", "a")
    assert "`multi_perspective`" in fault.fix


def test_row_5_edges_from_a_node_that_there_is_not_are_refused(found: Catalogue):
    told = [f for f in faults(MULTI_PERSPECTIVE, found) if f.code == "unknown_node"]
    near = "Did you mean `usability_expert`?"
    entry, *edges = told
    assert entry == Told(
        "unknown_node",
        "",
        "entry_point",
        "The entry point names `splitter`, which is no node.",
        near,
    )
    assert edges == [
        Told(
            "unknown_node",
            "",
            f"edges[{index}]",
            f"The edge `splitter` → `{expert}` names `splitter`, which is no node.",
            near,
        )
        for index, expert in enumerate(EXPERTS)
    ]


@pytest.mark.parametrize("expert", ["security", "performance", "usability"])
def test_row_5_names_that_no_node_writes_are_refused_with_the_right_ones(
    expert: str, found: Catalogue
):
    told = [f for f in faults(MULTI_PERSPECTIVE, found) if f.node == "synthesizer"]
    (fault,) = [f for f in told if f"`{{{expert}_output}}`" in f.reason]
    assert (fault.code, fault.field) == ("unknown_name", "prompt_template")
    assert f"`{expert}_expert_output`" in fault.fix
    assert fault.fix.startswith("Did you mean ")


async def test_row_5_once_mended_the_synthesizer_is_sent_what_all_three_experts_wrote():
    outcome, turns, _ = await play(mended_multi_perspective(), VIEWS)
    sent = prompts(turns)
    for expert in EXPERTS:
        assert f"lo que dice {expert}" in sent["synthesizer"]
        assert "lo que dice" not in sent[expert]
    assert outcome.state is not None
    assert {i: outcome.state["outputs"][i] for i in VIEWS} == VIEWS


@pytest.mark.parametrize("name", ["mended", "shipped"])
async def test_row_5_parallel_experts_return_what_they_changed_and_nothing_else(name: str):
    config = read_flow(mended_multi_perspective()) if name == "mended" else None
    plan = plan_flow(config or get_flow_config("multi_perspective"))
    context = RunContext(
        gateway=ProviderGateway.scripted(VIEWS | {"ux_expert": "x"}, THREE),
        request=RunRequest(flow=plan.name, input=TASK),
        seed=1,
        secret=FIXED_SECRET,
    )
    state = new_state(
        request_id="a run", flow_type=plan.name, user_input=TASK, lang="es", head=TASK
    )
    before = copy.deepcopy(state)
    experts = [node for node in plan.nodes if node.id.endswith("_expert")]
    assert len(experts) == 3
    for node in experts:
        update = await NODES.get(node.type)(node, plan)(state, context)
        assert set(update) <= {"outputs", "failures", "models", "degraded"}
        assert set(update["outputs"]) == {node.id}
    assert state == before


async def test_row_5_experts_run_at_the_same_time_and_none_is_lost_among_a_hundred():
    members = [f"m{index}" for index in range(100)]
    content = flow(
        {**group("e", *members), "prompt_template": "Opina."},
        {"id": "end", "prompt_template": "{e_outputs}"},
        edges="e-end",
    )
    outcome, turns, _ = await play(content, lambda call: f"from {call.role}.")
    assert len(turns) == 101
    assert all(f"\nfrom {member}_e.\n" in prompts(turns)["end"] for member in members)
    assert outcome.degraded == ()


# --- row 10: history ----------------------------------------------------------------------------


def service(folder: Path, script: Script | ScriptedProvider) -> RunService:
    gateway = ProviderGateway.scripted(script, THREE)
    return service_of(gateway, FLOW_CONFIGS, folder / "outputs")


SAID = {
    "tides": "Explain how tides follow the moon.",
    "again": "How do tides follow the moon and the sun?",
    "bread": "Bake rye bread in a wood oven.",
}


async def ask(
    runs: RunService, task: str, owner: str | None, *, name: str = "linear", **inputs: Any
) -> RunRecord:
    request = RunRequest(flow=name, input=task, inputs=inputs, lang="en")
    return await runs.run(request, owner=owner)


def shown(record: RunRecord) -> str:
    """What the summary of a run was sent."""
    return prompts(list(record.turns))["summary"]


def answering(call: Any) -> str:
    """An answer that can be told from any other."""
    task = call.messages[-1].content.split("\n\n")[1]
    return f"answer of {call.role} to: {task}"


@pytest.mark.parametrize(
    ("owner", "other"), [("alice", "bob"), ("alice", None), (None, "alice"), ("a", "A"), ("", None)]
)
async def test_row_10_nobody_is_shown_what_another_owner_asked(
    tmp_path: Path, owner: str | None, other: str | None
):
    runs = service(tmp_path, answering)
    await ask(runs, SAID["tides"], owner)
    strangers = await ask(runs, SAID["again"], other)
    assert SAID["tides"] not in shown(strangers)
    assert "Earlier work" not in shown(strangers)
    assert "answer of" not in shown(strangers).partition("# Answer")[0]
    own = await ask(runs, SAID["again"], owner)
    assert SAID["tides"] in shown(own)
    assert f"answer of summary to: {SAID['tides']}" in shown(own)
    # The stranger asked the same; what is shown is the owner's.
    assert [strangers.owner, own.owner] == [other, owner]
    assert shown(own).count("Asked: ") == 1


async def test_row_10_only_what_is_about_the_same_is_shown(tmp_path: Path):
    runs = service(tmp_path, answering)
    await ask(runs, SAID["bread"], "alice")
    about = await ask(runs, SAID["tides"], "alice")
    assert SAID["bread"] not in shown(about)
    again = await ask(runs, SAID["again"], "alice")
    assert SAID["tides"] in shown(again)
    assert SAID["bread"] not in shown(again)


async def test_row_10_history_is_bounded_in_runs_and_in_characters(tmp_path: Path):
    runs = service(tmp_path, lambda call: "long " * 150)
    for index in range(6):
        await ask(runs, f"{SAID['tides']} Number {index}. " + "x" * 2_000, "alice")
    record = await ask(runs, SAID["tides"], "alice")
    history = shown(record).partition("# Earlier work")[2].partition("# Your role")[0]
    assert history.count("Asked: ") == 3
    assert len(history) < 3 * (2 * 600 + 200)
    assert "x" * 601 not in history


async def test_row_10_history_is_read_across_flows_and_never_from_runs_without_an_answer(
    tmp_path: Path,
):
    runs = service(tmp_path, answering)
    await ask(runs, SAID["tides"], "alice", name="challenge")
    failed = await ask(service(tmp_path, {}), SAID["again"] + " Failed.", "alice")
    assert failed.status == "failed"
    record = await ask(runs, SAID["again"], "alice")
    assert SAID["tides"] in shown(record)
    assert "Failed." not in shown(record)


async def test_row_10_history_can_be_left_out(tmp_path: Path):
    runs = service(tmp_path, answering)
    await ask(runs, SAID["tides"], "alice")
    record = await ask(runs, SAID["again"], "alice", read_history=False)
    assert SAID["tides"] not in shown(record)
    assert "history_reader" not in [step.node_id for step in record.steps]


# --- row 11: braces -----------------------------------------------------------------------------


async def test_row_11_braces_of_tasks_members_and_experts_are_never_filled_in():
    own = {"id": "own", "name": HOSTILE, "values": {"lens": HOSTILE}}
    outcome, turns, _ = await play(
        get_flow_config("multi_perspective"),
        lambda call: f"{call.role} {HOSTILE}",
        HOSTILE,
        inputs={"experts": ["security", own]},
    )
    sent = prompts(turns)
    assert all(f"# Tarea\n\n{HOSTILE}\n\n" in prompt for prompt in sent.values())
    assert f"desde este ángulo: {HOSTILE}." in sent["own_expert"]
    assert f"## {HOSTILE}\n\n" in sent["synthesizer"]
    assert f"\nown_expert {HOSTILE}\n" in sent["synthesizer"]
    assert f"\nsecurity_expert {HOSTILE}\n" in sent["synthesizer"]
    assert outcome.output == f"synthesizer {HOSTILE}"


async def test_row_11_braces_of_feedback_and_reports_are_never_filled_in():
    message = {"en": HOSTILE, "es": f"Mal: {HOSTILE}"}
    checks = [{"check": "regex", "absent": True, "pattern": "TODO", "message": message}]
    outcome, turns, _ = await play(
        get_flow_config("linear"),
        {"execution": [f"TODO {HOSTILE}", f"bien {HOSTILE}"], "summary": HOSTILE},
        HOSTILE,
        inputs={"checks": checks},
    )
    first, second = (turn.messages[-1].content for turn in turns if turn.path == "execution")
    assert first.count(HOSTILE) == 1
    assert f"\nTODO {HOSTILE}\n" in second
    assert f"- Mal: {HOSTILE}" in second
    assert f"\nbien {HOSTILE}\n" in prompts(turns)["summary"]
    assert outcome.output == HOSTILE


async def test_row_11_braces_of_earlier_runs_are_never_filled_in(tmp_path: Path):
    runs = service(tmp_path, lambda call: f"{call.role} answers {HOSTILE}")
    task = f"Explain the tides {HOSTILE}"
    await ask(runs, task, "alice")
    record = await ask(runs, task, "alice")
    assert f"Asked: {task}\n\nAnswered: summary answers {HOSTILE}\n" in shown(record)
    assert shown(record).startswith(f"# Task\n\n{task}\n\n")


async def test_row_11_braces_of_the_first_labs_own_prompts_stay_as_they_are(found: Catalogue):
    asks = 'Responde con {"a": 1} y con {{user_input}}:\n{creator_output}\n{previous_output}'
    content = mended(CHALLENGE, refiner=asks)
    assert faults(content, found) == []
    _, turns, _ = await play(content, DEBATE | {"creator": HOSTILE})
    assert 'Responde con {"a": 1} y con {user_input}:\n' in prompts(turns)["refiner"]
    assert f"\n{HOSTILE}\n" in prompts(turns)["refiner"]
