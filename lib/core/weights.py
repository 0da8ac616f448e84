"""Weights of a file into a model, with a report of every tensor that was loaded, missing, unexpected or left out."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from .checkpoint import CheckpointError, read_checkpoint, state_dict_of
from .torchvision_weights import advice, fetch, is_torchvision

logger = logging.getLogger(__name__)

COUNTER = "num_batches_tracked"


@dataclass(frozen=True)
class LoadReport:
    """What became of every tensor of a model and of a weight file; printed, it is one line for the log.

    `loaded`, `missing`, `wrong_shape` and `reinitialised` share out the model's tensors; `unexpected` and `skipped` are
    those of the file that the model does not have or that PRETRAINED_LAYERS leaves out.
    """

    path: str
    loaded: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    wrong_shape: tuple[str, ...] = ()  # each with the file's shape and the model's: "fc.bias (16,) for (17,)"
    reinitialised: tuple[str, ...] = ()  # as wrong_shape, but allowed: they keep the model's fresh weights
    skipped: tuple[str, ...] = ()

    @property
    def counters(self) -> tuple[str, ...]:
        """Missing num_batches_tracked of batch norms that are loaded otherwise: PyTorch before 0.4.1 had none.

        Nothing reads them while batch norm has a momentum, as in all our networks.
        """
        loaded = set(self.loaded)
        return tuple(
            key
            for key in self.missing
            if key.endswith(COUNTER) and key.removesuffix(COUNTER) + "running_mean" in loaded
        )

    @property
    def is_complete(self) -> bool:
        """Whether file and model hold the same tensors, `counters` aside."""
        absent = len(self.missing) - len(self.counters)
        return not (absent or self.unexpected or self.wrong_shape or self.reinitialised or self.skipped)

    def __str__(self) -> str:
        counters = self.counters
        parts = [
            f"{self.path}: {len(self.loaded)} of the model's {self._size()} tensors loaded",
            _listed("missing", [key for key in self.missing if key not in set(counters)]),
            f"{len(counters)} batch counters ({COUNTER}) missing, as in files of old versions" if counters else "",
            _listed("unexpected", self.unexpected),
            _listed("of another shape", self.wrong_shape),
            _listed("of another shape, re-initialised", self.reinitialised),
            _listed("left out by PRETRAINED_LAYERS", self.skipped),
        ]
        return "; ".join(part for part in parts if part)

    def _size(self) -> int:
        return sum(map(len, (self.loaded, self.missing, self.wrong_shape, self.reinitialised)))


def _listed(what: str, keys: Sequence[str], shown: int = 3) -> str:
    """How many, and the first of them; "" where there is none."""
    if not keys:
        return ""
    return f"{len(keys)} {what} ({', '.join(keys[:shown])}{', ...' if len(keys) > shown else ''})"


def load_weights(model: nn.Module, path: Path) -> dict[str, Any]:
    """Fills the whole `model` from a checkpoint, logs the report and returns the checkpoint's content.

    Raises:
        CheckpointError: the file's keys or shapes are not exactly the model's; the model is then unchanged.
    """
    content = read_checkpoint(path)
    weights = _weights(content, path)
    report = compare(model.state_dict(), weights, str(path))
    if not report.is_complete:
        raise _refused(report, _way_out(report, model))
    _fill(model, weights, report)
    return content


def _refused(report: LoadReport, way_out: str) -> CheckpointError:
    return CheckpointError(f"{report}; refused, the model is unchanged: {way_out}")


def _way_out(report: LoadReport, model: nn.Module) -> str:
    absent = len(report.missing) - len(report.counters)
    if absent or report.unexpected or not _only_head(report, model):
        return "give the MODEL.NAME, MODEL.EXTRA and MODEL.CODEC that the file was trained with"
    return (
        "the file's head has another number of channels: give its MODEL.NUM_JOINTS and MODEL.CODEC, or train a new "
        "head first (the file as MODEL.PRETRAINED, MODEL.REINIT_HEAD True)"
    )


def load_pretrained(
    model: nn.Module, source: Path | str, layers: Sequence[str] = ("*",), reinit_head: bool = False
) -> LoadReport:
    """Fills the part of `model` that a weight file covers; logs the report and returns it.

    Only keys whose first part is in `layers` are taken ("*": all), as HRNet's PRETRAINED_LAYERS does. With
    `reinit_head`, layers of `model.head_layers` whose shape differs keep their fresh weights, as those of
    `model.own_layers`, which no backbone has in this shape, always do. A model whose backbone has other names than
    torchvision's translates them in `model.backbone_weights(weights)`.

    Args:
        source: a file, or a name like torchvision://resnet50.

    Raises:
        CheckpointError: unreadable file, nothing in it fits, or shapes differ elsewhere; the model is then unchanged.
    """
    weights = _weights(_read_pretrained(source), source)
    translate: Any = getattr(model, "backbone_weights", dict)
    weights = translate(weights)
    fresh = (*getattr(model, "own_layers", ()), *(getattr(model, "head_layers", ()) if reinit_head else ()))
    report = compare(model.state_dict(), weights, str(source), layers, fresh)
    if report.wrong_shape and _only_head(report, model):
        raise _refused(
            report,
            "the file's head has another number of channels (MODEL.NUM_JOINTS, MODEL.CODEC): MODEL.REINIT_HEAD True "
            "begins it anew",
        )
    if report.wrong_shape or not report.loaded:
        raise _refused(
            report, "give MODEL.PRETRAINED with weights for the network that MODEL.NAME and MODEL.EXTRA describe"
        )
    _fill(model, weights, report)
    return report


def _read_pretrained(source: Path | str) -> Mapping[str, Any]:
    if is_torchvision(str(source)):
        return fetch(str(source))
    path = Path(source)
    if not path.is_file():
        raise CheckpointError(
            f"{path}: no such file; put it there, or train without (MODEL.PRETRAINED ''){advice(path)}; "
            "docs/weights.md tells more"
        )
    return read_checkpoint(path)


def _weights(content: Mapping[str, Any], source: Path | str) -> dict[str, Tensor]:
    weights = state_dict_of(content)
    if not weights:
        raise CheckpointError(f"{source}: holds no weights, only {_listed('keys', list(map(str, content)))}")
    return weights


def compare(
    wanted: Mapping[str, Tensor],
    found: Mapping[str, Tensor],
    path: str,
    layers: Sequence[str] = ("*",),
    fresh: Sequence[str] = (),
) -> LoadReport:
    """Which tensors of a file, `found`, can fill which of a model, `wanted`.

    Args:
        layers: first parts of the keys that are taken; "*" for all.
        fresh: layers, e.g. "final_layer" or "stage4.2.fuse_layers", that may differ in shape. A module there one of
            whose tensors differs stays fresh as a whole: a new weight with an old bias is no head at all.
    """
    chosen = {key for key in found if "*" in layers or key.split(".")[0] in layers}
    shared = [key for key in wanted if key in chosen]
    differing = {key for key in shared if wanted[key].shape != found[key].shape}
    anew = {_module(key) for key in differing if _lies_in(key, fresh)}
    taken = [key for key in shared if _module(key) not in anew]

    def with_shapes(keys: Iterable[str]) -> tuple[str, ...]:
        return tuple(
            f"{key} {tuple(found[key].shape)} for {tuple(wanted[key].shape)}" if key in differing else key
            for key in keys
        )

    return LoadReport(
        path,
        loaded=tuple(key for key in taken if key not in differing),
        missing=tuple(key for key in wanted if key not in chosen),
        unexpected=tuple(key for key in found if key in chosen and key not in wanted),
        wrong_shape=with_shapes(key for key in taken if key in differing),
        reinitialised=with_shapes(key for key in shared if _module(key) in anew),
        skipped=tuple(key for key in found if key not in chosen),
    )


def _fill(model: nn.Module, weights: Mapping[str, Tensor], report: LoadReport) -> None:
    model.load_state_dict({key: weights[key] for key in report.loaded}, strict=False)
    logger.info("%s", report)


def _only_head(report: LoadReport, model: nn.Module) -> bool:
    """Whether all differing shapes lie in the model's head."""
    head = getattr(model, "head_layers", ())
    return all(_lies_in(entry.split(" ")[0], head) for entry in report.wrong_shape)


def _module(key: str) -> str:
    return key.rpartition(".")[0]


def _lies_in(key: str, layers: Sequence[str]) -> bool:
    return any(key.startswith(f"{layer}.") for layer in layers)
