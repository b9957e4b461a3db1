"""The promise to other packages: install it beside uadbench, and it takes part."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ASSETS = Path(__file__).parent / "assets"
Call = Callable[..., Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the package `uadbench-tiny`."""
    folder = tmp_path_factory.mktemp("installed")
    source = folder / "source"
    source.mkdir()
    for path in (ASSETS / "tiny").glob("*.*"):
        (source / path.name).write_text(path.read_text())
    words = ("--quiet", "--no-deps", "--no-build-isolation", "--target", "site", ".")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *words], cwd=source, check=True
    )
    return source / "site"


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch, toy: object) -> None:
    """Tiny, the toys and a package of which every plugin is broken, side by side."""
    monkeypatch.syspath_prepend(site)
    monkeypatch.syspath_prepend(ASSETS / "broken")


@pytest.mark.usefixtures("installed")
def test_method_of_a_package_is_listed_checked_run_and_compared(call: Call) -> None:
    listed = call("list", "methods", "--json")
    checked = call("check", "tiny", "--json")
    run = call("run", "-m", "tiny", "-d", "toy")
    compared = call("compare", "-m", "tiny,toy", "-d", "toy", "--set", "tiny.power=2")

    assert {"name": "tiny", "package": "uadbench-tiny"} in json.loads(listed.out)[
        "methods"
    ]
    assert checked.status == 0
    assert {finding["status"] for finding in json.loads(checked.out)} == {"ok"}
    assert run.status == 0
    assert "Tiny (seed 0)" in run.out
    assert Path("runs/tiny-toy-seed0/report/index.html").is_file()
    assert compared.status == 0
    table = Path("runs/compare-toy/report/table.md").read_text()
    assert all(title in table for title in ("Tiny", "Toy", "Intensity"))
    # Reports that cannot be made are named, in whosesoever run.
    for name in ("absent", "cardless", "partless"):
        assert f"warning: report '{name}' is left out" in run.err
        assert f"warning: report '{name}' is left out" in compared.err


@pytest.mark.usefixtures("installed")
def test_broken_plugins_are_listed_and_one_without_a_module_is_named(
    call: Call,
) -> None:
    done = call("list")

    assert done.status == 0
    assert all(f"  {name} " in done.out for name in ("tiny", "cardless", "plain"))
    warning = "warning: methods: 'absent' of package 'uadbench-broken': no module "
    assert f"{warning}'uadbench_absent'.\n" in done.err


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("absent", "cannot be imported: ModuleNotFoundError: No module named 'uadben"),
        ("unimportable", "cannot be imported: ModuleNotFoundError: No module named 'a"),
        ("cardless", "has no card: 'card' has to be a uadbench.protocols.Card."),
        ("classless", "is no class, but function."),
        ("partless", "lacks fit, predict, state, restore."),
        ("plain", "has no options: decorate it with pydantic.dataclasses.dataclass."),
    ],
)
def test_broken_method_is_told_to_who_asks_for_it(
    call: Call, name: str, reason: str
) -> None:
    run = call("run", "-m", name, "-d", "toy")
    checked = call("check", name, "--kind", "methods")

    told = f"methods: '{name}' of package 'uadbench-broken' {reason}"
    assert run.status == 4
    assert told in run.err
    assert not Path("runs").exists()
    assert checked.status == 4
    assert f"  FAILED  can be loaded: {told}" in checked.out
    assert "  skipped fits healthy scans: for want of 'can be loaded'\n" in checked.out
