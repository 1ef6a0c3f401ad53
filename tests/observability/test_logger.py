import asyncio
import io
import json
import logging
import re
import string
from collections.abc import Iterator
from datetime import datetime
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_lab.observability.logger import FIELDS, configure_logging, log_context
from agent_lab.observability.redaction import MASK, Redactor

Form = Literal["text", "json"]
CANARY = "canary-8f31-secret"
logger = logging.getLogger("agent_lab.tests.observability")


@pytest.fixture(autouse=True)
def _package_logger_restored() -> Iterator[None]:
    package = logging.getLogger("agent_lab")
    before = (package.handlers, package.level, package.propagate)
    yield
    package.handlers, package.propagate = before[0], before[2]
    package.setLevel(before[1])


def listen(form: Form, level: str = "DEBUG", *secrets: str) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(level, form, Redactor(secrets), stream)
    return stream


def objects(stream: io.StringIO) -> list[dict[str, str]]:
    return [json.loads(line) for line in stream.getvalue().split("\n") if line]


def test_a_text_line_holds_time_level_logger_and_message():
    stream = listen("text")
    logger.warning("The turn of `%s` failed", "creator")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} WARNING agent_lab\.tests\.observability: "
        r"The turn of `creator` failed\n",
        stream.getvalue(),
    )


def test_a_text_line_ends_with_the_context_that_is_set():
    stream = listen("text")
    with log_context(run_id="01JB", node="creator"):
        logger.info("asked")
    assert stream.getvalue().endswith(": asked run_id=01JB node=creator\n")


def test_a_json_line_holds_exactly_the_documented_keys():
    stream = listen("json")
    logger.error("It %s", "failed")
    [line] = objects(stream)
    assert set(line) == {"time", "level", "logger", "message", *FIELDS}
    assert (line["level"], line["logger"], line["message"]) == (
        "ERROR",
        "agent_lab.tests.observability",
        "It failed",
    )


def test_a_json_time_is_iso_8601_with_its_zone():
    stream = listen("json")
    logger.error("now")
    assert datetime.fromisoformat(objects(stream)[0]["time"]).tzinfo is not None


def test_a_json_line_names_the_context_and_leaves_the_rest_empty():
    stream = listen("json")
    with log_context(provider="local"):
        logger.info("asked")
    line = objects(stream)[0]
    assert {name: line[name] for name in FIELDS} == {
        "request_id": "",
        "run_id": "",
        "node": "",
        "provider": "local",
    }


def test_a_json_line_stays_one_line_whatever_the_message_holds():
    stream = listen("json")
    logger.info('one\ntwo\r\n\u2028three "quoted" ñ')
    assert stream.getvalue().count("\n") == 1
    assert objects(stream)[0]["message"] == 'one\ntwo\r\n\u2028three "quoted" ñ'


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_exception_is_logged_with_its_traceback(form: Form):
    stream = listen(form)
    try:
        raise ValueError("of some kind")
    except ValueError:
        logger.exception("It failed")
    text = stream.getvalue() if form == "text" else objects(stream)[0]["exception"]
    assert "Traceback" in text
    assert "ValueError: of some kind" in text


def test_an_inner_context_adds_to_the_outer_and_ends_with_its_block():
    stream = listen("json")
    with log_context(run_id="r", node="outer"):
        with log_context(node="inner"):
            logger.info("1")
        logger.info("2")
    logger.info("3")
    assert [(line["run_id"], line["node"]) for line in objects(stream)] == [
        ("r", "inner"),
        ("r", "outer"),
        ("", ""),
    ]


def test_a_context_ends_also_when_its_block_fails():
    stream = listen("json")
    with pytest.raises(ZeroDivisionError), log_context(node="creator"):
        raise ZeroDivisionError
    logger.info("after")
    assert objects(stream)[0]["node"] == ""


async def test_two_concurrent_tasks_do_not_see_each_others_context():
    stream = listen("json")
    barrier = asyncio.Barrier(2)

    async def work(run_id: str) -> None:
        with log_context(run_id=run_id):
            for _ in range(3):
                await barrier.wait()
                logger.info(run_id)

    await asyncio.gather(work("first"), work("second"))
    lines = objects(stream)
    assert len(lines) == 6
    assert [line["run_id"] for line in lines] == [line["message"] for line in lines]


