import pytest

from agent_lab.errors import ConfigurationError
from agent_lab.providers.local.weights.gguf_choice import HubFile, choose_file, split_name


def files(**sizes: int) -> list[HubFile]:
    return [HubFile(f"tiny-{name}.gguf", size, "a" * 64) for name, size in sizes.items()]


@pytest.mark.parametrize(
    ("name", "model", "quantisation"),
    [
        ("qwen2.5-coder-1.5b-instruct-q4_k_m.gguf", "qwen2.5-coder-1.5b-instruct", "Q4_K_M"),
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "SmolLM2-135M-Instruct", "Q4_1"),
        ("Qwen3-0.6B-UD-Q4_K_XL.gguf", "Qwen3-0.6B", "Q4_K_XL"),
        ("some.i1-IQ3_XXS.gguf", "some", "IQ3_XXS"),
        ("gpt-oss-20b-mxfp4.gguf", "gpt-oss-20b", "MXFP4"),
        ("tiny-BF16.GGUF", "tiny", "BF16"),
        ("tiny_fp16.gguf", "tiny", "FP16"),
        ("q8_0.gguf", "", "Q8_0"),
        ("Qwen3-0.6B-GGUF", "Qwen3-0.6B", ""),
        ("Foo-7B-Q4_K_M-GGUF", "Foo-7B", "Q4_K_M"),
        ("FAQ2.gguf", "FAQ2", ""),
    ],
)
def test_names_say_the_model_and_its_quantisation(name: str, model: str, quantisation: str) -> None:
    assert split_name(name) == (model, quantisation)


@pytest.mark.parametrize(
    ("sizes", "chosen"),
    [
        ({"Q8_0": 80, "Q4_K_M": 45, "Q2_K": 20, "F16": 160}, "Q4_K_M"),
        ({"Q8_0": 80, "Q6_K": 60, "Q4_K_S": 44}, "Q4_K_S"),
        ({"IQ2_M": 22, "Q3_K_L": 35, "Q2_K": 20}, "Q2_K"),
        ({"BF16": 160, "F32": 320, "IQ1_S": 10}, "IQ1_S"),
        ({"F32": 320, "F16": 160}, "F16"),
        ({"IQ1_S": 10, "Q8_0": 80}, "Q8_0"),
        ({"instruct": 50, "F16": 10}, "instruct"),
    ],
)
def test_the_best_balance_is_preferred_and_unquantised_weights_come_last(
    sizes: dict[str, int], chosen: str
) -> None:
    for order in (sizes, dict(reversed(sizes.items()))):
        assert choose_file("o/r", files(**order)).path == f"tiny-{chosen}.gguf"


@pytest.mark.parametrize(
    "beside",
    [
        "tiny-Q4_K_M-00001-of-00003.gguf",
        "mmproj-tiny-Q4_K_M.gguf",
        "sub/mmproj.gguf",
        "tiny.imatrix-Q4_K_M.gguf",
        "mtp-Q4_K_M.gguf",
        "README.md",
    ],
)
def test_what_is_no_whole_model_is_not_chosen(beside: str) -> None:
    known = [HubFile(beside, 1, "a" * 64), HubFile("tiny-F32.gguf", 9, "a" * 64)]
    assert choose_file("o/r", known).path == "tiny-F32.gguf"


def test_named_file_is_chosen_whatever_it_is() -> None:
    known = files(Q4_K_M=45, F32=320)
    assert choose_file("o/r", known, "tiny-F32.gguf").path == "tiny-F32.gguf"


def test_named_file_that_is_not_there_lists_those_that_are() -> None:
    known = [HubFile(f"m-{number:02}.gguf", 1, "") for number in range(12)]
    with pytest.raises(ConfigurationError) as caught:
        choose_file("o/r", known, "x.gguf")
    assert "`o/r` has no file `x.gguf`; its GGUF files are `m-00.gguf`" in caught.value.message
    assert "`m-09.gguf` and 2 more." in caught.value.message
    assert len(caught.value.details["known"]) == 12


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("", "`o/r` has no GGUF file of a model, and llama.cpp loads no other."),
        ("model.safetensors", "`model.safetensors` is no GGUF file and llama.cpp loads no other."),
    ],
)
def test_repository_without_gguf_says_where_to_look(named: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        choose_file("o/r", [HubFile("model.safetensors", 1, "")], named)
    assert caught.value.message == message
    assert "`Quantizations`" in caught.value.hint


@pytest.mark.parametrize("named", ["", "tiny-Q8_0-00002-of-00003.gguf"])
def test_model_in_parts_is_refused(named: str) -> None:
    known = [HubFile(f"tiny-Q8_0-0000{part}-of-00003.gguf", 1, "") for part in (1, 2, 3)]
    with pytest.raises(ConfigurationError, match="in several parts") as caught:
        choose_file("o/r", known, named)
    assert "llama-gguf-split --merge" in caught.value.hint
