import ast
import tomllib
from pathlib import Path

import pytest

from uadbench import scaffold
from uadbench.errors import OutputError, UsageError


def test_name_with_dashes_becomes_a_module_a_class_and_a_title() -> None:
    files = scaffold.render("my-own-method")

    assert set(files) == {
        "pyproject.toml",
        "README.md",
        "my_own_method.py",
        "tests/test_my_own_method.py",
    }
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["entry-points"]["uadbench.methods"] == {
        "my-own-method": "my_own_method:MyOwnMethod"
    }
    assert project["tool"]["setuptools"]["py-modules"] == ["my_own_method"]
    assert 'title="My own method"' in files["my_own_method.py"]


@pytest.mark.parametrize("name", ["none", "prediction", "lazy", "method"])
def test_class_is_no_keyword_and_hides_no_import(name: str) -> None:
    module = ast.parse(scaffold.render(name)[f"{name}.py"])

    imported = {
        alias.name
        for statement in module.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    (made,) = (s.name for s in module.body if isinstance(s, ast.ClassDef))
    assert made not in imported


@pytest.mark.parametrize("name", ["x", "x" * scaffold.LONGEST])
def test_lines_are_short_whatever_the_name(name: str) -> None:
    files = scaffold.render(name)

    assert not any("$" in text for text in files.values())
    for text in (text for path, text in files.items() if path.endswith(".py")):
        assert max(map(len, text.splitlines())) <= 88
        ast.parse(text)


def test_package_is_written_into_a_new_folder(tmp_path: Path) -> None:
    folder = tmp_path / "some" / "where"

    scaffold.write_method("rarity", folder)

    written = {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert written == scaffold.render("rarity")


def test_what_exists_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("mine")

    with pytest.raises(UsageError, match="exists already, and nothing is overwritten"):
        scaffold.write_method("rarity", tmp_path)

    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_what_was_begun_is_taken_back_if_it_cannot_be_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A file cannot be the folder of another one.
    files = {"a": "first", "a/b": "second"}
    monkeypatch.setattr(scaffold, "render", lambda _: files)

    with pytest.raises(OutputError, match="cannot be written"):
        scaffold.write_method("rarity", tmp_path / "new")

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("My Method", r"can be called 'My Method'.* Such as 'my-method'\."),
        ("my_method", r"Such as 'my-method'\."),
        ("", "can be called ''"),
        ("1st", "small letters, digits and single dashes, a letter first"),
        ("a--b", "Such as 'a-b'"),
        ("../x", "Such as 'x'"),
        ("x" * 31, f"Such as '{'x' * 30}'"),
        ("intensity", "package 'uadbench' has a method 'intensity'"),
        ("random", "Python knows another 'random' already"),
        ("lambda", "Python knows another 'lambda' already"),
        ("uadbench", "Python knows another 'uadbench' already"),
        ("setup", "Python knows another 'setup' already"),
    ],
)
def test_unfit_name_is_refused_with_one_that_fits(
    tmp_path: Path, name: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        scaffold.write_method(name, tmp_path / "new")

    assert list(tmp_path.iterdir()) == []
