"""The code blocks of README and docs do what they say, and their links lead somewhere."""

import re
import shlex
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agent_lab.api.server import create_app
from agent_lab.config import Settings
from agent_lab.lab import build
from agent_lab.providers.provider_gateway import ProviderGateway
from tests.api.conftest import serving
from tests.conftest import REPOSITORY

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
DEBATES = REPOSITORY / "docs" / "debates"
"""What models wrote is not run."""
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
SMALLEST = "smollm2-135m"


def blocks(language: str) -> list[str]:
    texts = [path.read_text("utf-8") for path in PAGES if path.parent != DEBATES]
    return [block for text in texts for kind, block in BLOCK.findall(text) if kind == language]


def commands(program: str) -> list[str]:
    lines = "".join(blocks("bash")).replace("\\\n", " ").splitlines()
    return sorted({line.strip() for line in lines if line.strip().startswith(f"{program} ")})


def flow_of_the_page() -> str:
    return next(block for block in blocks("json") if '"entry_point"' in block)


@pytest.mark.parametrize("block", blocks("python"))
def test_a_python_block_runs(block: str, capsys: pytest.CaptureFixture[str]):
    exec(compile(block, "a page", "exec"), {"__name__": "__main__"})  # noqa: S102 - our own pages
    assert capsys.readouterr().out


@pytest.mark.weights(SMALLEST)
@pytest.mark.parametrize("command", commands("agent-lab"))
def test_a_command_runs(command: str, monkeypatch: pytest.MonkeyPatch):
    from agent_lab.cli.main import execute

    monkeypatch.setenv("AGENT_LAB_DEFAULT_MODEL", SMALLEST)
    monkeypatch.setenv("MAX_TOKENS_DEFAULT", "8")
    Path("notes.md").write_text("Some notes.", "utf-8")
    Path("my_flow.json").write_text(flow_of_the_page(), "utf-8")
    command = re.sub(r"qwen[\w.-]+", SMALLEST, command)
    arguments = shlex.split(command)[1:]
    limited = ["--max-tokens", "8"] if arguments[0] in {"run", "ask"} else []
    assert execute([*arguments, *limited]) == 0


@pytest.mark.parametrize("command", commands("curl"))
async def test_a_request_is_answered(command: str, settings: Settings):
    """Sent by a client of our own: not every machine has curl."""
    _, *arguments = shlex.split(command)
    options = dict(zip(arguments, arguments[1:], strict=False))
    url = next(argument for argument in arguments if argument.startswith("http"))
    assert urlsplit(url).netloc == "localhost:8001"
    headers = dict([options["-H"].split(": ")]) if "-H" in options else {}
    lab = build(settings, gateway=ProviderGateway.scripted(lambda call: "an answer"))
    async with (
        serving(create_app(settings, lab=lab)) as served,
        served.http.request(
            options.get("-X", "GET"), urlsplit(url).path, data=options.get("-d"), headers=headers
        ) as response,
    ):
        assert response.status == 200, await response.text()
        assert await response.read()


def test_there_are_blocks_to_test():
    assert len(blocks("python")) >= 3
    assert len(commands("agent-lab")) >= 5
    assert len(commands("curl")) >= 5


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_to_a_file_leads_to_it(page: Path):
    for target in re.findall(r"\]\((?!http)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target
