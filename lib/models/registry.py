"""The table of architectures; it stands apart so that the files of the architectures can import it."""

from ..utils.registry import Registry

MODELS = Registry("architecture")
