"""What is published: every file of the package is in the wheel, and version, changelog and citation agree."""

import configparser
import re
import subprocess
import sys
import tarfile
import zipfile
from fnmatch import fnmatch
from pathlib import Path

import pytest
from conftest import ROOT

import bert_tf

PACKAGE = ROOT / "bert_tf"
DATA = sorted(
    file for file in PACKAGE.rglob("*")
    if file.is_file() and (file.suffix != ".py" or file.parent.name == "bundle") and "__pycache__" not in file.parts
)  # fmt: skip


def unlisted(files: list[Path]) -> list[str]:
    """Returns the files that setup.cfg does not take into the wheel."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    patterns = {
        ROOT / package.replace(".", "/") / pattern
        for package, some in setup["options.package_data"].items()
        for pattern in some.split()
    }
    return [str(file) for file in files if not any(fnmatch(str(file), str(pattern)) for pattern in patterns)]


def test_every_file_of_the_package_is_listed():
    assert len(DATA) > 15
    assert unlisted(DATA) == []
    assert unlisted([PACKAGE / "reporting/new.html"])


def test_every_folder_with_modules_is_a_package():
    folders = {file.parent for file in PACKAGE.rglob("*.py")}
    packages = {file.parent for file in PACKAGE.rglob("__init__.py")}
    assert folders - packages == {PACKAGE / "exporting/bundle"}  # its scripts are data, copied into what is exported


def test_version_changelog_and_citation_agree():
    version = bert_tf.__version__
    assert re.search(
        rf"^## \[{re.escape(version)}\] - (Unreleased|\d{{4}}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.M
    )
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert "version = attr: bert_tf.__version__" in (ROOT / "setup.cfg").read_text()


def test_a_tag_of_this_commit_is_its_version():
    tags = subprocess.run(
        ["git", "tag", "--points-at", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.split()
    assert [tag for tag in tags if re.fullmatch(r"v\d.*", tag) and tag != f"v{bert_tf.__version__}"] == []


@pytest.mark.slow
def test_wheel_and_sdist_hold_everything(tmp_path):
    pytest.importorskip("setuptools", minversion="68")  # as pyproject.toml requires
    build = "from setuptools import build_meta as b; print(b.build_sdist({0!r})); print(b.build_wheel({0!r}))"
    source = tmp_path / "source"
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([sys.executable, "-c", build.format(str(tmp_path))], cwd=source, check=True, capture_output=True)
    wheel = set(zipfile.ZipFile(next(tmp_path.glob("*.whl"))).namelist())
    assert {name for name in files if name.startswith("bert_tf/")} <= wheel
    assert not {name for name in wheel if name.startswith(("tests", "docs", "benchmarks", "examples"))}
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as packed:
        inside = {name.partition("/")[2] for name in packed.getnames()}
    assert {name for name in files if not name.startswith((".", "examples/."))} <= inside
