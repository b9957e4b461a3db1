"""What README and CONTRIBUTING tell a reader to type works as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from uadbench import scaffold
from uadbench.registry import KINDS, listings

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(\w+) file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_method_of_contributing_is_the_one_that_is_written() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()

    ((_, name, content),) = BLOCK.findall(text)

    assert content == scaffold.render("rarity")[name]


def test_commands_of_contributing_make_install_check_and_run_a_method(
    tmp_path: Path,
) -> None:
    (commands,) = COMMANDS.findall((ROOT / "CONTRIBUTING.md").read_text())
    new, install, *others = commands.strip().splitlines()
    assert install == "pip install -e uadbench-rarity"

    def call(command: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", *command.split()],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    call(new)
    # Into a folder of its own, so that the test leaves no trace in the environment.
    into = "--quiet --no-deps --no-build-isolation --target site ./uadbench-rarity"
    call(f"pip install {into}")
    checked, tested, run = map(call, others)

    assert all(line.startswith("  ok ") for line in checked.splitlines()[1:])
    assert " passed" in tested
    assert "Rarity (seed 0)" in run
    assert (tmp_path / "runs/rarity-phantom-seed0/report/index.html").is_file()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "reports"])
def test_readme_names_every_plugin(kind: str) -> None:
    text = (ROOT / "README.md").read_text()

    missing = [e.name for e in listings(kind) if f"`{e.name}`" not in text]  # type: ignore[arg-type]  # a Kind

    assert missing == []


def test_every_command_of_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text()
    called = set(re.findall(r"(?:^|&& |`)uadbench (\w+)", text, re.MULTILINE))
    assert "run" in called

    executable = shutil.which("uadbench", path=str(Path(sys.executable).parent))
    assert executable is not None
    listed = subprocess.run(
        [executable, "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert [name for name in called if f" {name} " not in listed] == []
