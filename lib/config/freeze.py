"""A nested EasyDict that cannot be changed."""

from collections.abc import Mapping
from typing import Any, NoReturn

from easydict import EasyDict


class FrozenConfig(EasyDict):
    """Keys as attributes, nested; any attempt to change one is a TypeError.

    >>> cfg = FrozenConfig({"MODEL": {"SIGMA": 2.0}})
    >>> cfg.MODEL.SIGMA
    2.0
    >>> cfg.MODEL.SIGMA = 3.0
    Traceback (most recent call last):
    ...
    TypeError: the configuration is frozen after loading; set SIGMA in the YAML file or as KEY VALUE on the command line
    """

    def __init__(self, values: Mapping[str, Any]):
        # EasyDict's own constructor assigns attribute by attribute, which this class refuses.
        dict.__init__(self, {key: _frozen(value) for key, value in values.items()})
        for key, value in self.items():
            object.__setattr__(self, key, value)

    def __reduce__(self):
        return FrozenConfig, (dict(self),)

    def __deepcopy__(self, memo: dict) -> "FrozenConfig":
        return self

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        _refuse(name)

    def __setitem__(self, name: str, value: Any) -> NoReturn:
        _refuse(name)

    def __delattr__(self, name: str) -> NoReturn:
        _refuse(name)

    def __delitem__(self, name: str) -> NoReturn:
        _refuse(name)

    def update(self, *args: Any, **kwargs: Any) -> NoReturn:
        _refuse("keys")

    def pop(self, key: Any, *args: Any) -> NoReturn:
        _refuse(key)

    def setdefault(self, key: Any, default: Any = None) -> NoReturn:
        _refuse(key)

    def __ior__(self, other: Any) -> NoReturn:
        _refuse("keys")

    def clear(self) -> NoReturn:
        _refuse("keys")

    def popitem(self) -> NoReturn:
        _refuse("keys")


def thaw(cfg: Any) -> Any:
    """A plain copy of a frozen configuration: dicts and lists, fit for YAML."""
    if isinstance(cfg, dict):
        return {key: thaw(value) for key, value in cfg.items()}
    if isinstance(cfg, (list, tuple)):
        return [thaw(value) for value in cfg]
    return cfg


def replaced(cfg: FrozenConfig, changes: Mapping[str, Any]) -> FrozenConfig:
    """A frozen copy with other values for some dotted keys, e.g. {"TEST.USE_GT_BBOX": False}."""
    content = thaw(cfg)
    for key, value in changes.items():
        *parents, leaf = key.split(".")
        node = content
        for parent in parents:
            node = node[parent]
        node[leaf] = value
    return FrozenConfig(content)


def _frozen(value: Any) -> Any:
    if isinstance(value, Mapping):
        return FrozenConfig(value)
    if isinstance(value, (list, tuple)):
        return tuple(_frozen(item) for item in value)
    return value


def _refuse(name: Any) -> NoReturn:
    raise TypeError(
        f"the configuration is frozen after loading; set {name} in the YAML file or as KEY VALUE on the command line"
    )
