"""Texts that readers of other projects get wrong, and what a voter says in them.

- karpathy/llm-council: takes what follows the first `FINAL RANKING:`, even in prose; without a
  list, every `Response X` that is mentioned; keeps labels that stand twice.
- irthomasthomas/llm-consortium: a tag and its value must share a line, half a tag reads as text.
- Skytliang/Multi-Agents-Debate: `eval` of what a model writes.
- composable-models/llm_multiagent_debate: what cannot be read counts as right; the last number of
  a text is its answer; the first `yes` or `no` in any word is the verdict.
"""

from typing import NamedTuple

from agent_lab.deliberation.ballots.ballot import Payload
from agent_lab.deliberation.ballots.reading import BallotReading, Problem
from agent_lab.deliberation.structured import ParsedBy


class Case(NamedTuple):
    """A text of a voter who saw the options A, B and C."""

    text: str
    payload: Payload
    expected: BallotReading | None
    """None: nothing can be read."""


def choice(text: str, label: str, by: ParsedBy = "line", reason: str = "") -> Case:
    """A vote for one label."""
    return Case(text, "choice", BallotReading(by, choice=label, reason=reason))


def ranking(text: str, labels: str, by: ParsedBy = "line") -> Case:
    """A ranking, best first."""
    return Case(text, "ranking", BallotReading(by, ranking=tuple(labels)))


def approved(text: str, labels: str, by: ParsedBy = "line") -> Case:
    """An approval of several labels."""
    return Case(text, "approved", BallotReading(by, approved=tuple(labels)))


def scores(text: str, *points: float, by: ParsedBy = "line") -> Case:
    """Scores of A, B and C."""
    return Case(text, "scores", BallotReading(by, scores=dict(zip("ABC", points, strict=True))))


def abstains(text: str, payload: Payload, by: ParsedBy = "line") -> Case:
    """An abstention."""
    return Case(text, payload, BallotReading(by, abstain=True))


def invalid(text: str, payload: Payload, problem: Problem, by: ParsedBy = "line") -> Case:
    """A ballot that breaks a rule."""
    return Case(text, payload, BallotReading(by, problem=problem))


def nothing(text: str, payload: Payload) -> Case:
    """No ballot."""
    return Case(text, payload, None)


COUNCIL = [
    # What the prompt says about the marker is no ranking, and the last one is meant.
    ranking(
        "I was told to end with FINAL RANKING: and a list, as in 1. Response A.\n\n"
        "FINAL RANKING:\n1. Response C\n2. Response A\n3. Response B",
        "CAB",
    ),
    ranking("FINAL RANKING:\nA > B > C\n\nOn reflection:\n\nFINAL RANKING:\nC > A > B", "CAB"),
    ranking("Ranking: A > B > C\nNo.\nRanking: B > A > C", "BAC"),
    nothing('He wrote "FINAL RANKING: 1. Response A" and stopped.', "ranking"),
    nothing("My FINAL RANKING: C > A > B", "ranking"),
    nothing("> RANKING: C > A > B", "ranking"),
    nothing("`RANKING: C > A > B`", "ranking"),
    nothing('"RANKING: C > A > B", says Response A. I disagree.', "ranking"),
    nothing("```\nRANKING: C > A > B\n```", "ranking"),
    nothing("```\nRANKING: C > A > B", "ranking"),
    nothing("RANKING: C > A > B\n```\nRANKING: B > A > C\n```", "ranking"),
    # Labels that criticism mentions are no ranking.
    nothing("Response A is thorough. Response B lacks detail. Response C is concise.", "ranking"),
    nothing("B is weak. A and B miss the point, C does not.", "choice"),
    nothing("B es floja. A y B no aciertan; C sí.", "choice"),
    nothing("La Respuesta A es mejor que la Respuesta B.", "ranking"),
    nothing("The best response is B.", "choice"),
    nothing("1. Response A\n2. Response B", "ranking"),
    nothing("A", "ranking"),
    nothing("A great answer is B", "choice"),
    # A list is a whole one, in its order, of labels and nothing else.
    ranking("**FINAL RANKING:**\n1. **Response B**\n2. **Response A**\n", "BA"),
    ranking("RANKING:\n\n1) c\n2) b\n3) a", "CBA"),
    ranking("ORDEN: Respuesta B > respuesta c > A", "BCA"),
    ranking("Orden final: B, C, A.", "BCA"),
    ranking("RANKING: c>a>b", "CAB"),
    ranking("RANKING: 1. C\n2. Response A", "CA"),
    nothing("RANKING:\n2. Response A\n1. Response B", "ranking"),
    nothing("RANKING:\n- Response A\n- Response B", "ranking"),
    nothing("RANKING:\n1. Response A\n2. Response B\nThat is all.", "ranking"),
    invalid("RANKING:\n1. Response A - the best\n2. Response B", "ranking", "unknown_option"),
    invalid("RANKING: A > B = C", "ranking", "unknown_option"),
    invalid("RANKING: A > B >", "ranking", "unknown_option"),
    # A label stands once.
    invalid("FINAL RANKING:\n1. Response A\n2. Response A", "ranking", "repeated_option"),
    invalid("RANKING: A > B > A", "ranking", "repeated_option"),
    invalid('{"ranking": ["A", "A"]}', "ranking", "repeated_option", by="json"),
    invalid(
        '{"ranking": ["A", "response a"]}\nRANKING: A > B', "ranking", "repeated_option", "braces"
    ),
    invalid(
        '```json\n["A"]\n```\n{"approved": ["A", "A"]}', "approved", "repeated_option", "braces"
    ),
    invalid("APRUEBO: A, B, A", "approved", "repeated_option"),
]

