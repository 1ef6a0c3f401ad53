"""An engine without a model, for `EngineProcess`: does as it is told, however odd that is."""

import os
import sys
import time

import orjson


def say(**line) -> None:
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    first = orjson.loads(sys.stdin.buffer.readline())
    if first.get("end"):
        os._exit(first["end"])
    say(heard=first)
    endless = set()
    for text in sys.stdin.buffer:
        line = orjson.loads(text)
        number = line["id"]
        for piece in line.get("pieces", ()):
            say(id=number, chunk=piece)
        if line.get("endless"):
            endless.add(number)
        elif line.get("end"):
            os._exit(line["end"])
        elif line.get("stop"):
            say(id=number, end=True, stopped=number in endless)
        else:
            say(id=number, end=True)
    while first.get("stays"):
        time.sleep(1)
