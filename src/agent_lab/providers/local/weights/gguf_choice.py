"""Chooses the GGUF file of a repository that becomes a model, by what the files' names say."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from agent_lab.errors import ConfigurationError

PREFERRED = (
    *("Q4_K_M", "Q4_K_S", "Q5_K_M", "Q4_0", "Q6_K", "Q8_0"),
    *("Q4_1", "IQ4_XS", "IQ4_NL", "Q5_K_S", "Q5_0", "Q5_1", "Q4_K_XL", "MXFP4"),
)
"""Quantisations from the best balance of size and quality on; the others follow by size."""
UNQUANTISED = frozenset({"BF16", "F16", "FP16", "F32", "FP32"})
"""The last choice: several times as large and as slow, for an answer that is hardly better."""
_LISTED = 10
_QUANTISATION = re.compile(
    r"(?:^|[-._])(?:(?:ud|i1)-)?((?:i|t)?q\d\w*|(?:mx|nv)fp4\w*|bf16|fp?16|fp?32)$",
    re.ASCII | re.IGNORECASE,
)
_PART = re.compile(r"-\d{5}-of-\d{5}\.gguf$", re.ASCII | re.IGNORECASE)
# What stands beside a model: its eyes, the statistics of its quantisation, its draft layers.
_BESIDE = re.compile(r"(?:^|[-._])(?:mmproj|imatrix|mtp|dflash)(?:[-._]|$)", re.IGNORECASE)


class HubFile(NamedTuple):
    """A file of a repository."""

    path: str
    bytes: int
    """0: the hub does not say."""
    sha256: str
    """Empty: the hub does not say, as of files that are not in its large file storage."""


class ModelName(NamedTuple):
    """What a file's name, or a repository's, says."""

    model: str
    quantisation: str
    """In capitals; empty: the name says none."""


def split_name(name: str) -> ModelName:
    """Take the ending, `-GGUF` and the quantisation off the name of a file or a repository.

    Args:
        name: `SmolLM2-135M-Instruct.Q4_1.gguf`, `Qwen3-0.6B-GGUF`.
    """
    stem = re.sub(r"[-._]?gguf$", "", name, flags=re.IGNORECASE)
    match = _QUANTISATION.search(stem)
    return ModelName(stem[: match.start()], match[1].upper()) if match else ModelName(stem, "")


def choose_file(repository: str, files: Sequence[HubFile], named: str = "") -> HubFile:
    """Choose the file of a model.

    Args:
        repository: What messages call the repository.
        files: All of its files.
        named: Path of the one that is wanted; empty: the one that suits most machines.

    Raises:
        ConfigurationError: There is none, or the model is only there in several parts.
    """
    gguf = [file for file in files if file.path.lower().endswith(".gguf")]
    whole = [file for file in gguf if not _PART.search(file.path)]
    if named:
        gguf = [file for file in files if file.path == named]
        chosen = [file for file in whole if file.path == named]
    else:
        chosen = sorted((file for file in whole if not _is_beside(file)), key=_rank)
    if chosen:
        return chosen[0]
    if named and not gguf:
        raise _no_such_file(repository, named, [file.path for file in whole])
    if any(_PART.search(file.path) for file in gguf):
        raise ConfigurationError(
            f"`{named or repository}` holds a model in several parts, and only whole files are "
            "loaded.",
            hint="Name another file or repository, or join the parts with llama.cpp's "
            "llama-gguf-split --merge and write an entry with a source file:PATH",
            details={"repository": repository},
        )
    raise ConfigurationError(
        f"`{named or repository}` is no GGUF file and llama.cpp loads no other."
        if named
        else f"`{repository}` has no GGUF file of a model, and llama.cpp loads no other.",
        hint="Name a repository of GGUF files: the model's page lists those that others made of "
        "it under `Quantizations`; their names mostly end with -GGUF",
        details={"repository": repository},
    )


def _is_beside(file: HubFile) -> bool:
    return bool(_BESIDE.search(PurePosixPath(file.path).name))


def _rank(file: HubFile) -> tuple[int, int, str]:
    quantisation = split_name(PurePosixPath(file.path).name).quantisation
    if quantisation in PREFERRED:
        place = PREFERRED.index(quantisation)
    else:
        place = len(PREFERRED) + (quantisation in UNQUANTISED)
    return place, file.bytes, file.path


def _no_such_file(repository: str, named: str, known: Sequence[str]) -> ConfigurationError:
    listed = ", ".join(f"`{path}`" for path in sorted(known)[:_LISTED]) or "none"
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return ConfigurationError(
        f"`{repository}` has no file `{named}`; its GGUF files are {listed}{more}.",
        hint="Name one of them after `#`, or none: then one is chosen",
        details={"name": named, "known": sorted(known)},
    )