CONSORTIUM = [
    choice("VOTE:\nB", "B"),
    choice("**Voto:**\n\n**B**\n", "B"),
    choice("Analysis first.\n\n## VOTE: candidate b.", "B"),
    choice("La crítica.\nVOTO FINAL: Opción C", "C"),
    choice("VOTE = B", "B"),
    choice("VOTE: A\nVOTE: B", "B"),
    scores("SCORES:\nA=7, B=3, C=0", 7, 3, 0),
    nothing("VOTE:", "choice"),
    nothing("VOTE:\nB\nis what I would say", "choice"),
    nothing("VOTE: B\nbut A is nearly as good", "choice"),
    nothing("<vote>\nB\n</vote>", "choice"),
    nothing("<vote>B", "choice"),
    nothing('{"reason": "cut off", "choice": "B', "choice"),
    nothing('{"reason": "cut off", "choice": "B"', "choice"),
    nothing("- VOTE: B", "choice"),
]

EVALUATED = [
    nothing("{'choice': 'B'}", "choice"),
    nothing('dict(choice="B")', "choice"),
    nothing('__import__("os").getcwd() or {"choice"}', "choice"),
    nothing('{"choice": chr(66)}', "choice"),
    nothing('{"choice": "B",}', "choice"),
    nothing('{"scores": {"A": NaN, "B": 1, "C": 1}}', "scores"),
    nothing('{"scores": {"A": Infinity, "B": 1, "C": 1}}', "scores"),
    nothing('{"scores": {"A": 1e999, "B": 1, "C": 1}}', "scores"),
    invalid('{"scores": {"A": "7", "B": 1, "C": 1}}', "scores", "off_scale", "json"),
    invalid('{"scores": {"A": true, "B": 1, "C": 1}}', "scores", "off_scale", "json"),
    invalid('{"scores": {"A": null, "B": 1, "C": 1}}', "scores", "off_scale", "json"),
    invalid('{"scores": {"A": 11, "B": 1, "C": 1}}', "scores", "off_scale", "json"),
    invalid('{"scores": {"A": -1, "B": 1, "C": 1}}', "scores", "off_scale", "json"),
    invalid("SCORES: A=2+2, B=1, C=1", "scores", "wrong_form"),
    invalid("SCORES: A=1e1, B=1, C=1", "scores", "wrong_form"),
    invalid("SCORES: A=-1, B=1, C=1", "scores", "wrong_form"),
    invalid("SCORES: A=7/100, B=1, C=1", "scores", "wrong_form"),
    invalid("SCORES: A=٧, B=1, C=1", "scores", "wrong_form"),
    invalid("SCORES: A=11, B=1, C=1", "scores", "off_scale"),
    scores("SCORES: A=7/10, B: 3.5, C = 10 / 10", 7, 3.5, 10),
    scores("NOTAS: A=7,5, B=3,25; C=0", 7.5, 3.25, 0),
    scores("Notas finales: no\nNOTAS: c=1, Respuesta B: 3, **A**: 7.", 7, 3, 1),
]

