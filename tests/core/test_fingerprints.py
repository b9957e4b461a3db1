import sys
from pathlib import Path
from types import ModuleType

import pytest

from uadbench import slices, volumes
from uadbench.fingerprints import fingerprint, of_code, of_files


def module(path: Path, text: str) -> ModuleType:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    made = ModuleType("made")
    made.__file__ = str(path)
    return made


def test_other_parts_have_another_fingerprint() -> None:
    parts = [(), ("a",), ("a", "b"), ("ab",), (("a", "b"),), (1,), ("1",), (1.5, "a")]

    found = {fingerprint(*words) for words in parts}

    assert len(found) == len(parts)
    assert {len(word) for word in found} == {32}


def test_fingerprint_of_files_is_that_of_their_content(tmp_path: Path) -> None:
    one, two = tmp_path / "a", tmp_path / "b"
    one.write_bytes(b"12")
    two.write_bytes(b"3")
    before = of_files([one, two])

    assert of_files([one, two]) == before
    assert of_files([two, one]) != before
    one.write_bytes(b"1")
    two.write_bytes(b"23")
    assert of_files([one, two]) != before


def test_missing_file_has_no_fingerprint(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        of_files([tmp_path / "a"])


def test_code_that_changed_has_another_fingerprint(tmp_path: Path) -> None:
    before = of_code(module(tmp_path / "one.py", "A = 1"))
    after = of_code(module(tmp_path / "one.py", "A = 2"))

    assert before != after


def test_of_a_package_every_module_counts(tmp_path: Path) -> None:
    init = tmp_path / "pack" / "__init__.py"
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "part.py").write_text("A = 1")
    before = of_code(module(init, ""))
    (tmp_path / "pack" / "part.py").write_text("A = 2")

    assert of_code(module(init, "")) != before


def test_code_differs_by_module_and_by_packages() -> None:
    found = {
        of_code(slices),
        of_code(volumes),
        of_code(slices, volumes),
        of_code(slices, packages=()),
        of_code(sys.modules[__name__]),
    }

    assert len(found) == 5
    assert of_code(slices) == of_code(slices, packages=("numpy",))
