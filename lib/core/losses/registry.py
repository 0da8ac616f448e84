"""The table of losses; it stands apart so that the files of the losses can import it."""

from ...utils.registry import Registry

LOSSES = Registry("loss")
