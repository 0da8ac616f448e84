"""Experiments: YAML files and command-line pairs -> one checked, frozen configuration."""

from .freeze import FrozenConfig, replaced
from .load import ConfigError, data_path, dump_config, load_config

__all__ = ["ConfigError", "FrozenConfig", "data_path", "dump_config", "load_config", "replaced"]
