"""Draws a posed toy person: textured tubes for the body and a head with a face."""

import cv2
import numpy as np

from .body import HEAD_RADII, Body
from .bones import Array, Bone
from .clothes import Clothes, part_texture, skull_texture
from .painter import Painter, ellipse_outline
from .surface import shaded, visible_surface


def draw_trunk(painter: Painter, bone: Bone, texture: Array, across: Array) -> None:
    """Torso or pelvis: an elliptical tube that follows shoulders, waist and hips."""
    torso = bone.part == "torso"
    widths = [0.42, 0.98, 1.1, 1.0, 0.86, 0.86, 0.9] if torso else [0.88, 0.96, 1.0, 1.0, 0.98, 0.9, 0.62]
    places = np.array([-0.07, 0.02, 0.12, 0.35, 0.65, 0.85, 1.02] if torso else np.linspace(0, 1.15, 7))
    start, end = painter.to_canvas(bone.start), painter.to_canvas(bone.end)
    half = np.hypot(bone.radii[0] * (bone.frame[:, 0] @ across), bone.radii[1] * (bone.frame[:, 2] @ across))
    half *= painter.stature
    middle = start + places[:, None] * (end - start)
    offset = np.array(widths)[:, None] * half * across[:2]
    outline = np.concatenate([middle - offset, (middle + offset)[::-1]])
    painter.surface(outline, bone.part, texture, (start, end), across[:2] * float(max(widths) * half))


def draw_head(painter: Painter, body: Body, clothes: Clothes) -> None:
    """The head: far ear, skull, near ear, face."""
    bone, frame = body.bones["head"], body.bones["head"].frame
    down2 = frame[:2, 1] / max(float(np.linalg.norm(frame[:2, 1])), 1e-3)
    across, down = np.array([down2[1], -down2[0], 0]), np.array([down2[0], down2[1], 0])
    size = bone.radii[0] / HEAD_RADII[0]
    axes = frame * HEAD_RADII * size  # (3,3), columns: the skull's half axes
    radii = np.array([np.linalg.norm(across @ axes), np.linalg.norm(down @ axes)]) * painter.stature
    centre = painter.to_canvas((bone.start + bone.end) / 2)
    ears = sorted(("left_ear", "right_ear"), key=lambda ear: body.facing[ear])
    ear = size * np.array([0.012, 0.019])
    draw_feature(painter, body, ears[0], ear, down2, clothes.skin * 0.7)
    corner = centre - radii[0] * across[:2] - radii[1] * down2
    matrix = np.column_stack([2 * radii[0] * across[:2] / 31, 2 * radii[1] * down2 / 31, corner])
    painter.fill(ellipse_outline(centre, radii, down2), "head", skull_texture(frame, across, down, clothes), matrix)
    draw_feature(painter, body, ears[1], ear, down2, clothes.skin * 0.7)
    for eye in ("left_eye", "right_eye"):
        draw_feature(painter, body, eye, size * np.array([0.0165, 0.014]), down2, np.full(3, 250.0))
        draw_feature(painter, body, eye, size * np.array([0.009, 0.01]), down2, np.array([35, 20, 15.0]))
    draw_feature(painter, body, "nose", size * np.array([0.011, 0.016]), down2, clothes.skin * (0.5, 0.5, 0.8))
    mouth = frame @ np.array([0, 0.55, 0.85])
    if mouth[2] > 0.2:
        spot = painter.to_canvas((bone.start + bone.end) / 2 + axes @ np.array([0, 0.55, 0.83]))
        painter.ellipse(spot, "head", size * np.array([0.02, 0.006]), down2, np.array([60, 50, 150.0]))


def draw_feature(painter: Painter, body: Body, name: str, radii: Array, down: Array, colour: Array) -> None:
    """An eye, ear or the nose where it faces the viewer; narrower, the more it is turned away."""
    facing = body.facing[name]
    if not is_facing(body, name):
        return
    narrow = 1.0 if "ear" in name or name == "nose" else max(facing, 0.35)
    painter.ellipse(painter.to_canvas(body.joints[name]), "head", radii * (narrow, 1), down, colour)


def is_facing(body: Body, name: str) -> bool:
    """Whether a head keypoint is turned to the viewer; ears and nose stand out and are seen a bit longer."""
    return body.facing[name] > {"nose": 0.0, "left_eye": 0.12, "right_eye": 0.12}.get(name, -0.3)


def _depth(bone: Bone) -> float:
    """Where a part comes in the drawing order: its mean z, and cloth and joints overlap as they do on people."""
    bias = {"pelvis": 0.01, "torso": 0.02, "neck": 0.015, "head": 0.04}.get(
        bone.part, 0.03 if "arm" in bone.part else 0.0
    )
    return float((bone.start[2] + bone.end[2]) / 2) + bias


def _draw_skirt(painter: Painter, body: Body, clothes: Clothes) -> None:
    bones = [body.bones["left_thigh"], body.bones["right_thigh"]]
    rims = [ellipse_outline(painter.to_canvas(b.start), np.full(2, b.radii[0] * painter.stature)) for b in bones]
    hems = [b.start + clothes.leg * (b.end - b.start) for b in bones]
    rims += [ellipse_outline(painter.to_canvas(h), np.full(2, 0.07 * painter.stature)) for h in hems]
    outline = cv2.convexHull(np.concatenate(rims).astype(np.float32))[:, 0]
    painter.fill(outline, "pelvis", clothes.trousers * 0.9)


def draw_person(painter: Painter, body: Body, clothes: Clothes) -> None:
    """All parts of a person, far ones first."""
    for bone in sorted(body.bones.values(), key=_depth):
        if bone.part == "head":
            draw_head(painter, body, clothes)
            continue
        across, azimuth = visible_surface(bone.frame)
        texture = shaded(part_texture(bone, clothes, azimuth))
        (draw_trunk if bone.part in ("torso", "pelvis") else Painter.tube)(painter, bone, texture, across)
        if bone.part == "pelvis" and clothes.skirt:
            _draw_skirt(painter, body, clothes)
