"""The toy animals' bodies: builds between a tiger and a horse, posed and turned to the camera.

Lengths are in trunks (chest to rump is 1). The axes, (l, d, f) and (x, y, z): toy/bones.py. The point on the ground
below the middle of the trunk is the origin.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from ..toy.bones import SIDES, Array, Bone, about_d, about_l
from .pose import LEGS, Pose

LEG_PARTS = ("upper", "middle", "lower", "hoof")
PART_NAMES = ["trunk", "neck", "head", "tail"] + [f"{leg}_{part}" for leg in LEGS for part in LEG_PARTS]
CHEST, RUMP = 0.5, -0.5
GIRTH = (0.17, 0.215)  # half width and half height of the trunk
FRONT_LEG = (0.33, 0.31)  # elbow to knee, knee to the foot, of a horse
BACK_LEG = (0.33, 0.35)
SOFTNESS = 25  # per trunk; the lowest foot is at most log(4) / SOFTNESS above the ground


@dataclass(frozen=True)
class Build:
    """Proportions. Lengths in trunks, angles in degrees."""

    girth: float  # of the trunk, 1 is average
    thickness: float  # of the legs, 1 is average
    leg: float  # length of the legs, 1 is a horse's
    neck: float
    neck_angle: float  # above the horizontal
    head: float
    head_angle: float  # below the horizontal
    skull: float  # radius at the poll
    muzzle: float  # radius at the other end
    ear: float
    tail: float
    tail_width: float


def sample_build(rng: Generator) -> Build:
    """A random animal between a tiger (0) and a horse (1)."""
    horse = rng.random()
    noise = rng.normal(1, 0.05, 8)
    return Build(
        girth=float(1.04 * noise[0] - 0.06 * horse),
        thickness=float(1.2 * noise[1] - 0.2 * horse),
        leg=float((0.74 + 0.28 * horse) * noise[2]),
        neck=float((0.26 + 0.2 * horse) * noise[3]),
        neck_angle=15 + 30 * horse,
        head=float((0.25 + 0.11 * horse) * noise[4]),
        head_angle=18 + 22 * horse,
        skull=float((0.135 - 0.025 * horse) * noise[5]),
        muzzle=float((0.09 - 0.02 * horse) * noise[6]),
        ear=0.06 + 0.03 * horse,
        tail=float((0.75 - 0.2 * horse) * noise[7]),
        tail_width=0.03 + 0.025 * horse,
    )


@dataclass
class Animal:
    """A posed animal in camera axes."""

    view: Array  # (3,3) its l, d, f
    build: Build
    joints: dict[str, Array] = field(default_factory=dict)  # keypoint name -> (3,)
    bones: dict[str, list[Bone]] = field(default_factory=dict)  # part name -> bones
    facing: dict[str, float] = field(default_factory=dict)  # eye -> z of its surface normal

    def is_near(self, side: str) -> bool:
        """Whether this side is turned to the viewer."""
        return bool(SIDES[side] * self.view[2, 0] > 0)

    @property
    def towards(self) -> float:
        """1 if the animal comes towards the viewer, -1 if it goes away, 0 seen from the side."""
        return float(self.view[2, 2])

    @property
    def points(self) -> Array:
        """Ends of all bones (N, 2) on the image plane."""
        return np.array([end[:2] for bones in self.bones.values() for bone in bones for end in (bone.start, bone.end)])


@dataclass(frozen=True)
class _Segment:
    """A piece of a leg in the animal's axes: where it ends, how it is turned and how thick it is."""

    end: Array
    turn: Array
    radii: tuple[float, float]


def _leg(build: Build, pose: Pose, number: int) -> tuple[Array, list[_Segment]]:
    """Where leg `number` of LEGS begins (3,), at shoulder or hip, and its segments in the order of LEG_PARTS."""
    side, end = LEGS[number].split("_")
    swing, flexion = pose.swing[number], pose.flexion[number]
    s, t, length = SIDES[side], build.thickness, build.leg
    if end == "front":
        start = np.array([s * 0.14 * build.girth, -0.03, 0.36])
        angles = (-8 + 0.35 * swing + 0.15 * flexion, swing + 0.35 * flexion, swing - 0.9 * flexion)
        lengths = (0.27 * build.girth, *(length * share for share in FRONT_LEG))
        radii = ((0.125, 0.085), (0.072 * t, 0.046 * t), (0.046 * t, 0.038 * t))
    else:
        start = np.array([s * 0.13 * build.girth, -0.03, -0.36])
        angles = (18 + 0.4 * swing + 0.4 * flexion, -32 + swing - 0.35 * flexion, 4 + 0.8 * swing - 0.2 * flexion)
        lengths = (0.29 * build.girth, *(length * share for share in BACK_LEG))
        radii = ((0.155, 0.1), (0.088 * t, 0.05 * t), (0.048 * t, 0.04 * t))
    steps = [*zip(angles, lengths, radii, strict=True), (angles[2] + 58, 0.075, (0.046 * t, 0.04 * t))]
    point, segments = start, []
    for angle, step, thick in steps:
        turn = about_l(angle)
        point = point + turn[:, 1] * step
        segments.append(_Segment(point, turn, thick))
    return start, segments


