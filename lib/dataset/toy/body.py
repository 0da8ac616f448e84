"""The toy people's bodies: a kinematic tree in 3-D with joint limits, posed at random and turned to the camera.

Lengths are in statures (the standing height is about 1). The axes: bones.py. The identity is a person who stands
upright and faces the camera.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.random import Generator

from .bones import SIDES, Array, Bone, about_d, about_f, about_l

# Labels of the drawn parts; which joint may be seen on which part is decided with them.
PART_NAMES = ["torso", "pelvis", "neck", "head"] + [
    f"{side}_{limb}" for side in SIDES for limb in ("upper_arm", "forearm", "hand", "thigh", "shank", "foot")
]

# Joint angles in degrees. Flexion swings a limb forwards, abduction away from the body, twist turns it inwards.
LIMITS = {
    "shoulder_flexion": (-50, 165),
    "shoulder_abduction": (-10, 160),
    "shoulder_twist": (-40, 85),
    "elbow": (0, 140),
    "hip_flexion": (-30, 105),
    "hip_abduction": (-8, 50),
    "knee": (0, 135),
    "ankle": (-15, 40),
    "spine_flexion": (-15, 45),
    "spine_side": (-22, 22),
    "spine_twist": (-30, 30),
    "head_yaw": (-60, 60),
    "head_pitch": (-30, 35),
    "head_roll": (-20, 20),
}


@dataclass
class Body:
    """A posed person in camera axes, the middle of the hips at the origin."""

    joints: dict[str, Array] = field(default_factory=dict)  # COCO keypoint name -> (3,)
    bones: dict[str, Bone] = field(default_factory=dict)  # part name -> bone
    facing: dict[str, float] = field(default_factory=dict)  # head keypoint -> z of its surface normal, in [-1, 1]
    build: float = 1.0  # thickness, 1 is average


def _clip(joint: str, degrees: float) -> float:
    low, high = LIMITS[joint]
    return float(min(max(degrees, low), high))


def _relaxed_arm(rng: Generator) -> dict[str, float]:
    return {
        "shoulder_flexion": rng.normal(5, 12),
        "shoulder_abduction": rng.normal(14, 8),
        "shoulder_twist": rng.normal(15, 15),
        "elbow": abs(rng.normal(18, 18)),
    }


def _free_arm(rng: Generator) -> dict[str, float]:
    return {
        "shoulder_flexion": rng.uniform(-35, 120),
        "shoulder_abduction": rng.uniform(5, 140),
        "shoulder_twist": rng.uniform(-30, 75),
        "elbow": rng.uniform(0, 130),
    }


def _standing_leg(rng: Generator) -> dict[str, float]:
    return {
        "hip_flexion": rng.normal(2, 6),
        "hip_abduction": rng.normal(6, 4),
        "knee": abs(rng.normal(0, 8)),
        "ankle": 5,
    }


def _free_leg(rng: Generator) -> dict[str, float]:
    return {
        "hip_flexion": rng.uniform(-25, 70),
        "hip_abduction": rng.uniform(0, 45),
        "knee": rng.uniform(0, 90),
        "ankle": rng.uniform(-5, 35),
    }


def _stride(rng: Generator) -> dict[str, dict[str, float]]:
    """Walking to running: one leg and the other arm forwards."""
    ahead, energy = rng.choice([-1, 1]), rng.uniform(0.4, 1.3)
    angles: dict[str, dict[str, float]] = {}
    for name, side in SIDES.items():
        swing = ahead * side * energy
        angles[name] = {
            "shoulder_flexion": -30 * swing + rng.normal(5, 6),
            "shoulder_abduction": rng.normal(12, 6),
            "shoulder_twist": rng.normal(10, 10),
            "elbow": 20 + 45 * energy + rng.normal(0, 12),
            "hip_flexion": 28 * swing + 5,
            "hip_abduction": rng.normal(3, 3),
            "knee": (15 if swing > 0 else 42) * energy + abs(rng.normal(0, 8)),
            "ankle": 5 if swing > 0 else 25,
        }
    return angles


def _seated(rng: Generator) -> dict[str, dict[str, float]]:
    """Sitting or squatting: thighs forwards, apart."""
    flexion, knee = rng.uniform(60, 95), rng.uniform(60, 110)
    legs = {"hip_flexion": flexion, "knee": knee, "ankle": 0.0}
    return {
        name: _free_arm(rng) | {"shoulder_abduction": rng.uniform(5, 50)} | legs | {"hip_abduction": rng.uniform(5, 30)}
        for name in SIDES
    }


def sample_angles(rng: Generator) -> dict[str, dict[str, float]]:
    """Joint angles {"left" | "right": {joint: degrees}} within LIMITS, of a person standing, walking, sitting ..."""
    style = rng.choice(["stand", "gesture", "stride", "sport", "seated"], p=[0.25, 0.3, 0.22, 0.13, 0.1])
    if style == "stride":
        angles = _stride(rng)
    elif style == "seated":
        angles = _seated(rng)
    else:
        leg = _free_leg if style == "sport" else _standing_leg
        free_arm = {"stand": 0.12, "gesture": 0.7, "sport": 0.9}[style]
        angles = {name: (_free_arm if rng.random() < free_arm else _relaxed_arm)(rng) | leg(rng) for name in SIDES}
    return {name: {joint: _clip(joint, a) for joint, a in limb.items()} for name, limb in angles.items()}


def _sample_view(rng: Generator) -> Array:
    """Frame (3,3) of the pelvis: mostly upright and from the front, often from behind, sometimes sideways or tilted."""
    kind = rng.random()
    yaw = rng.normal(0, 32) if kind < 0.62 else 180 + rng.normal(0, 28) if kind < 0.85 else rng.uniform(-180, 180)
    tilt = rng.random()
    roll = rng.normal(0, 6) if tilt < 0.88 else rng.normal(0, 35) if tilt < 0.97 else rng.uniform(-180, 180)
    return about_f(roll) @ about_l(rng.normal(-5, 6)) @ about_d(yaw)


def _add_arm(body: Body, name: str, torso: Array, neck: Array, half_width: float, angles: dict, rng: Generator) -> None:
    side, b = SIDES[name], body.build
    shoulder = neck + torso @ np.array([side * half_width, 0.025, 0])
    swing = about_l(angles["shoulder_flexion"]) @ about_f(side * angles["shoulder_abduction"])
    upper = torso @ swing @ about_d(-side * angles["shoulder_twist"])
    lower = upper @ about_l(angles["elbow"])
    elbow = shoulder + upper[:, 1] * 0.168 * rng.normal(1, 0.04)
    wrist = elbow + lower[:, 1] * 0.145 * rng.normal(1, 0.04)
    fingers = wrist + lower[:, 1] * 0.05
    body.joints |= {f"{name}_shoulder": shoulder, f"{name}_elbow": elbow, f"{name}_wrist": wrist}
    body.bones[f"{name}_upper_arm"] = Bone(f"{name}_upper_arm", shoulder, elbow, upper, (0.038 * b, 0.03 * b), side)
    body.bones[f"{name}_forearm"] = Bone(f"{name}_forearm", elbow, wrist, lower, (0.029 * b, 0.022 * b), side)
    body.bones[f"{name}_hand"] = Bone(f"{name}_hand", wrist, fingers, lower, (0.022, 0.024), side)


def _add_leg(body: Body, name: str, pelvis: Array, half_width: float, angles: dict, rng: Generator) -> None:
    side, b = SIDES[name], body.build
    hip = pelvis @ np.array([side * half_width, 0, 0])
    upper = pelvis @ about_l(angles["hip_flexion"]) @ about_f(side * angles["hip_abduction"])
    lower = upper @ about_l(-angles["knee"])
    knee = hip + upper[:, 1] * 0.235 * rng.normal(1, 0.04)
    ankle = knee + lower[:, 1] * 0.225 * rng.normal(1, 0.04)
    foot = lower @ about_d(side * rng.uniform(0, 20)) @ about_l(-angles["ankle"])
    heel = ankle + foot @ np.array([0, 0.025, -0.012])
    toes = heel + foot[:, 2] * 0.1 + foot[:, 1] * 0.008
    sole = foot @ about_l(90)  # the shoe's long axis is the foot's front
    body.joints |= {f"{name}_hip": hip, f"{name}_knee": knee, f"{name}_ankle": ankle}
    body.bones[f"{name}_thigh"] = Bone(f"{name}_thigh", hip, knee, upper, (0.06 * b, 0.043 * b), side)
    body.bones[f"{name}_shank"] = Bone(f"{name}_shank", knee, ankle, lower, (0.041 * b, 0.029 * b), side)
    body.bones[f"{name}_foot"] = Bone(f"{name}_foot", heel, toes, sole, (0.033, 0.025), side)


HEAD_RADII = np.array([0.056, 0.076, 0.066])  # half width, height and depth of the skull
HEAD_POINTS = {  # on the skull, in units of its radii, along l, d, f
    "nose": (0.0, 0.12, 1.1),
    "left_eye": (0.4, -0.16, 0.88),
    "right_eye": (-0.4, -0.16, 0.88),
    "left_ear": (1.06, 0.0, -0.05),
    "right_ear": (-1.06, 0.0, -0.05),
}


def _add_head(body: Body, torso: Array, neck: Array, rng: Generator) -> None:
    yaw, pitch, roll = (rng.normal(0, spread) for spread in (22, 9, 7))
    yaw, pitch, roll = _clip("head_yaw", yaw), _clip("head_pitch", pitch), _clip("head_roll", roll)
    frame = torso @ about_d(yaw) @ about_l(-pitch) @ about_f(roll)
    size = rng.normal(1.3, 0.05)
    centre = neck - torso[:, 1] * 0.035 - frame[:, 1] * 0.085 * size + frame[:, 2] * 0.01
    for name, point in HEAD_POINTS.items():
        direction = np.array(point)
        body.joints[name] = centre + frame @ (direction * HEAD_RADII * size)
        body.facing[name] = float((frame @ direction)[2] / np.linalg.norm(direction))
    half_height = HEAD_RADII[1] * size
    top, chin = centre - frame[:, 1] * half_height, centre + frame[:, 1] * half_height
    body.bones["head"] = Bone("head", top, chin, frame, (HEAD_RADII[0] * size, HEAD_RADII[2] * size), 0)
    body.bones["neck"] = Bone(
        "neck", centre, neck + torso[:, 1] * 0.02, torso, (0.03 * body.build, 0.036 * body.build), 0
    )


def sample_body(rng: Generator) -> Body:
    """A random person in a random pose, seen from a random direction."""
    body = Body(build=float(np.clip(rng.normal(1.32, 0.13), 1.0, 1.7)))
    angles, pelvis = sample_angles(rng), _sample_view(rng)
    spine = [_clip(joint, rng.normal(mean, spread)) for joint, mean, spread in
             (("spine_flexion", 3, 8), ("spine_side", 0, 6), ("spine_twist", 0, 10))]  # fmt: skip
    torso = pelvis @ about_d(spine[2]) @ about_f(spine[1]) @ about_l(-spine[0])
    neck = -torso[:, 1] * 0.3 * rng.normal(1, 0.04)
    shoulders, hips = 0.128 * rng.normal(1, 0.06) * body.build**0.4, 0.068 * rng.normal(1, 0.06) * body.build**0.4
    body.bones["torso"] = Bone("torso", neck, 0.06 * neck, torso, (shoulders, 0.062 * body.build), 0)
    body.bones["pelvis"] = Bone(
        "pelvis", 0.25 * neck, pelvis[:, 1] * 0.03, pelvis, (hips + 0.045 * body.build, 0.06 * body.build), 0
    )
    for name in SIDES:
        _add_arm(body, name, torso, neck, shoulders, angles[name], rng)
        _add_leg(body, name, pelvis, hips, angles[name], rng)
    _add_head(body, torso, neck, rng)
    return body
