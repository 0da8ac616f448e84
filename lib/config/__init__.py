"""Experiments: YAML files and command-line pairs -> one checked, frozen configuration."""

from .domains import domain_config, scored_config
from .freeze import FrozenConfig, replaced
from .load import ConfigError, data_path, dump_config, load_config

__all__ = [
    "ConfigError",
    "FrozenConfig",
    "data_path",
    "domain_config",
    "dump_config",
    "load_config",
    "replaced",
    "scored_config",
]