async def test_a_task_inherits_the_context_in_which_it_was_started():
    stream = listen("json")

    async def work() -> None:
        with log_context(node="creator"):
            logger.info("inside")

    with log_context(run_id="r"):
        await asyncio.create_task(work())
        logger.info("outside")
    assert [(line["run_id"], line["node"]) for line in objects(stream)] == [
        ("r", "creator"),
        ("r", ""),
    ]


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("DEBUG", "DEBUG INFO WARNING ERROR CRITICAL"),
        ("INFO", "INFO WARNING ERROR CRITICAL"),
        ("WARNING", "WARNING ERROR CRITICAL"),
        ("ERROR", "ERROR CRITICAL"),
        ("CRITICAL", "CRITICAL"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_only_lines_of_the_level_and_above_are_written(form: Form, level: str, written: str):
    stream = listen(form, level)
    for name in ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]:
        logger.log(logging.getLevelNamesMapping()[name], "said")
    assert re.findall(r"DEBUG|INFO|WARNING|ERROR|CRITICAL", stream.getvalue()) == written.split()


def test_configuring_again_replaces_the_stream_and_repeats_no_line():
    first, second = listen("text"), listen("json")
    logger.info("once")
    assert first.getvalue() == ""
    assert len(objects(second)) == 1


def test_lines_do_not_reach_the_root_logger(caplog: pytest.LogCaptureFixture):
    listen("text")
    logger.error("ours alone")
    assert caplog.records == []


def test_without_a_stream_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]):
    configure_logging("INFO", "text", Redactor())
    logger.info("said")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith(": said\n")


# Letters that JSON writes as they are: what is absent from the raw line is absent altogether.
# The keys of the object are ours, so a secret that spells one of them is none.
KEYS = ("time", "level", "logger", "message", "exception", *FIELDS)
plain = st.text(
    alphabet=string.ascii_letters + string.digits + "_-+/=.", min_size=6, max_size=40
).filter(lambda secret: not any(secret in key for key in KEYS))
# Any letters, those that JSON escapes among them; the mask itself cannot be masked.
hard = st.text(min_size=6, max_size=40).filter(lambda s: s.strip() and not set(s) & set("[]"))


def say(secret: str, around: str) -> None:
    """Log a secret by every way that text can take into a line."""
    logger.warning(f"message {around}{secret}{around}")  # noqa: G004 - what must not leak either
    logger.warning("argument %s and %s", secret, around)
    logger.warning("nested %s", {"key": [secret]})
    with log_context(node=secret, provider=around + secret):
        logger.warning("context")
    try:
        try:
            raise ValueError(f"cause {secret}")
        except ValueError as error:
            raise RuntimeError(secret) from error
    except RuntimeError:
        logger.exception("exception %s", secret)


@given(secret=plain, around=st.text(alphabet=" \"'\\\n{}ñ:,", max_size=5))
def test_a_secret_survives_in_no_text_line(secret: str, around: str):
    stream = listen("text", "DEBUG", secret)
    say(secret, around)
    shown = stream.getvalue()
    assert secret not in shown.replace(MASK, "[]")
    assert shown.count(MASK) >= 8


@given(secret=plain, around=st.text(alphabet=" \"'\\\n{}ñ:,", max_size=5))
def test_a_secret_survives_in_no_json_line(secret: str, around: str):
    stream = listen("json", "DEBUG", secret)
    say(secret, around)
    assert secret not in stream.getvalue().replace(MASK, "[]")


@given(secret=hard, around=st.text(max_size=5))
def test_json_lines_stay_parseable_and_free_of_secrets_that_json_would_escape(
    secret: str, around: str
):
    stream = listen("json", "DEBUG", secret)
    logger.warning("%s", around.replace("]", "") + secret + around.replace("[", ""))
    try:
        raise RuntimeError(secret)
    except RuntimeError:
        logger.exception("exception")
    lines = objects(stream)
    assert len(lines) == 2
    values = [value.replace(MASK, "[]") for line in lines for value in line.values()]
    assert [value for value in values if secret in value] == []


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_looks_like_a_key_is_masked_although_nobody_named_it(form: Form):
    stream = listen(form)
    logger.error("refused: %s", {"Authorization": "Bearer sk-abcdefghijklmnop"})
    assert "abcdefghijklmnop" not in stream.getvalue()
    assert MASK in stream.getvalue()


def test_a_mask_inside_quotes_leaves_a_json_line_parseable():
    stream = listen("json", "DEBUG", CANARY)
    logger.error('headers {"token": "%s"}', CANARY)
    assert objects(stream)[0]["message"] == f'headers {{"token": "{MASK}"}}'


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_that_cannot_be_formatted_shows_none_of_its_arguments(
    form: Form, capsys: pytest.CaptureFixture[str]
):
    stream = listen(form, "INFO")
    logger.info("a number: %d", "sk-this-is-a-secret-value")
    logged = stream.getvalue() + capsys.readouterr().err
    assert "has a fault" in logged
    assert "sk-this" not in logged


def test_a_closed_stream_stops_nobody():
    stream = listen("text", "INFO")
    stream.close()
    logger.info("said to nobody")
