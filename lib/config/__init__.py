"""Experiments: YAML files and command-line pairs -> one checked, frozen configuration."""

from .freeze import FrozenConfig
from .load import ConfigError, dump_config, load_config

__all__ = ["ConfigError", "FrozenConfig", "dump_config", "load_config"]
