"""The body of a request that has nothing to say."""

from agent_lab.contracts import Contract


class EmptyRequest(Contract):
    """An empty object: there is nothing to say. No page in a browser can send it unasked."""
