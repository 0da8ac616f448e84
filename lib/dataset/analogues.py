"""People labelled as animals: which human keypoint stands for which of an animal's.

The correspondence that WS-CDA (Cao et al. 2019) learns from: what people and quadrupeds share in their build.
"""

from dataclasses import replace

import numpy as np

from ..utils.sides import side_and_part
from .joints import TrainingCrops
from .records import DataError, Records
from .skeletons import Skeleton

# An animal's part (utils.sides) -> the human one: limbs by their order from the body, so hooves are hands and feet.
# Front elbows of QUADRUPED lie where the legs leave the body and have no counterpart beside its shoulders.
ANALOGUES = {
    "chin": "nose", "fronthoof": "wrist", "frontpaw": "wrist", "fpaw": "wrist", "backhoof": "ankle",
    "backpaw": "ankle", "bpaw": "ankle", "frontknee": "elbow", "fknee": "elbow", "felbow": "shoulder",
    "backknee": "knee", "bknee": "knee", "backelbow": "hip", "belbow": "hip", "earbase": "ear",
}  # fmt: skip


def people_as(crops: TrainingCrops, skeleton: Skeleton) -> TrainingCrops:
    """Training crops of people whose keypoints are those of `skeleton`; what people do not have is not labelled.

    Keypoints of one name are one keypoint; the others follow ANALOGUES. No half bodies are cropped.

    Raises:
        DataError: none of the keypoints has a counterpart.
    """
    order = counterparts(crops.skeleton, skeleton)
    if (order < 0).all():
        theirs, wanted = (", ".join(each.names) for each in (crops.skeleton, skeleton))
        raise DataError(f"HUMANS: none of the keypoints {theirs} stands for one of {wanted}; leave HUMANS out")
    augmentation = replace(crops.augmentation, prob_half_body=0.0)
    records = reordered(crops.records, order)
    return TrainingCrops(
        records, crops.images, crops.codec, skeleton, augmentation, crops.color_rgb, crops.seed, crops.categories
    )


def counterparts(people: Skeleton, animals: Skeleton) -> np.ndarray:
    """(K,) index of the human keypoint that stands for each keypoint of `animals`, -1 for none."""
    index = {side_and_part(name): number for number, name in enumerate(people.names)}
    wanted = [side_and_part(name) for name in animals.names]
    return np.array([index.get((side, part), index.get((side, ANALOGUES.get(part, "")), -1)) for side, part in wanted])


def reordered(records: Records, order: np.ndarray) -> Records:
    """The records with the keypoints at `order` (K,); those at -1 are not labelled. People left without any go."""
    there = order >= 0
    visible = records.visible[:, order] * there
    hidden = None if records.hidden is None else records.hidden[:, order] * there
    keypoints = records.keypoints[:, order] * (visible > 0)[..., None]
    return replace(records, keypoints=keypoints, visible=visible, hidden=hidden).select(
        np.flatnonzero(visible.any(axis=1))
    )
