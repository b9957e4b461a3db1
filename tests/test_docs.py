"""What README and CONTRIBUTING tell a reader to type works as it stands there."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from uadbench.registry import KINDS, listings

ROOT = Path(__file__).resolve().parents[1]
BLOCK = re.compile(r"^```(\w+) file=(\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMANDS = re.compile(r"^```bash\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_method_of_contributing_installs_and_runs(tmp_path: Path) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    for _, name, content in BLOCK.findall(text):
        (tmp_path / name).write_text(content)
    (commands,) = COMMANDS.findall(text)
    install, *others = commands.strip().splitlines()
    assert install == "pip install -e ."
    # Into a folder of its own, so that the test leaves no trace in the environment.
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"),
            *("--no-build-isolation", "--target", "site", "."),
        ],
        cwd=tmp_path,
        check=True,
    )

    done = [
        subprocess.run(
            [sys.executable, "-m", *command.split()],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
            capture_output=True,
            text=True,
            check=True,
        )
        for command in others
    ]

    assert "--preset demo: bins=50" in done[0].stdout
    assert "Rarity (seed 0)" in done[1].stdout
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
