"""The ways in which the faulty upstream can behave, by name."""

import re
from enum import StrEnum

from typing_extensions import override


class Mode(StrEnum):
    """A behaviour; `Mode("cut-chunked")`, `Mode("429+retry-after")` and `Mode("500")` are read too.

    Where nothing else is said, a mode does the same for both wires, as a stream and at once.
    """

    OK = "ok"
    SLOW = "slow"
    """A piece after each pause."""

    # Answers that are complete for HTTP, and not what one hoped for.
    REASONING = "reasoning"
    """`reasoning_content`, thinking blocks."""
    THINK_TAGS = "think_tags"
    """The text begins with `<think>…</think>`; the tags are cut between pieces."""
    EMPTY_CONTENT = "empty_content"
    FINISH_LENGTH = "finish_length"
    FINISH_MISSING = "finish_missing"
    """All the text and the end mark, but no finish reason."""
    NO_DONE = "no_done"
    """A finish reason, but no `[DONE]` (to be accepted), no `message_stop` (to be refused)."""
    CONTENT_FILTER = "content_filter"
    """A part of the text, then `content_filter` or `refusal`."""
    USAGE_MISSING = "usage_missing"
    INVALID_UTF8 = "invalid_utf8"
    """Two bytes of the text belong to no character."""
    CRLF = "crlf"
    """Byte by byte: line ends of two bytes, comments, `data` over many lines, other fields."""
    STREAM_FLIPPED = "stream_flipped"
    """At once where a stream was asked for, as a stream where it was not."""

    # Refusals with a status.
    RATE_LIMIT = "rate_limit"
    """Retry after one second."""
    RATE_LIMIT_MS = "rate_limit_ms"
    """Retry after 20 ms."""
    RATE_LIMIT_LONG = "rate_limit_long"
    """Retry after an hour."""
    RATE_LIMIT_DATE = "rate_limit_date"
    """Retry after a moment in about two seconds."""
    SLOW_DOWN = "slow_down"
    """A 429 that does not say how long."""
    QUOTA = "quota"
    """A 429 that no waiting helps."""
    CREDIT_EXHAUSTED = "credit_exhausted"
    """The same for the prepaid credit: 429, Anthropic 402."""
    SPEND_LIMIT = "spend_limit"
    """The same for the account's own limit: 429, Anthropic 400 and words only."""
    SERVER_ERROR = "server_error"
    NO_RETRY = "no_retry"
    """A 500 with `x-should-retry: false`."""
    OVERLOADED = "overloaded"
    """503 `server_overloaded`, 529."""
    AT_CAPACITY = "at_capacity"
    """503 `server_is_overloaded`, the code that OpenAI's own pages name; retry after 1; 529."""
    GATEWAY_TIMEOUT = "gateway_timeout"
    REQUEST_TIMEOUT = "request_timeout"
    CONFLICT = "conflict"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    BAD_REQUEST = "bad_request"
    UNPROCESSABLE = "unprocessable"
    TOO_LARGE = "too_large"
    CONTEXT_LENGTH = "context_length"
    PROMPT_FILTERED = "prompt_filtered"
    """A 400 of the content policy."""

    # Answers that repeat the credential.
    ECHO_KEY = "echo_key"
    """In the message of a 401."""
    ECHO_KEY_HEADER = "echo_key_header"
    """In a header and in the body of a 500."""
    ECHO_KEY_EVENT = "echo_key_event"
    """In an error inside of a stream; else in the error body of a 200."""

    # Errors that a status does not show.
    ERROR_EVENT = "error_event"
    """An error inside of a stream, after some pieces; else the error body of a 200."""
    WRONG_CONTENT_TYPE = "wrong_content_type"
    """A page of HTML, status 200."""
    BAD_GATEWAY = "bad_gateway"
    """A page of HTML, status 502, as proxies send it."""
    REDIRECT = "redirect"
    """307 to another origin; who follows is found in `strayed`."""

    # Transport.
    RESET = "reset"
    """RST, in place of an answer."""
    RESET_MID_STREAM = "reset_mid_stream"
    CUT_CHUNKED = "cut_chunked"
    """The last chunk is missing."""
    CUT_CLOSE = "cut_close"
    """A clean end in the middle of a body that said nothing of its length."""
    CUT_LENGTH = "cut_length"
    """A clean end before the length that was said."""
    STALE_CONNECTION = "stale_connection"
    """Answers the first request of each connection, and hangs up at its second."""
    HALF_JSON = "half_json"
    """Half of the JSON with the right length; in a stream half of one event, then the rest."""
    HANG_BEFORE_HEADERS = "hang_before_headers"
    HANG_MID_STREAM = "hang_mid_stream"
    """Some pieces, or half a body, then silence."""
    KEEPALIVE_FOREVER = "keepalive_forever"
    """Comments for ever; if not a stream, line ends for ever."""
    HUGE_BODY = "huge_body"
    """One value, or one line of a stream, that never ends."""
    HUGE_ERROR = "huge_error"
    """The same as a 500."""
    ENDLESS_STREAM = "endless_stream"
    """Well-formed pieces without end; if not a stream, as `huge_body`."""
    GZIP = "gzip"
    """Compressed, though nobody asked for it."""
    GZIP_CUT = "gzip_cut"
    """Compressed, and half of it, with the right length for HTTP."""
    GZIP_BOMB = "gzip_bomb"
    """Compressed: some 30 kB that become 32 MiB of spaces and the right answer."""

    @override
    @classmethod
    def _missing_(cls, value: object) -> "Mode | None":
        name = re.sub(r"[^a-z0-9]+", "_", str(value).lower())
        name = _ALIASES.get(name, name)
        return cls.__members__.get(name.upper())


_ALIASES = {
    "400": "bad_request",
    "401": "unauthorized",
    "403": "forbidden",
    "404": "not_found",
    "408": "request_timeout",
    "409": "conflict",
    "413": "too_large",
    "422": "unprocessable",
    "429": "rate_limit",
    "429_retry_after": "rate_limit",
    "500": "server_error",
    "502": "bad_gateway",
    "503": "overloaded",
    "504": "gateway_timeout",
    "529": "overloaded",
}