def pose_animal(build: Build, pose: Pose, view: Array) -> Animal:
    """The animal in a pose, its l, d, f turned to the columns of `view` (3,3); no foot is below the ground."""
    animal = Animal(view, build)
    legs = [_leg(build, pose, number) for number in range(len(LEGS))]
    # a soft maximum, so that the body does not jolt where one foot takes over from another
    height = float(np.logaddexp.reduce([SOFTNESS * segments[-1].end[1] for _, segments in legs])) / SOFTNESS
    middle = -height * view[:, 1]  # of the trunk
    for name, (start, segments) in zip(LEGS, legs, strict=True):
        _add_leg(animal, name, middle, start, segments)
    _add_trunk(animal, middle)
    _add_head(animal, middle, pose)
    _add_tail(animal, middle, pose)
    return animal


def _add_leg(animal: Animal, name: str, middle: Array, start: Array, segments: list[_Segment]) -> None:
    side, end = name.split("_")
    points = [middle + animal.view @ start, *(middle + animal.view @ segment.end for segment in segments)]
    for part, segment, first, last in zip(LEG_PARTS, segments, points[:-1], points[1:], strict=True):
        bone = Bone(f"{name}_{part}", first, last, animal.view @ segment.turn, segment.radii, SIDES[side])
        animal.bones[bone.part] = [bone]
    animal.joints |= {f"{name}_elbow": points[1], f"{name}_knee": points[2]}
    animal.joints[f"{name}_hoof"] = (points[3] + points[4]) / 2
    if end == "front":
        outwards = np.array([SIDES[side] * 0.04, 0, 0.02])
        animal.joints[f"{side}_shoulder"] = points[0] + animal.view @ outwards


def _add_trunk(animal: Animal, middle: Array) -> None:
    chest, rump = (middle + animal.view @ np.array([0, 0, end]) for end in (CHEST, RUMP))
    radii = (GIRTH[0] * animal.build.girth, GIRTH[1] * animal.build.girth)
    animal.bones["trunk"] = [Bone("trunk", chest, rump, animal.view @ about_l(-90), radii, 0)]
    animal.joints["tail_start"] = middle + animal.view @ np.array([0, -0.14 * animal.build.girth, RUMP + 0.02])


def _add_head(animal: Animal, middle: Array, pose: Pose) -> None:
    """Neck, head, eyes and chin. The neck's and the head's front, in the sense of their frames, is above."""
    build = animal.build
    turned = animal.view @ about_d(pose.neck_turn)
    neck = turned @ about_l(90 + build.neck_angle + pose.neck)
    head = turned @ about_d(0.5 * pose.neck_turn) @ about_l(90 - build.head_angle - pose.head)
    base = middle + animal.view @ np.array([0, -0.09 * build.girth, 0.4])
    poll = base + neck[:, 1] * (build.neck + 0.1)
    mouth = poll + head[:, 1] * build.head
    animal.bones["neck"] = [Bone("neck", base, poll, neck, (0.155 * build.girth, 0.8 * build.skull), 0)]
    animal.bones["head"] = [Bone("head", poll, mouth, head, (build.skull, build.muzzle), 0)]
    animal.joints["chin"] = mouth + (0.35 * head[:, 1] - 0.85 * head[:, 2]) * build.muzzle
    radius = 0.68 * build.skull + 0.32 * build.muzzle
    for side, sign in SIDES.items():
        normal = np.array([sign * 0.88, 0, 0.47])
        animal.joints[f"{side}_eye"] = poll + head[:, 1] * 0.32 * build.head + head @ normal * radius * 0.92
        animal.facing[f"{side}_eye"] = float((head @ normal)[2])


def _add_tail(animal: Animal, middle: Array, pose: Pose) -> None:
    """Three bones that hang down in an arc behind the animal."""
    build, point = animal.build, animal.joints["tail_start"]
    bones = []
    for bend, share in ((1.0, 0.3), (0.7, 0.35), (0.35, 0.35)):
        frame = animal.view @ about_d(pose.tail_turn) @ about_l(-(12 + pose.tail) * bend)
        end = point + frame[:, 1] * build.tail * share
        bones.append(Bone("tail", point, end, frame, (build.tail_width, build.tail_width), 0))
        point = end
    animal.bones["tail"] = bones
