"""How much memory there is for models, on machines with and without a GPU."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from agent_lab.errors import UnknownModelError
from agent_lab.providers.local.gpu_guard import (
    Gpu,
    Room,
    can_load_model,
    get_available_vram,
    read_gpus,
    read_room,
)
from agent_lab.providers.local.machine import total_ram


class NvmlError(Exception):
    """As the library raises it."""


class Nvml:
    """A stand-in for NVIDIA's library.

    Args:
        devices: Name, total and free bytes of each GPU; None: one that cannot be read.
        driver: Whether there is a driver.
    """

    NVMLError = NvmlError

    def __init__(self, *devices: tuple[str, int, int] | None, driver: bool = True) -> None:
        self._devices = devices
        self._driver = driver
        self.open = 0

    def nvmlInit(self) -> None:  # noqa: N802 - the library's names
        if not self._driver:
            raise NvmlError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self._devices)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> tuple[str, int, int]:  # noqa: N802
        device = self._devices[index]
        if device is None:
            raise NvmlError("GPU is lost")
        return device

    def nvmlDeviceGetMemoryInfo(self, device: tuple[str, int, int]) -> SimpleNamespace:  # noqa: N802
        return SimpleNamespace(total=device[1], free=device[2], used=device[1] - device[2])

    def nvmlDeviceGetName(self, device: tuple[str, int, int]) -> str:  # noqa: N802
        return device[0]


def test_memory_is_read_in_gb_of_a_thousand_million_bytes():
    nvml = Nvml(("H100", 80_000_000_000, 79_500_000_000), ("T4", 16 * 2**30, 2**30))
    assert read_gpus(nvml) == (
        Gpu(index=0, name="H100", total_gb=80.0, free_gb=79.5),
        Gpu(index=1, name="T4", total_gb=17.179869184, free_gb=1.073741824),
    )


@pytest.mark.parametrize("nvml", [Nvml(driver=False), Nvml()], ids=["no driver", "no device"])
def test_a_machine_without_a_gpu_has_none(nvml: Nvml):
    assert read_gpus(nvml) == ()


@pytest.mark.parametrize(
    "nvml", [Nvml(), Nvml(("T4", 2, 1)), Nvml(("T4", 2, 1), None), Nvml(driver=False)]
)
def test_the_library_is_left_as_it_was_found_also_when_a_device_cannot_be_read(nvml: Nvml):
    read_gpus(nvml)
    assert nvml.open == 0


def test_a_gpu_that_cannot_be_read_hides_no_other():
    nvml = Nvml(None, ("T4", 2_000_000_000, 1_000_000_000))
    assert read_gpus(nvml) == (Gpu(index=1, name="T4", total_gb=2.0, free_gb=1.0),)


def test_an_engine_on_the_gpu_has_the_memory_of_all_gpus_within_the_limit():
    nvml = Nvml(("A", 24_000_000_000, 20_000_000_000), ("B", 24_000_000_000, 10_000_000_000))
    assert read_room(None, on_gpu=True, nvml=nvml) == Room(48_000_000_000, 30_000_000_000)
    assert read_room(6.5, on_gpu=True, nvml=nvml) == Room(6_500_000_000, 30_000_000_000)


def test_where_a_gpu_of_another_maker_is_used_the_main_memory_counts():
    room = read_room(None, on_gpu=True, nvml=Nvml(driver=False))
    assert room.limit == total_ram()
    assert room.free > 0
    assert read_room(8, on_gpu=True, nvml=Nvml(driver=False)).limit == 8_000_000_000


def test_an_engine_on_the_processor_has_the_main_memory_within_the_limit():
    room = read_room(None, on_gpu=False, nvml=Nvml(("A", 1, 1)))
    assert room.limit == total_ram()
    assert 0 < room.free <= room.limit
    assert read_room(0.5, on_gpu=False).limit == 500_000_000


def test_the_free_memory_of_this_machines_gpus_is_a_number():
    free = get_available_vram()
    assert isinstance(free, float)
    assert free == pytest.approx(max((gpu.free_gb for gpu in read_gpus()), default=0.0), rel=0.2)


def test_a_model_can_be_loaded_if_it_fits_into_what_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "models.toml"
    entry = '[models.{}]\nprovider = "local"\ncontext_window = 512\nmin_vram_gb = {}\n'
    path.write_text(entry.format("tiny", 0.001) + entry.format("giant", 1e6), encoding="utf-8")
    monkeypatch.setenv("AGENT_LAB_MODELS_FILE", str(path))
    assert can_load_model("tiny")
    assert can_load_model("smollm2-135m")
    assert not can_load_model("giant")
    with pytest.raises(UnknownModelError, match="`gigant`"):
        can_load_model("gigant")
