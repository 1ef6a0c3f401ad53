"""llama.cpp in a process of its own: what it is told and what it says are lines of JSON.

In the lab's process, a model that is loaded would stop everything else for as long as that takes
(the binding keeps Python's lock), and a model that llama.cpp gives up on would end it. Run by
`EngineProcess`; it ends when its standard input does. Told first, one of:

    {"devices": true}                 says {"devices": ["CPU", …]}, and ends
    {"load": {…}}                     says {"ready": true} or {"failed": "…"}

and then, any number of times, also at once:

    {"id": 1, "chat": {…}}            says {"id": 1, "chunk": {…}}, …, {"id": 1, "end": true},
                                      or {"id": 1, "refused": "…"}
    {"id": 1, "stop": true}           the chat of this number ends before its next chunk
"""

import os
import secrets
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO

import orjson

from agent_lab.providers.local.heap import give_large_blocks_back

QUIET, VERBOSE = -1, 3


def main() -> None:
    """Do what standard input says, until it ends."""
    told = sys.stdin.buffer
    # llama.cpp prints, too: what it says goes to standard error, past our lines.
    said = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    first = orjson.loads(told.readline() or b"{}")
    voice = _Voice(said)
    if "devices" in first:
        voice.say({"devices": _devices()})
    elif "load" in first:
        _serve(first["load"], told, voice)
    # Threads of the engine may be at work: nothing of theirs is worth waiting for.
    os._exit(0)


class _Voice:
    """Says one line at a time, whichever thread it is that speaks."""

    def __init__(self, said: BinaryIO) -> None:
        self._said = said
        self._lock = threading.Lock()

    def say(self, line: Mapping[str, Any]) -> None:
        """Say something."""
        text = orjson.dumps(line) + b"\n"
        with self._lock:
            self._said.write(text)
            self._said.flush()


def _devices() -> list[str]:
    import xllamacpp

    return [str(device["type"].name).rpartition("_")[2] for device in xllamacpp.get_device_info()]


def _serve(load: Mapping[str, Any], told: BinaryIO, voice: _Voice) -> None:
    try:
        server = _loaded(load)
    except RuntimeError as error:
        voice.say({"failed": str(error)})
        return
    voice.say({"ready": True})
    chats: dict[int, threading.Event] = {}
    threads = ThreadPoolExecutor(load["slots"])
    for line in told:
        message = orjson.loads(line)
        number = message["id"]
        if "chat" in message:
            chats[number] = threading.Event()
            threads.submit(_chat, server, number, message["chat"], chats, voice)
        elif number in chats:
            chats[number].set()


def _loaded(load: Mapping[str, Any]) -> Any:
    """Load a model.

    Raises:
        RuntimeError: llama.cpp cannot; its reason is on standard error.
    """
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = load["path"]
    params.model_alias = {load["key"]}
    params.n_parallel = load["slots"]
    params.n_ctx = load["slots"] * load["context"]
    # Else the engine shortens the window to what it thinks is free.
    params.fit_params = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = load["threads"]
    params.n_batch = params.n_ubatch = load["batch"]
    params.cache_ram_mib = load["prompt_cache_mib"]
    params.n_ctx_checkpoints = load["checkpoints"]
    if not load["on_gpu"]:
        # Mapped, a file lies in memory beside the copy that is laid out for this processor:
        # 1.5 B parameters took 2.05 GB instead of 1.43, for 1 s less of loading.
        params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    params.verbosity = VERBOSE if load["verbose"] else QUIET
    # The binding also listens on a random loopback port: nobody else may use it.
    params.api_keys = [secrets.token_hex(32)]
    params.endpoint_slots = params.ui = False
    params.endpoint_metrics = True
    give_large_blocks_back()
    server = xllamacpp.Server(params)
    # The binding returns before its loop runs. Metrics are what the loop answers at once.
    server.handle_metrics()
    return server


def _chat(
    server: Any,
    number: int,
    body: dict[str, Any],
    chats: dict[int, threading.Event],
    voice: _Voice,
) -> None:
    stopped = chats[number]

    def on_chunk(chunk: Mapping[str, Any]) -> bool:
        voice.say({"id": number, "chunk": chunk})
        return stopped.is_set()

    try:
        server.handle_chat_completions(body, on_chunk)
        last: dict[str, Any] = {"end": True}
    except ValueError as error:
        last = {"refused": str(error)}
    del chats[number]
    voice.say({"id": number, **last})
