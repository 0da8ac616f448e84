"""Draws a posed toy animal: textured tubes for neck and legs, rounded hulls for trunk and head, ears and eyes."""

import cv2
import numpy as np

from ..toy.bones import SIDES, Array, Bone
from ..toy.painter import Painter
from ..toy.surface import azimuth_of, visible_normals
from .body import LEG_PARTS, Animal
from .coat import Coat
from .pose import LEGS

EYE = np.array([25.0, 20, 20])  # BGR
EYE_SEEN = 0.12  # z of the surface normal from which on an eye is seen
FAR_LEGS = 0.72  # of the light reaches the legs on the far side, in the shadow of the trunk
_COMING = ("tail", "far", "trunk", "neck", "near", "head")  # the order of drawing; far and near are legs
_GOING = ("head", "neck", "far", "trunk", "tail", "near")
_TURN = np.linspace(0, 2 * np.pi, 12, endpoint=False)
_RING = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)
# Places along a part and its thickness there, relative to its radii.
_TRUNK = np.array(
    [(-0.09, 0.45), (-0.03, 0.8), (0.1, 1.0), (0.35, 1.0), (0.6, 0.93), (0.88, 0.98), (1.02, 0.75), (1.07, 0.4)]
)
_HEAD = np.array([(-0.12, 0.7), (0.05, 1.0), (0.3, 1.0), (0.8, 1.0), (1.05, 0.95), (1.14, 0.6)])


class AnimalPainter:
    """Draws one animal with the light coming from `light` (3,), camera axes, and this much `relief` (0-1)."""

    def __init__(self, painter: Painter, animal: Animal, coat: Coat, light: Array, relief: float):
        self.painter, self.animal, self.coat = painter, animal, coat
        self.light, self.relief = light / np.linalg.norm(light), relief

    def draw(self) -> None:
        """All parts, far ones first."""
        near, far = ([leg for leg in LEGS if self.animal.is_near(leg.split("_")[0]) == side] for side in (True, False))
        comes = self.animal.towards > -0.25  # otherwise the head is farther away than the tail
        for part in _COMING if comes else _GOING:
            if part in ("far", "near"):
                self._legs(near if part == "near" else far, 1.0 if part == "near" else FAR_LEGS)
            elif part == "trunk":
                self._hull(self.animal.bones["trunk"][0], _TRUNK)
            elif part == "head":
                self._head()
            else:
                for bone in self.animal.bones[part]:
                    self._tube(bone, 1.0)

    def _legs(self, legs: list[str], brightness: float) -> None:
        """From the far leg to the near one, each from the body down to the hoof."""
        bones = self.animal.bones
        for leg in sorted(legs, key=lambda leg: bones[f"{leg}_middle"][0].start[2]):
            for part in LEG_PARTS:
                self._tube(bones[f"{leg}_{part}"][0], brightness)

    def _tube(self, bone: Bone, brightness: float) -> None:
        texture, across = self._texture(bone, brightness)
        self.painter.tube(bone, texture, across)

    def _texture(self, bone: Bone, brightness: float) -> tuple[Array, Array]:
        """The lit texture of a part (48,24,3) and the direction across it (3,)."""
        across, normals = visible_normals(bone.frame)
        lit = brightness * (1 - self.relief * (1 - np.maximum(normals @ self.light, 0)))
        texture = self.coat.texture(bone.part, azimuth_of(normals, bone.frame)) * lit[None, :, None]
        return np.clip(texture, 0, 255).astype(np.uint8), across

    def _hull(self, bone: Bone, profile: Array) -> None:
        """A part as the hull of rings around its axis."""
        texture, across = self._texture(bone, 1.0)
        places, widths = profile[:, :1], profile[:, 1:]
        middles = bone.start + places * (bone.end - bone.start)  # (n,3)
        half = widths * (np.array(bone.radii) if bone.part == "trunk" else np.interp(places, (0, 1), bone.radii))
        rings = half[:, None, :] * _RING  # (n,12,2): along the frame's l and f
        points = middles[:, None] + rings[..., :1] * bone.frame[:, 0] + rings[..., 1:] * bone.frame[:, 2]
        projected = self.painter.origin + self.painter.stature * points.reshape(-1, 3)[:, :2]
        outline = cv2.convexHull(projected.astype(np.float32))[:, 0]
        line = (self.painter.to_canvas(bone.start), self.painter.to_canvas(bone.end))
        extents = (projected - line[0]) @ across[:2]
        self.painter.surface(outline, bone.part, texture, line, across[:2] * float(np.abs(extents).max()))

    def _head(self) -> None:
        """Far ear, skull, near ear, eyes."""
        bone = self.animal.bones["head"][0]
        ears = sorted(SIDES, key=lambda side: SIDES[side] * bone.frame[2, 0])
        self._ear(bone, ears[0], 0.6)
        self._hull(bone, _HEAD)
        self._ear(bone, ears[1], 0.9)
        down = bone.frame[:2, 1] / max(float(np.linalg.norm(bone.frame[:2, 1])), 1e-3)
        for eye, facing in self.animal.facing.items():
            if facing > EYE_SEEN:
                spot, size = self.painter.to_canvas(self.animal.joints[eye]), 0.3 * bone.radii[0]
                radii = np.array([size, size * max(facing, 0.5)])
                self.painter.ellipse(spot, "head", radii * 1.25, down, np.full(3, 245.0))
                self.painter.ellipse(spot, "head", radii * 0.85, down, EYE)

    def _ear(self, bone: Bone, side: str, brightness: float) -> None:
        """A triangle that stands on the poll."""
        frame, size, out = bone.frame, self.animal.build.ear, SIDES[side]
        root = bone.start + frame @ np.array([out * 0.55, 0.1, 0.75]) * bone.radii[0]
        tip = root + frame @ np.array([out * 0.35, -0.6, 0.9]) * size * 1.5
        along = frame[:, 1] * 0.45 * size
        corners = np.array([self.painter.to_canvas(p) for p in (root - along, root + along, tip)])
        self.painter.fill(corners, "head", self.coat.texture("head", np.zeros(1))[4, 0] * brightness)
