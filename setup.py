"""The package list: the folder lib/ is the package heatpose. All other metadata stands in pyproject.toml."""

from setuptools import find_packages, setup

setup(
    package_dir={"heatpose": "lib"},
    packages=["heatpose"] + [f"heatpose.{name}" for name in find_packages("lib")],
)
