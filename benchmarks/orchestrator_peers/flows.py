"""What is asked: our flows as JSON, and what the script answers to each role."""

from importlib.resources import files

from agent_lab.contracts import JsonObject
from agent_lab.providers.base import ProviderCall
from agent_lab.providers.local.scripted_provider import ScriptedReply

TASK = "A queue between two services is full. What should the first one do?"
SECRET = b"of the benchmark, always the same"
SEED = 1
LONG = 100
"""Words of a long answer."""

ANSWERS = {
    "creator": "Block until there is room.",
    "challenger": '[high] "Block until": a caller waits for ever; refuse at once.',
    "refiner": "Refuse at once, and say so.\nC1 fixed: it refuses",
}
"""A debate that ends after its first round: the issue quotes the draft, and is closed."""


def short_answer(call: ProviderCall) -> str:
    """A few words, so that the answer costs next to nothing."""
    return ANSWERS.get(call.role) or f"What {call.role} says."


def long_answer(call: ProviderCall) -> str:
    """As many words as a model gives; each is a piece of its own."""
    return " ".join(f"{call.role}{number}" for number in range(LONG))


def held_answer(call: ProviderCall) -> ScriptedReply:
    """One word, which the second role says only when it may: see `crowd.Gate`."""
    return ScriptedReply("Refuse.", delay_s=float(call.role == "challenger"))


def three_roles() -> JsonObject:
    """A creator, a challenger and a refiner; each reads what was said before."""
    creator, challenger = "{creator_output}", "{challenger_output}"
    return {
        "name": "three_roles",
        "entry_point": "creator",
        "nodes": [
            _node("creator"),
            _node("challenger", creator),
            _node("refiner", creator, challenger),
        ],
        "edges": [
            {"source": "creator", "target": "challenger"},
            {"source": "challenger", "target": "refiner"},
        ],
    }


def fan_out(branches: int) -> JsonObject:
    """Branches that run at the same time, and one role that reads them all."""
    branch = _node("branch") | {"group": {"members": {name: {} for name in members(branches)}}}
    return {
        "name": "fan_out",
        "entry_point": "branch",
        "nodes": [branch, _node("join", "{branch_outputs}")],
        "edges": [{"source": "branch", "target": "join"}],
    }


def loop(rounds: int) -> JsonObject:
    """Two roles in turns; each reads the last text of the other, so prompts do not grow."""
    return {
        "name": "loop",
        "entry_point": "pro",
        "nodes": [_node("pro", "{con_output}"), _node("con", "{pro_output}")],
        "edges": [{"source": "pro", "target": "con"}],
        "loops": [{"id": "rounds", "first": "pro", "last": "con", "max_rounds": rounds}],
    }


def shipped(name: str) -> str:
    """The JSON of a shipped flow."""
    return files("agent_lab.flows.builtin").joinpath(f"{name}.json").read_text(encoding="utf-8")


def members(branches: int) -> list[str]:
    """The ids of a fan-out's branches, as its group has them."""
    return [f"m{number}" for number in range(branches)]


def _node(role: str, *reads: str) -> JsonObject:
    return {"id": role, "prompt_template": "\n\n".join([*reads, f"# Your role: {role}"])}
