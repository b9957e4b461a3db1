import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from uadbench.errors import ContractError, UsageError
from uadbench.registry import KINDS, find, listings, load

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return a function that installs a package with entry points of methods."""
    monkeypatch.syspath_prepend(tmp_path)

    def install_package(package: str, **methods: str) -> None:
        info = tmp_path / f"{package}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Name: {package}\nVersion: 1.0\n")
        lines = [f"{name} = {value}\n" for name, value in methods.items()]
        (info / "entry_points.txt").write_text(
            "".join(["[uadbench.methods]\n", *lines])
        )

    return install_package


def test_every_kind_has_built_in_plugins_in_order() -> None:
    for kind in KINDS:
        ours = [entry.name for entry in listings(kind) if entry.package == "uadbench"]

        assert ours
        assert ours == sorted(ours)


@pytest.mark.usefixtures("toy")
def test_plugin_of_another_package_is_listed_with_it() -> None:
    packages = {entry.name: entry.package for entry in listings("methods")}

    assert packages["toy"] == "uadbench-toy"
    assert packages["itermask2"] == "uadbench"


def test_plugin_is_loaded_by_its_name(toy: ModuleType) -> None:
    assert load("methods", "toy") is toy.ToyMethod
    assert load("datasets", "toy") is toy.ToyDataset
    assert load("reports", "toy") is toy.ToyReport


@pytest.mark.usefixtures("toy")
def test_broken_plugin_is_listed_and_fails_only_when_loaded() -> None:
    assert "broken" in [entry.name for entry in listings("methods")]

    with pytest.raises(ContractError) as caught:
        load("methods", "broken")

    assert str(caught.value) == (
        "methods: 'broken' of package 'uadbench-toy' cannot be imported: "
        "ModuleNotFoundError: No module named 'uadbench_absent'"
    )


@pytest.mark.parametrize("value", ["my-mod:X", "a b c", "__main__:X"])
def test_entry_point_that_names_no_module_is_lost(install: Install, value: str) -> None:
    install("other", odd=value)

    assert find("methods", "odd").lost == value


def test_package_without_a_name_is_listed(install: Install, tmp_path: Path) -> None:
    install("aaa", half="json:dumps")
    install("bbb", whole="json:dumps")
    (tmp_path / "aaa-1.0.dist-info" / "METADATA").unlink()

    assert find("methods", "half").package == "?"


def test_plugin_that_ends_python_fails_when_loaded(
    install: Install, tmp_path: Path
) -> None:
    (tmp_path / "leaves.py").write_text("import sys; sys.exit(3)")
    install("other", odd="leaves:Odd")

    with pytest.raises(ContractError, match="cannot be imported: SystemExit: 3"):
        load("methods", "odd")


def test_entry_point_that_is_no_plugin_is_refused(install: Install) -> None:
    install("other", odd="json:dumps")

    with pytest.raises(ContractError, match="'odd' of package 'other' is no class"):
        load("methods", "odd")


@pytest.mark.usefixtures("toy")
def test_unknown_name_gets_the_nearest_and_all() -> None:
    with pytest.raises(UsageError, match=r"methods: no 'tyo'\. Did you mean 'toy'\?"):
        load("methods", "tyo")


def test_ours_wins_a_clash_and_a_warning_names_both(install: Install) -> None:
    install("aaa", intensity="json:dumps")

    with pytest.warns(UserWarning, match="'intensity' of package 'aaa' is hidden by"):
        found = {entry.name: entry.package for entry in listings("methods")}

    assert found["intensity"] == "uadbench"


def test_of_two_others_the_first_by_name_wins_a_clash(install: Install) -> None:
    install("bbb", extra="json:dumps")
    install("aaa", extra="json:loads")

    with pytest.warns(UserWarning, match="package 'bbb' is hidden by that of 'aaa'"):
        found = {entry.name: entry.package for entry in listings("methods")}

    assert found["extra"] == "aaa"


def test_one_plugin_found_twice_is_no_clash(install: Install) -> None:
    install("aaa", extra="json:dumps")
    install("bbb", extra="json:dumps")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        names = [entry.name for entry in listings("methods")]

    assert names.count("extra") == 1


def test_list_imports_neither_a_plugin_nor_torch() -> None:
    code = (
        "import sys; from uadbench.cli import app;"
        "app(['list'], standalone_mode=False);"
        "heavy = ('torch', 'uadbench.methods', 'uadbench.datasets', 'uadbench.reports',"
        " 'pandas', 'scipy', 'matplotlib', 'nibabel');"
        "sys.exit([m for m in sys.modules if m.startswith(heavy)] or 0)"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )

    assert "itermask2" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")
