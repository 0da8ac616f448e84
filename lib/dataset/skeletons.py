"""What a data set's keypoints are: names, mirror partners, limbs, and the constants of its metric."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..utils.sides import left_right_pairs
from .records import DataError


@dataclass(frozen=True)
class Skeleton:
    """The keypoints of one data set, K of them.

    Attributes:
        names: K names; "left" is the person's own left.
        flip_pairs: index pairs that change places in a mirrored image.
        limbs: index pairs to draw a line between.
        upper_body: indices that half-body augmentation takes for the upper half; the rest is the lower.
        sigmas: K constants of OKS (COCO's `kpt_oks_sigmas`), relative to the square root of the person's area; empty
            for a data set whose metric is not OKS.
        upper_body_mspn: `upper_body` by MSPN's rules, where those differ; otherwise empty.
    """

    names: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    limbs: tuple[tuple[int, int], ...]
    upper_body: tuple[int, ...]
    sigmas: tuple[float, ...]
    upper_body_mspn: tuple[int, ...] = ()

    @property
    def num_joints(self) -> int:
        return len(self.names)


COCO = Skeleton(
    names=(
        "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
        "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
        "right_ankle",
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
    limbs=(
        (15, 13), (13, 11), (16, 14), (14, 12), (11, 12), (5, 11), (6, 12), (5, 6), (5, 7), (6, 8), (7, 9), (8, 10),
        (1, 2), (0, 1), (0, 2), (1, 3), (2, 4), (3, 5), (4, 6),
    ),
    upper_body=tuple(range(11)),
    sigmas=(
        0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087,
        0.089, 0.089,
    ),
    upper_body_mspn=tuple(range(13)),  # the hips belong to the upper half
)  # fmt: skip

MPII = Skeleton(
    names=(
        "right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
        "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
        "left_wrist",
    ),
    flip_pairs=((0, 5), (1, 4), (2, 3), (10, 15), (11, 14), (12, 13)),
    limbs=(
        (0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9), (10, 11), (11, 12), (12, 7), (7, 13),
        (13, 14), (14, 15),
    ),
    upper_body=tuple(range(7, 16)),
    sigmas=(),  # MPII is scored with PCKh
)  # fmt: skip

# TigDog's landmarks without the neck, in the order of CC-SSL. Front knees are wrists and back knees heels to an
# anatomist; elbows are where the legs leave the body.
QUADRUPED = Skeleton(
    names=(
        "left_eye", "right_eye", "chin", "left_front_hoof", "right_front_hoof", "left_back_hoof", "right_back_hoof",
        "tail_start", "left_front_knee", "right_front_knee", "left_back_knee", "right_back_knee", "left_shoulder",
        "right_shoulder", "left_front_elbow", "right_front_elbow", "left_back_elbow", "right_back_elbow",
    ),
    flip_pairs=((0, 1), (3, 4), (5, 6), (8, 9), (10, 11), (12, 13), (14, 15), (16, 17)),
    limbs=(
        (0, 1), (0, 2), (1, 2), (0, 12), (1, 13), (12, 7), (13, 7), (12, 14), (13, 15), (14, 8), (15, 9), (8, 3),
        (9, 4), (7, 16), (7, 17), (16, 10), (17, 11), (10, 5), (11, 6),
    ),
    upper_body=(0, 1, 2, 3, 4, 8, 9, 12, 13, 14, 15),  # the front half
    sigmas=(),  # scored with PCK
)  # fmt: skip


def category_skeleton(category: Mapping[str, Any], num_joints: int | None = None) -> Skeleton:
    """The skeleton that an entry of a COCO file's "categories" describes; only "keypoints" and "skeleton" are read.

    Flip pairs follow from the names (`utils.sides`), limbs from the edges, which count keypoints from 1. No entry
    tells the upper body or the sigmas of OKS: both are empty (`dataclasses.replace` adds them).

    Args:
        category: the entry. Without "keypoints" they are called keypoint_0, keypoint_1, ... and have no flip pairs.
        num_joints: K of the annotations, where it is known.

    Raises:
        DataError: names that are no texts, another number of them than K, no names and no K, edges that are no two
            keypoints of the skeleton.

    >>> category_skeleton({"keypoints": ["nose", "L_Eye", "R_Eye"], "skeleton": [[1, 2], [1, 3]]}).flip_pairs
    ((1, 2),)
    """
    where = f"category {category.get('name', category.get('id', 'without a name'))!r}"
    names = _joint_names(category, num_joints, where)
    pairs = sorted((min(pair), max(pair)) for pair in left_right_pairs(names))
    return Skeleton(names, tuple(pairs), _limbs(category.get("skeleton") or [], len(names), where), (), ())


def _joint_names(category: Mapping[str, Any], num_joints: int | None, where: str) -> tuple[str, ...]:
    names = category.get("keypoints") or []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{where}: 'keypoints' is no list of names; write one name for every keypoint, or leave it out")
    if not names and num_joints is None:
        raise DataError(f"{where}: it names no 'keypoints'; list one name for every keypoint")
    if names and num_joints not in (None, len(names)):
        raise DataError(
            f"{where}: it names {len(names)} keypoints, its annotations have {num_joints}; list one name for each"
        )
    return tuple(names) or tuple(f"keypoint_{number}" for number in range(num_joints or 0))


def _limbs(edges: Any, num_joints: int, where: str) -> tuple[tuple[int, int], ...]:
    for edge in edges if isinstance(edges, list) else [edges]:
        sound = isinstance(edge, list) and len(edge) == 2
        if not sound or not all(type(end) is int and 1 <= end <= num_joints for end in edge):
            raise DataError(
                f"{where}: edge {edge!r} of 'skeleton' is no pair of keypoints, which count from 1 to {num_joints}; "
                "correct it, or leave 'skeleton' out"
            )
    return tuple((first - 1, second - 1) for first, second in edges)