UNREAD_IS_NO_VOTE = [
    nothing("", "choice"),
    nothing(" \n", "ranking"),
    nothing("I cannot decide.", "choice"),
    nothing("No puedo decidir.", "choice"),
    nothing("Yes, the first one has 2 points, the last one 3.", "scores"),
    nothing("A gets 7, B gets 3, C gets 1.", "scores"),
    nothing('{"vote": "B"}', "choice"),
    nothing('{"ballot": {"choice": "B"}}', "choice"),
    nothing('["B"]', "choice"),
    nothing('{"A": 7, "B": 3, "C": 1}', "scores"),
    invalid('{"choice": null}\nVOTE: B', "choice", "wrong_form", "braces"),
    invalid('{"choice": ["B"]}', "choice", "wrong_form", "json"),
    invalid('{"choice": true}', "choice", "wrong_form", "json"),
    invalid('{"choice": 2}', "choice", "wrong_form", "json"),
    invalid('{"choice": "D"}', "choice", "unknown_option", "json"),
    invalid('```json\n{"choice": "D"}\n```\nVOTE: B', "choice", "unknown_option", "fence"),
    invalid('{"choice": "B or C"}', "choice", "unknown_option", "json"),
    invalid('{"choice": "Response"}', "choice", "unknown_option", "json"),
    invalid('{"choice": ""}', "choice", "unknown_option", "json"),
    invalid("VOTE: D", "choice", "unknown_option"),
    invalid("VOTE: B, or else C", "choice", "unknown_option"),
    invalid("VOTO: Ａ", "choice", "unknown_option"),
    invalid("VOTE: A\nVOTE: undecided", "choice", "unknown_option"),
    invalid('{"ranking": "A > B"}', "ranking", "wrong_form", "json"),
    invalid('{"approved": ["A", 2]}', "approved", "wrong_form", "json"),
    invalid('{"approved": ["none"]}', "approved", "unknown_option", "json"),
    invalid('{"scores": [7, 3, 1]}', "scores", "wrong_form", "json"),
    invalid('{"scores": {"A": 7, "B": 3}}', "scores", "missing_score", "json"),
    invalid('{"scores": {"A": 7, "a": 3, "C": 1}}', "scores", "repeated_option", "json"),
    invalid('{"scores": {"A": 7, "B": 3, "D": 1}}', "scores", "unknown_option", "json"),
    invalid("SCORES: A=7, B=3", "scores", "missing_score"),
    invalid("SCORES: A=7, A=3, B=1, C=1", "scores", "repeated_option"),
    invalid("SCORES: A=7, B=3, the rest=1", "scores", "unknown_option"),
]

WHAT_COUNTS = [
    choice('{"reason": "It\\n holds.", "choice": "B"}', "B", "json", "It holds."),
    choice('"B"', "B", "json"),
    choice("B", "B"),
    choice("**Respuesta B.**\n", "B"),
    choice('{"choice": " candidata b ", "confidence": 0.9}', "B", "json"),
    choice('Think.\n```json\n{"choice": "B"}\n```\nDone.', "B", "fence"),
    choice('```json\n{"choice": "A"}\n```\n```json\n{"choice": "B"}\n```', "B", "fence"),
    choice('```json\n{"choice": "B"}\n```\n```json\n{"other": 1}\n```', "B", "fence"),
    choice('```json\n{"choice": "B"}\n```\nVOTE: A', "B", "fence"),
    choice('{"choice": "A"}, no: {"choice": "B"}, as {1} says', "B", "braces"),
    choice('{"choice": "B"}\nVOTE: A', "B", "braces"),
    choice("Dice «VOTO: A» y no aciertan.\nVOTO: B", "B"),
    ranking('["C", "A"]', "CA", "json"),
    approved('{"approved": ["C", "Response A"]}', "CA", "json"),
    approved("APPROVED: A, C", "AC"),
    approved("APRUEBO: Candidato B", "B"),
    scores('{"scores": {"c": 1, "A": 7.5, "Option B": 3}}', 7.5, 3, 1, by="json"),
    abstains('{"choice": "None"}', "choice", "json"),
    abstains("VOTO: ninguna", "choice"),
    abstains("none", "choice"),
    abstains('{"approved": []}', "approved", "json"),
    abstains('{"ranking": []}', "ranking", "json"),
    abstains('{"scores": {}}', "scores", "json"),
    abstains("APRUEBO: ninguna", "approved"),
    abstains("RANKING: none", "ranking"),
    abstains("NOTAS: ninguna", "scores"),
    Case('{"verdict": "c"}', "verdict", BallotReading("json", verdict="C")),
    Case("VEREDICTO: ninguna", "verdict", BallotReading("line", verdict="")),
    nothing("VOTE: B", "verdict"),
]

CASES = [*COUNCIL, *CONSORTIUM, *EVALUATED, *UNREAD_IS_NO_VOTE, *WHAT_COUNTS]
