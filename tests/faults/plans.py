"""What each mode is made of: which answer it changes, and how the answer goes over the line."""

from collections.abc import Callable, Mapping

from tests.faults import deliveries
from tests.faults.deliveries import Delivery
from tests.faults.modes import Mode
from tests.faults.refusals import REFUSALS
from tests.faults.wires import NO_CHARACTER, Answer

THOUGHTS = ("Six times", " seven", ".")
TAGGED = ("<th", "ink>Six", " times seven.</", "thi", "nk>", "\n\n")

SHAPES: Mapping[Mode, Callable[[Answer], Answer]] = {
    Mode.REASONING: lambda answer: answer._replace(thoughts=THOUGHTS),
    Mode.THINK_TAGS: lambda answer: answer._replace(pieces=TAGGED + answer.pieces),
    Mode.EMPTY_CONTENT: lambda answer: answer._replace(pieces=()),
    Mode.FINISH_LENGTH: lambda answer: answer._replace(finish="length"),
    Mode.FINISH_MISSING: lambda answer: answer._replace(finish=None),
    Mode.NO_DONE: lambda answer: answer._replace(ended=False),
    Mode.CONTENT_FILTER: lambda answer: answer._replace(
        pieces=answer.pieces[:2], finish="filtered"
    ),
    Mode.USAGE_MISSING: lambda answer: answer._replace(counted=False),
    Mode.INVALID_UTF8: lambda answer: answer._replace(pieces=(*answer.pieces, NO_CHARACTER)),
}

DELIVERIES: Mapping[Mode, Delivery] = {
    Mode.SLOW: deliveries.slow,
    Mode.CRLF: deliveries.byte_by_byte,
    Mode.STREAM_FLIPPED: deliveries.flipped,
    Mode.ECHO_KEY_EVENT: deliveries.refused_midway,
    Mode.ERROR_EVENT: deliveries.refused_midway,
    Mode.WRONG_CONTENT_TYPE: deliveries.found,
    Mode.BAD_GATEWAY: deliveries.bad_gateway,
    Mode.REDIRECT: deliveries.redirected,
    Mode.RESET: deliveries.reset,
    Mode.RESET_MID_STREAM: deliveries.reset_midway,
    Mode.CUT_CHUNKED: deliveries.cut_chunked,
    Mode.CUT_CLOSE: deliveries.cut_close,
    Mode.CUT_LENGTH: deliveries.cut_length,
    Mode.STALE_CONNECTION: deliveries.stale,
    Mode.HALF_JSON: deliveries.halved,
    Mode.HANG_BEFORE_HEADERS: deliveries.hung,
    Mode.HANG_MID_STREAM: deliveries.hung_midway,
    Mode.KEEPALIVE_FOREVER: deliveries.kept_alive,
    Mode.HUGE_BODY: deliveries.huge,
    Mode.HUGE_ERROR: deliveries.huge_error,
    Mode.ENDLESS_STREAM: deliveries.endless,
    Mode.GZIP: deliveries.compressed,
    Mode.GZIP_CUT: deliveries.compressed_cut,
    Mode.GZIP_BOMB: deliveries.compressed_bomb,
}


def shape_of(mode: Mode) -> Callable[[Answer], Answer]:
    """What a mode makes of the answer."""
    return SHAPES.get(mode, lambda answer: answer)


def delivery_of(mode: Mode) -> Delivery:
    """How a mode sends it."""
    usual = deliveries.refused if mode in REFUSALS else deliveries.answered
    return DELIVERIES.get(mode, usual)
