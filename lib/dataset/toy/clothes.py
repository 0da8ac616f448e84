"""What toy people wear: colours, and textures of the visible half of each body part.

What tells left from right survives mirroring, so that training with mirrored samples stays possible: a mirrored picture
of a person is a picture of a mirrored person. A red sleeve on the left arm would not do. These cues do:
- front and back differ: face, collar, zip and light cloth in front; hair, dark cloth and a back print behind;
- a light seam runs down the outer side of the sleeves and trouser legs, and shoes point to the front;
- cloth on the limbs has stripes wound like a screw: left-handed on the left limbs, right-handed on the right ones,
  which looks the same from every side.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from .bones import Array, Bone
from .surface import ALONG, TEXTURE_SIZE, paint, screw


@dataclass(frozen=True)
class Clothes:
    """Colours are BGR (3,) in 0-255."""

    skin: Array
    hair: Array
    hat: Array | None
    shirt: Array
    shirt_pattern: str  # plain, stripes, checks, pinstripes
    accent: Array  # second colour of the shirt's pattern
    sleeve: float  # how far down the arm, 1 the elbow, 2 the wrist
    trousers: Array
    leg: float  # how far down the leg, 1 the knee, 2 the ankle
    skirt: bool
    shoes: Array
    gloves: bool
    pads: Array | None  # on elbows and knees
    cuffs: Array | None  # on wrists and ankles


def _random_colour(rng: Generator, low: int = 30, high: int = 235) -> Array:
    hsv = np.array([[[rng.integers(0, 180), rng.integers(30, 230), rng.integers(low, high)]]], np.uint8)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(float)


def _hair_colour(skin: Array, rng: Generator) -> Array:
    """One that differs from the skin: the face must be told from the back of the head."""
    colours = np.array([(25, 25, 30), (30, 45, 75), (45, 60, 120), (70, 125, 170), (190, 190, 195)], float)
    return rng.choice(colours[np.abs(colours - skin).mean(1) > 45])


def _trim(rng: Generator) -> Array:
    """A very light or very dark colour, which stands out from most cloth and skin."""
    return rng.choice([35.0, 215.0]) + rng.uniform(-25, 25, 3)


def sample_clothes(rng: Generator) -> Clothes:
    """Random skin, hair and clothes."""
    light, dark = np.array([175, 200, 240.0]), np.array([50, 75, 115.0])
    mix = rng.random()
    skin = light * mix + dark * (1 - mix)
    leg = float(rng.choice([2.0, 0.9, 0.6], p=[0.7, 0.15, 0.15]))
    return Clothes(
        skin=skin,
        hair=_hair_colour(skin, rng),
        hat=_random_colour(rng, 60) if rng.random() < 0.2 else None,
        shirt=_random_colour(rng, 70),
        shirt_pattern=str(rng.choice(["plain", "stripes", "checks", "pinstripes"], p=[0.4, 0.25, 0.2, 0.15])),
        accent=_random_colour(rng, 60),
        sleeve=float(rng.choice([2.0, 1.3, 0.7], p=[0.65, 0.15, 0.2])),
        trousers=_random_colour(rng, 45, 180),
        leg=leg,
        skirt=leg < 1 and rng.random() < 0.5,
        shoes=_random_colour(rng),
        gloves=rng.random() < 0.25,
        pads=_trim(rng) if rng.random() < 0.75 else None,
        cuffs=_trim(rng) if rng.random() < 0.85 else None,
    )


def _cloth(colour: Array, azimuth: Array) -> Array:
    """Texture (48,24,3) of a garment: the colour in front, a darker one behind."""
    texture = np.empty((TEXTURE_SIZE[1], TEXTURE_SIZE[0], 3))
    texture[:] = np.where(np.cos(azimuth)[:, None] > -0.1, colour, colour * 0.62)[None]
    return texture


def _limb_texture(colour: Array, clothes: Clothes, covered: float, azimuth: Array, bone: Bone) -> Array:
    """Texture (48,24,3) of a limb whose cloth, of this colour, ends at the fraction `covered` of its length."""
    texture, side = _cloth(colour, azimuth), bone.side
    stripe = colour * 0.5 if colour.sum() > 330 else colour * 0.6 + 85
    paint(texture, screw(side, azimuth[None], 1.6) < 0.4, stripe)
    outer = np.abs((azimuth - side * np.pi / 2 + np.pi) % (2 * np.pi) - np.pi) < 0.4
    paint(texture, outer[None], colour * 0.25 + 180)
    paint(texture, ALONG > covered, clothes.skin)
    lower = bone.part.endswith(("forearm", "shank"))
    if clothes.pads is not None:
        paint(texture, ALONG < 0.13 if lower else ALONG > 0.87, clothes.pads)
    if lower and clothes.cuffs is not None:
        paint(texture, ALONG > 0.87, clothes.cuffs)
    return texture


def _torso_texture(clothes: Clothes, azimuth: Array) -> Array:
    """Texture (48,24,3) of the shirt, neck at the top."""
    texture = _cloth(clothes.shirt, azimuth)
    rows, columns = (ALONG * 7) % 1 < 0.4, (azimuth[None] * 2.2) % 1 < 0.4
    pattern = {"stripes": rows, "checks": rows ^ columns, "pinstripes": columns}.get(clothes.shirt_pattern)
    front = np.cos(azimuth)[None] > -0.1
    if pattern is not None:
        paint(texture, pattern & front, clothes.accent)
        paint(texture, pattern & ~front, clothes.accent * 0.62)
    paint(texture, np.abs(azimuth)[None] < 0.1, clothes.shirt * 0.2 + 190)  # zip
    paint(texture, np.abs(azimuth)[None] < 0.75 * (1 - ALONG / 0.24), clothes.skin)  # collar
    behind = np.abs(np.abs(azimuth) - np.pi)[None]
    paint(texture, (behind < 0.7) & (ALONG > 0.14) & (ALONG < 0.62), clothes.accent * 0.4)  # back print
    return texture


def part_texture(bone: Bone, clothes: Clothes, azimuth: Array) -> Array:
    """The texture (h, w, 3) BGR, TEXTURE_SIZE, of what a body part wears, seen at `azimuth` (w,) round its bone."""
    limb = bone.part.split("_", 1)[-1]
    if bone.part == "torso":
        return _torso_texture(clothes, azimuth)
    if bone.part == "pelvis":
        texture = _cloth(clothes.trousers, azimuth)
        paint(texture, ALONG < 0.12, clothes.trousers * 0.4)  # belt
        return texture
    if limb in ("upper_arm", "forearm"):
        covered = clothes.sleeve - (limb == "forearm")
        return _limb_texture(clothes.shirt, clothes, covered, azimuth, bone)
    if limb in ("thigh", "shank"):
        covered = clothes.leg - (limb == "shank")
        return _limb_texture(clothes.trousers, clothes, covered, azimuth, bone)
    plain = clothes.shoes if limb == "foot" or (limb == "hand" and clothes.gloves) else clothes.skin
    return _cloth(plain, azimuth) if limb == "foot" else np.broadcast_to(plain, (*TEXTURE_SIZE[::-1], 3))


def skull_texture(frame: Array, across: Array, down: Array, clothes: Clothes) -> Array:
    """Texture (32,32,3) of the head as seen: skin, hair behind and above, perhaps a hat."""
    grid = np.linspace(-1, 1, 32)
    s, t = np.meshgrid(grid, grid)
    z = np.sqrt(np.clip(1 - s**2 - t**2, 0, 1))
    normals = s[..., None] * across + t[..., None] * down + z[..., None] * np.array([0, 0, 1.0])
    d, f = normals @ frame[:, 1], normals @ frame[:, 2]
    texture = np.broadcast_to(clothes.skin, (32, 32, 3)).copy()
    texture[(f < -0.12) | (d < -0.52)] = clothes.hair
    if clothes.hat is not None:
        texture[d < -0.42] = clothes.hat
        texture[(d < -0.34) & (d > -0.46)] = clothes.hat * 0.5
    return np.clip(texture * (0.62 + 0.4 * z - 0.08 * s)[..., None], 0, 255).astype(np.uint8)
