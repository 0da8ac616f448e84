"""Checks of a skeleton, and of the keypoint names in a file against it."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...utils.sides import mirror_partners, plain
from ..skeletons import Skeleton
from .finding import Finding, find

LARGEST_SIGMA = 0.3  # COCO's are 0.025 to 0.107; ten times those is a common slip
_SIDE = re.compile("left|right", re.IGNORECASE)


def check_skeleton(skeleton: Skeleton, num_joints: int, needs_sigmas: bool = True) -> list[Finding]:
    """Names, flip pairs, limbs and sigmas of a skeleton, and its size against MODEL.NUM_JOINTS.

    Only a data set whose metric is not OKS does without sigmas.
    """
    count, sigmas = skeleton.num_joints, np.asarray(skeleton.sigmas, np.float64)
    found: list[Finding] = []
    if count != num_joints:
        what, example = "the skeleton and MODEL.NUM_JOINTS differ in the number of keypoints", f"{count}, {num_joints}"
        found.append(Finding(what, abs(count - num_joints), count, example, f"set MODEL.NUM_JOINTS to {count}"))
    if len(sigmas) != count and (needs_sigmas or len(sigmas)):
        what, example = "the number of sigmas is not that of keypoints", f"{len(sigmas)} sigmas, {count} keypoints"
        found.append(Finding(what, abs(len(sigmas) - count), count, example, "give one sigma for every keypoint"))
    names = skeleton.names
    return [
        *found,
        *find(
            f"sigmas that are not between 0 and {LARGEST_SIGMA}: OKS comes out wrong",
            ~((sigmas > 0) & (sigmas <= LARGEST_SIGMA)), lambda i: f"sigma number {i} is {sigmas[i]:g}",
            "give COCO's kind of sigmas, e.g. 0.079 for a shoulder (not 0.79)",
        ),
        *find(
            "keypoint names that occur more than once", [name in names[:i] for i, name in enumerate(names)],
            lambda i: names[i], "name every keypoint differently", spoils_from=2.0,
        ),
        *_indices(skeleton.limbs, count, "limbs", 2.0),
        *_indices([(each,) for each in skeleton.upper_body], count, "keypoints of the upper body", 0.0),
        *check_flip_pairs(skeleton.flip_pairs, names),
    ]  # fmt: skip


def check_same_keypoints(training: Skeleton, test: Skeleton) -> list[Finding]:
    """Whether the network is scored on the keypoints that it learns; files with their own may differ."""
    differ = [one != other for one, other in zip(training.names, test.names, strict=False)]
    if len(training.names) != len(test.names):
        differ = [True] * max(len(training.names), len(test.names))
    return find(
        "the training file and the scored file have different keypoints", differ,
        lambda i: f"keypoint {i}: {', '.join((*training.names[i : i + 1], *test.names[i : i + 1]))}",
        "bring the keypoints of both files into one order, under the same names",
    )  # fmt: skip


def _indices(groups: Sequence[tuple[int, ...]], count: int, kind: str, spoils_from: float) -> list[Finding]:
    wrong = [not all(0 <= index < count for index in group) for group in groups]
    fix = f"use the indices 0 to {count - 1}"
    return find(f"{kind} that name a keypoint there is not", wrong, lambda i: str(groups[i]), fix, spoils_from)


def check_flip_pairs(pairs: Sequence[Sequence[int]], names: Sequence[str]) -> list[Finding]:
    """Whether exchanging the pairs twice changes nothing, and each exchanges a left name with its right one."""
    count = len(names)
    flat = [index for pair in pairs for index in pair]
    sound = [len(pair) == 2 and pair[0] != pair[1] and all(0 <= index < count for index in pair) for pair in pairs]
    once = [all(flat.count(index) == 1 for index in pair) for pair in pairs]
    found = find(
        "flip pairs that are not two different keypoints of the skeleton", [not each for each in sound],
        lambda i: str(tuple(pairs[i])), f"give pairs of two indices from 0 to {count - 1}",
    )  # fmt: skip
    found += find(
        "flip pairs that share a keypoint: mirroring twice does not give the first order back",
        [good and not each for good, each in zip(sound, once, strict=True)],
        lambda i: str(tuple(pairs[i])), "name every keypoint in at most one pair",
    )  # fmt: skip
    return found or _flip_names(pairs, names)


def _flip_names(pairs: Sequence[Sequence[int]], names: Sequence[str]) -> list[Finding]:
    partners = mirror_partners(names)
    contradicts = [
        (left in partners or right in partners) and partners.get(left) != right for left, right in map(tuple, pairs)
    ]
    paired = {index for pair in pairs for index in pair}
    sided = [index in partners or bool(_SIDE.search(name)) for index, name in enumerate(names)]
    alone = [index for index, each in enumerate(sided) if each and index not in paired]
    return [
        *find(
            "flip pairs that contradict the names: mirrored samples teach the wrong joints", contradicts,
            lambda i: f"pair {tuple(pairs[i])} exchanges {names[pairs[i][0]]} with {names[pairs[i][1]]}",
            "pair every left keypoint with the right one of the same part, in the order of the data",
        ),
        *find(
            "left and right keypoints in no flip pair: mirrored samples teach left for right", [True] * len(alone),
            lambda i: f"{names[alone[i]]} (keypoint {alone[i]})", "add the pair of it", total=len(names),
        ),
    ]  # fmt: skip


def check_keypoint_names(content: dict[str, Any], skeleton: Skeleton) -> list[Finding]:
    """The keypoint names that a COCO file lists in its categories against the skeleton it is read with."""
    for category in content.get("categories") or []:
        names = category.get("keypoints") if isinstance(category, dict) else None
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
            return _compare_names(names, skeleton)
    return []


def _compare_names(names: list[str], skeleton: Skeleton) -> list[Finding]:
    where = "in the file's categories"
    if len(names) != skeleton.num_joints:
        what = f"the number of keypoint names {where} is not that of the skeleton"
        example = f"{len(names)} names, {skeleton.num_joints} keypoints"
        return [Finding(what, abs(len(names) - skeleton.num_joints), len(names), example, "list one name a keypoint")]
    differ = [plain(name) != plain(own) for name, own in zip(names, skeleton.names, strict=True)]
    flips = [each for each in _flip_names(skeleton.flip_pairs, names) if "contradict" in each.what]
    harm = "are those of other joints: mirrored samples teach the wrong ones" if flips else "may not fit"
    return find(
        f"keypoint names {where} that are not those of the skeleton, so sigmas and flip pairs {harm}",
        differ, lambda i: f"keypoint {i}: {names[i]} in the file, {skeleton.names[i]} in the skeleton"
        + (f"; {flips[0].example}" if flips else ""),
        "bring the keypoints into the skeleton's order, or take the file's own with DATASET.SKELETON file",
        0.0 if flips else 2.0,
    )  # fmt: skip
