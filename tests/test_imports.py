"""Imports run one way: tools -> core, dataset, models, adapt, report -> codecs, metrics -> utils, config."""

import ast
import doctest
import importlib
import pkgutil
import sys
from pathlib import Path

import pytest

import heatpose

LAYERS = {
    "core": {"codecs", "metrics", "utils", "config"},
    "dataset": {"codecs", "metrics", "utils", "config"},
    "models": {"codecs", "metrics", "utils", "config"},
    "adapt": {"codecs", "metrics", "utils", "config"},
    "report": {"codecs", "metrics", "utils", "config"},
    "codecs": {"utils", "config"},
    "metrics": {"utils", "config"},
    "config": {"utils"},
    "utils": set(),
}


def imported_packages(file: Path, package: str, depth: int = 1) -> set[str]:
    """First-level packages of heatpose that a module imports, its own left out; `depth` folders below lib."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == depth + 1:
            found.update([node.module.split(".")[0]] if node.module else [alias.name for alias in node.names])
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("heatpose."):
            found.add((node.module or "").split(".")[1])
        elif isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("heatpose."))
    return found - {package}


@pytest.mark.parametrize("package", LAYERS)
def test_packages_import_only_what_lies_below(repository, package):
    for file in (repository / "lib" / package).rglob("*.py"):
        depth = len(file.relative_to(repository / "lib").parts) - 1
        wrong = imported_packages(file, package, depth) - LAYERS[package]
        assert not wrong, f"{file} imports {sorted(wrong)}"


def test_every_package_has_its_layer(repository):
    packages = {folder.name for folder in (repository / "lib").iterdir() if (folder / "__init__.py").is_file()}
    assert packages == set(LAYERS)


def test_the_check_sees_a_wrong_import(tmp_path):
    module = tmp_path / "loss.py"
    module.write_text("from ..models import build_model\nfrom ..utils.files import write_text\nfrom .batch import f\n")
    assert imported_packages(module, "core") == {"models", "utils"}
    module.write_text("from ...models import build_model\nfrom ..skeletons import COCO\n")
    assert imported_packages(module, "dataset", depth=2) == {"models"}


def test_doctests_pass_under_the_name_heatpose():
    """Walked by package name: pytest's own doctest search would import a second copy of everything as lib.*"""
    failed = attempted = 0
    for module in pkgutil.walk_packages(heatpose.__path__, "heatpose."):
        result = doctest.testmod(importlib.import_module(module.name))
        failed, attempted = failed + result.failed, attempted + result.attempted
    assert failed == 0
    assert attempted > 10
    assert not [name for name in sys.modules if name == "lib" or name.startswith("lib.")]
