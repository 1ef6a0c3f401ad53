import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from agent_lab import plugins
from agent_lab.errors import ConfigurationError, UnknownPluginError
from agent_lab.plugins import Registry

GROUP = "agent_lab.gadgets"
_serial = count()

MakePackage = Callable[[dict[str, str]], str]


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePackage]:
    """Write packages of modules that can be imported while the test runs."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def make(modules: dict[str, str]) -> str:
        name = f"gadgets_{next(_serial)}"
        made.append(name)
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").touch()
        for module, source in modules.items():
            (tmp_path / name / f"{module}.py").write_text(source, encoding="utf-8")
        return name

    yield make
    for module in [m for m in sys.modules if m.split(".")[0] in made]:
        del sys.modules[module]


@pytest.fixture
def entry_point_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The groups that were asked for; no installed package has anything."""
    reads: list[str] = []

    def fake(group: str) -> tuple[EntryPoint, ...]:
        reads.append(group)
        return ()

    monkeypatch.setattr(plugins, "entry_points", fake)
    return reads


def install(monkeypatch: pytest.MonkeyPatch, *entries: EntryPoint) -> None:
    monkeypatch.setattr(
        plugins, "entry_points", lambda group: [e for e in entries if e.group == group]
    )


def registry_of(*packages: str) -> Registry[Any]:
    return Registry("gadget", packages, "_gadget", GROUP)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Callable[[Registry[Any]], None]:
    """Give modules under test a registry to register in, as `gadget_registry.REGISTRY`."""

    def share(registry: Registry[Any]) -> None:
        module = type(sys)("gadget_registry")
        module.REGISTRY = registry  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "gadget_registry", module)

    return share


def registering(name: str) -> str:
    return (
        "from gadget_registry import REGISTRY\n"
        f"@REGISTRY.register({name!r})\n"
        f"class Gadget:\n    label = {name!r}\n"
    )


MUST_NOT_BE_IMPORTED = "raise AssertionError('imported')"


def test_a_plugin_is_found_by_its_file_name_and_only_its_module_is_imported(
    make_package, shared, entry_point_reads
):
    package = make_package(
        {
            "lamp_gadget": registering("lamp"),
            "bomb_gadget": MUST_NOT_BE_IMPORTED,
            "helper": MUST_NOT_BE_IMPORTED,
        }
    )
    registry = registry_of(package)
    shared(registry)
    assert f"{package}.lamp_gadget" not in sys.modules
    assert registry.get("lamp").label == "lamp"
    assert {m for m in sys.modules if m.startswith(f"{package}.")} == {f"{package}.lamp_gadget"}


def test_a_plugin_is_found_in_every_one_of_several_packages(make_package, shared):
    first = make_package({"lamp_gadget": registering("lamp")})
    second = make_package({"horn_gadget": registering("horn")})
    registry = registry_of(first, second)
    shared(registry)
    assert (registry.get("horn").label, registry.get("lamp").label) == ("horn", "lamp")


def test_asking_twice_gives_the_same_plugin_and_imports_once(make_package, shared):
    package = make_package({"lamp_gadget": registering("lamp")})
    registry = registry_of(package)
    shared(registry)
    first = registry.get("lamp")
    del sys.modules[f"{package}.lamp_gadget"]
    assert registry.get("lamp") is first
    assert f"{package}.lamp_gadget" not in sys.modules


def test_names_are_listed_without_importing_anything(make_package, entry_point_reads):
    package = make_package({"lamp_gadget": MUST_NOT_BE_IMPORTED, "helper": MUST_NOT_BE_IMPORTED})
    registry = registry_of(package)
    registry.register("own")(object())
    assert registry.names() == {"lamp", "own"}
    assert f"{package}.lamp_gadget" not in sys.modules


def test_the_decorator_gives_back_what_it_decorates():
    plugin = object()
    assert registry_of().register("lamp")(plugin) is plugin


def test_two_plugins_of_one_name_are_an_error():
    registry = registry_of()
    registry.register("lamp")(object())
    with pytest.raises(ConfigurationError, match="two plugins for gadget `lamp`"):
        registry.register("lamp")(object())


def test_the_first_of_two_plugins_stays():
    registry, first = registry_of(), object()
    registry.register("lamp")(first)
    with pytest.raises(ConfigurationError):
        registry.register("lamp")(object())
    assert registry.get("lamp") is first


