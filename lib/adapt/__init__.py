"""Domain adaptation: objectives that learn from crops without labels, one method a file.

- ccssl.py: pseudo-labels that agree over views and time (Mu et al. 2020)
- wscda.py, pplo.py: adversarial features, then progressive pseudo-labels (Cao et al. 2019)
- mean_teacher.py: agreement with the network's running average (Tarvainen and Valpola 2017)
- pseudo_labels.py, views.py, flow.py, perturb.py: what they are made of

Adding a method: write a file with a subclass of `base.Adaptation`, and a function here that builds it from the
configuration under the name of ADAPT.METHOD (and add the name to ADAPT.METHOD in config/check.py).
"""

import hashlib
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from torch import nn

from ..utils.registry import Registry
from .base import Adaptation, LabelRounds, TargetLabels
from .ccssl import CCSSL, paper_rank
from .mean_teacher import MeanTeacher
from .perturb import STRONG
from .pplo import PPLO, falling_threshold
from .pseudo_labels import LabelReport, Predictor, PseudoLabels, Views
from .wscda import WSCDA, Discriminator, insert_adaptation

__all__ = [
    "METHODS",
    "STRONG",
    "Adaptation",
    "LabelReport",
    "Target",
    "begin_epochs",
    "build_method",
    "prepare_model",
]

METHODS = Registry("method of adaptation")
ADVERSARIAL = ("wscda", "pplo")


class Target(NamedTuple):
    """The unlabelled part: its training crops (dataset.TrainingCrops), a loader of them as they are, and the most of
    them that the network is to be given at once."""

    crops: Any
    loader: Any
    most: int


def prepare_model(cfg: Any, model: nn.Module) -> nn.Module:
    """`model` with what ADAPT.METHOD adds to it, for training and for scoring."""
    if cfg.ADAPT.METHOD in ADVERSARIAL:
        insert_adaptation(model)
    return model


def begin_epochs(cfg: Any) -> dict[str, int]:
    """The first epoch in which each further data set takes part in training."""
    adversarial = cfg.ADAPT.METHOD in ADVERSARIAL
    late = cfg.ADAPT.METHOD in ("ccssl", "mean_teacher")
    return {"target": cfg.ADAPT.BEGIN_EPOCH if late else 0, **({"humans": 0} if adversarial else {})}


def build_method(cfg: Any, labelled: Any, model: nn.Module, target: Target) -> Adaptation:
    """The objective of ADAPT.METHOD; `labelled` is that of the labelled crops (core.objective.Supervised)."""
    method = METHODS.get(cfg.ADAPT.METHOD)(cfg.ADAPT, labelled, model, target)
    records = target.crops.records
    digest = hashlib.sha256(records.boxes.tobytes() + "\n".join(map(str, records.image_names)).encode()).hexdigest()
    method.fits = f"ADAPT.METHOD {cfg.ADAPT.METHOD} on {len(records)} crops ({digest[:12]})"
    return method


@METHODS.register("supervised")
def _supervised(keys: Any, labelled: Any, model: nn.Module, target: Target) -> Adaptation:
    return TargetLabels(labelled, keys.LAMBDA)


@METHODS.register("mean_teacher")
def _mean_teacher(keys: Any, labelled: Any, model: nn.Module, target: Target) -> Adaptation:
    return MeanTeacher(
        labelled, model, keys.LAMBDA, keys.EMA, keys.BEGIN_EPOCH, keys.RAMPUP_EPOCHS, keys.VIEW_SCALE,
        keys.VIEW_ROTATION,
    )  # fmt: skip


@METHODS.register("ccssl")
def _ccssl(keys: Any, labelled: Any, model: nn.Module, target: Target) -> Adaptation:
    rank = partial(paper_rank, offset=keys.RANK_OFFSET, step=keys.RANK_STEP, floor=keys.RANK_FLOOR)
    records, images = target.crops.records, target.crops.images

    def read_frame(index: int) -> np.ndarray:
        return images.read(str(records.image_names[records.image_index[index]]))

    time = None if records.clip is None or records.frame is None else (records.clip, records.frame)
    if keys.TEMPORAL and time is None:
        raise ValueError("ADAPT.TEMPORAL is True, but TARGET has no clips: its images have no time; set it to False")
    return CCSSL(
        labelled, _rounds(keys, labelled, target), rank, keys.LAMBDA, time if keys.TEMPORAL else None,
        read_frame, {"limit": keys.FLOW_LIMIT, "decay": keys.FLOW_DECAY},
    )  # fmt: skip


@METHODS.register("wscda")
def _wscda(keys: Any, labelled: Any, model: Any, target: Target) -> Adaptation:
    return WSCDA(labelled, _discriminator(model, labelled), **_weights(keys))


@METHODS.register("pplo")
def _pplo(keys: Any, labelled: Any, model: Any, target: Target) -> Adaptation:
    threshold = partial(
        falling_threshold, start=keys.THRESHOLD_START, step=keys.THRESHOLD_STEP, floor=keys.THRESHOLD_FLOOR
    )
    rounds, discriminator = _rounds(keys, labelled, target), _discriminator(model, labelled)
    return PPLO(labelled, discriminator, rounds, threshold, keys.LAMBDA, **_weights(keys))


def _rounds(keys: Any, labelled: Any, target: Target) -> LabelRounds:
    records = target.crops.records
    labels = PseudoLabels(
        records.keypoints, records.visible, records.boxes, target.crops.skeleton.flip_pairs, labelled.device
    )
    views = Views(keys.VIEWS, keys.VIEW_SCALE, keys.VIEW_ROTATION)
    predictor = Predictor(
        labelled.codec,
        target.loader,
        records.center,
        records.scale,
        labelled.device,
        labelled.pixels,
        views,
        target.most,
        labelled.precision,
    )
    return LabelRounds(labels, predictor, keys.BEGIN_EPOCH, keys.REFRESH_EVERY)


def _discriminator(model: Any, labelled: Any) -> Discriminator:
    return Discriminator(model.final_layer.in_channels).to(labelled.device)


def _weights(keys: Any) -> dict[str, Any]:
    return {"alpha": keys.ALPHA, "beta": keys.BETA, "w1": keys.W1, "w2": keys.W2}
