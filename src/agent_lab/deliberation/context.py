"""What every role sees: the shared head first, then other roles' texts in fences.

The head is byte-identical for all roles of a run, so that an engine or a prompt cache that has
read it once does not read it again. Another role's text is data: it stands in a fence whose tag
its author could not foresee, and its own closing fence is neutralised.
"""

import hmac
import re
from collections.abc import Sequence

from agent_lab.contracts import Attachment, Language

HEADINGS: dict[Language, dict[str, str]] = {
    "en": {"task": "Task", "attachment": "Attached"},
    "es": {"task": "Tarea", "attachment": "Adjunto"},
}
_TAG_LENGTH = 8
_OPENING = re.compile(rf'<([a-z][a-z0-9_]*) id="[0-9a-f]{{{_TAG_LENGTH}}}">\n?')


def fence(kind: str, text: str, secret: bytes) -> str:
    """Put a text between fences.

    Args:
        kind: What it is: `creator_output`, `attachment`.
        text: The text; a closing fence of this kind in it loses its meaning.
        secret: Known to this installation only.

    Returns:
        The fenced text; its tag is the same for the same text, so that caches hold.
    """
    safe = re.sub(rf"<(?=\s*/\s*{re.escape(kind)})", "&lt;", text.strip(), flags=re.IGNORECASE)
    tag = hmac.new(secret, safe.encode(), "sha256").hexdigest()[:_TAG_LENGTH]
    return f'<{kind} id="{tag}">\n{safe}\n</{kind}>'


def unfenced(text: str) -> str:
    """A text without the marks of fences that its author copied from its prompt.

    Only openings that carry a tag are taken for marks, and closings of the same kinds.
    """
    kinds = {match[1] for match in _OPENING.finditer(text)}
    if not kinds:
        return text
    closing = re.compile(rf"</(?:{'|'.join(map(re.escape, sorted(kinds)))})>\n?")
    return closing.sub("", _OPENING.sub("", text)).strip()


def shared_head(task: str, attachments: Sequence[Attachment], lang: Language, secret: bytes) -> str:
    """The beginning of every role's first message: the task verbatim, then what is attached."""
    headings = HEADINGS[lang]
    parts = [f"# {headings['task']}\n\n{task}"]
    parts += [
        f"# {headings['attachment']}: {document.name}\n\n"
        + fence("attachment", document.text, secret)
        for document in attachments
    ]
    return "\n\n".join(parts)
