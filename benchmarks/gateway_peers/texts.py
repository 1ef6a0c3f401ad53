"""What is asked and answered: prompts of about 200 words, answers of 100, streams of 400 chunks."""

from typing import Any

_WORDS = (
    "A queue between two services absorbs bursts, yet it also hides how slow the second one has "
    "become: work piles up, every answer is late, and nobody sees an error. Bound the queue, "
    "refuse what does not fit, and say so at once, because a caller who is told can try "
    "elsewhere or wait. Then measure the age of the oldest entry, which tells more than the "
    "length, and raise an alarm when it grows. Give each piece of work a deadline that travels "
    "with it, and drop what nobody waits for any more before it costs time that others could use."
)
ANSWER = " ".join(_WORDS.split()[:100])
CHUNKS = tuple(f"{word} " for word in ANSWER.split()) * 4
STREAMED = "".join(CHUNKS)

MODEL = "gpt-4o-mini"
MAX_TOKENS = 200
PACED = "PACED"
"""The word in a prompt that asks the upstream for its chunks one by one."""


def prompt(number: int, paced: bool = False) -> str:
    """A prompt that no other call has.

    Args:
        number: What makes it unique.
        paced: Whether a stream comes as a model's would, or as fast as it can.
    """
    return f"{PACED if paced else 'Plain'} {number}: sum this up. {_WORDS} {_WORDS}"


def chat(text: str, *, stream: bool = False) -> dict[str, Any]:
    """The parameters of a chat completion, as OpenAI names them."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": text}],
        "max_tokens": MAX_TOKENS,
    }
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body