def test_the_same_plugin_may_be_registered_again():
    registry, plugin = registry_of(), object()
    registry.register("lamp")(plugin)
    assert registry.register("lamp")(plugin) is plugin


@pytest.mark.parametrize(
    "name", ["", "Lamp", "1lamp", "_lamp", "lamp-post", "lamp post", "lámp", "a.b", "a/b", "lamp\n"]
)
def test_a_malformed_name_is_an_error_that_shows_the_rule(name: str):
    with pytest.raises(ConfigurationError) as caught:
        registry_of().register(name)
    assert f"`{name}` is no gadget name" in caught.value.message
    assert plugins.NAME.pattern in caught.value.message


@pytest.mark.parametrize("name", ["a", "lamp", "lamp_2", "l1"])
def test_a_well_formed_name_is_taken(name: str):
    registry, plugin = registry_of(), object()
    registry.register(name)(plugin)
    assert registry.get(name) is plugin


def test_an_unknown_name_lists_the_near_ones(make_package, entry_point_reads):
    package = make_package({"lamp_gadget": "", "horn_gadget": ""})
    with pytest.raises(UnknownPluginError, match=r"`lmap`; did you mean `lamp`\.$"):
        registry_of(package).get("lmap")


def test_an_unknown_name_lists_every_plugin_when_none_is_near(
    make_package, monkeypatch: pytest.MonkeyPatch
):
    install(monkeypatch, EntryPoint("siren", "others:Siren", GROUP))
    package = make_package({"lamp_gadget": ""})
    with pytest.raises(UnknownPluginError) as caught:
        registry_of(package).get("zzz")
    assert caught.value.details["known"] == ["lamp", "siren"]
    assert "`lamp`, `siren`" in caught.value.message


def test_entry_points_are_not_read_for_a_name_that_is_found(
    make_package, shared, entry_point_reads
):
    registry = registry_of(make_package({"lamp_gadget": registering("lamp")}))
    shared(registry)
    registry.register("own")(object())
    registry.get("own")
    registry.get("lamp")
    registry.get("lamp")
    assert entry_point_reads == []


def test_entry_points_of_its_own_group_are_read_for_a_name_that_is_not_found(entry_point_reads):
    with pytest.raises(UnknownPluginError):
        registry_of().get("zzz")
    assert set(entry_point_reads) == {GROUP}


def test_a_plugin_of_an_installed_package_is_found_by_its_entry_point(
    make_package, monkeypatch: pytest.MonkeyPatch
):
    others = make_package({"siren": "class Siren:\n    pass\n", "bomb": MUST_NOT_BE_IMPORTED})
    install(
        monkeypatch,
        EntryPoint("bomb", f"{others}.bomb:Bomb", GROUP),
        EntryPoint("siren", f"{others}.bomb:Bomb", "another.group"),
        EntryPoint("siren", f"{others}.siren:Siren", GROUP),
    )
    registry = registry_of()
    assert registry.get("siren").__name__ == "Siren"
    assert registry.get("siren") is sys.modules[f"{others}.siren"].Siren


def test_an_entry_point_may_register_itself_by_the_decorator(
    make_package, shared, monkeypatch: pytest.MonkeyPatch
):
    others = make_package({"siren": registering("siren")})
    install(monkeypatch, EntryPoint("siren", f"{others}.siren:Gadget", GROUP))
    registry = registry_of()
    shared(registry)
    assert registry.get("siren").label == "siren"


def test_a_shipped_plugin_is_not_replaced_by_an_entry_point_of_its_name(
    make_package, shared, monkeypatch: pytest.MonkeyPatch
):
    shipped = make_package({"lamp_gadget": registering("lamp")})
    others = make_package({"lamp": MUST_NOT_BE_IMPORTED})
    install(monkeypatch, EntryPoint("lamp", f"{others}.lamp:Lamp", GROUP))
    registry = registry_of(shipped)
    shared(registry)
    assert registry.get("lamp").label == "lamp"


def test_a_plugin_whose_module_cannot_be_imported_says_why(make_package):
    package = make_package({"lamp_gadget": "import a_package_that_nobody_has"})
    with pytest.raises(ModuleNotFoundError, match="a_package_that_nobody_has"):
        registry_of(package).get("lamp")
