"""What toy animals look like: the skin of every part, all the way round it, so that it stays the same as they move.

What tells left from right survives mirroring, as with the toy people's clothes (toy/clothes.py): hooves point to the
front, a light seam runs down the outer side of the legs, the inner side is dark, and bands are wound about the legs
like a screw, left-handed on the left legs and right-handed on the right ones.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.random import Generator

from ..toy.bones import SIDES, Array
from ..toy.surface import ALONG, TEXTURE_SIZE, paint, screw
from .body import PART_NAMES
from .domains import Domain, Range

COLUMNS = 48  # of a skin
_SKIN = (TEXTURE_SIZE[1], COLUMNS, 3)
_AZIMUTH = np.linspace(0, 2 * np.pi, COLUMNS, endpoint=False)[None]  # 0 the part's front, pi/2 its left side


@dataclass(frozen=True)
class Coat:
    """Skins (48, 48, 3) of the parts, along and around them, BGR in 0-255."""

    skins: dict[str, Array]

    def texture(self, part: str, azimuth: Array) -> Array:
        """What of a part (48, n, 3) is seen at the azimuths (n,)."""
        columns = np.round(azimuth * (COLUMNS / (2 * np.pi))).astype(int) % COLUMNS
        return self.skins[part][:, columns]


def sample_coat(domain: Domain, rng: Generator) -> Coat:
    """A random coat in the colours of a domain."""
    body, hair = _colour(domain.hue, domain.saturation, domain.value, rng), _contrasting(domain, rng)
    hoof = rng.choice([40.0, 225.0]) + rng.uniform(-25, 25, 3)
    pattern = _Pattern(domain.pattern, rng)
    skins: dict[str, Array] = {}
    for part in PART_NAMES:
        limb = part.split("_")[-1]
        skin = np.empty(_SKIN, np.float32)
        skin[:] = hoof if limb == "hoof" else hair if part == "tail" else body
        if limb not in ("hoof", "tail"):
            pattern.paint(skin, 0.6 if limb in ("head", "middle", "lower") else 1.0, rng)
        _details(part, skin, body, hair, domain.marks)
        if domain.fur:
            skin += domain.fur * _noise(rng)
        skins[part] = np.clip(skin, 0, 255)
    return Coat(skins)


def _colour(hue: Range, saturation: Range, value: Range, rng: Generator) -> Array:
    hsv = np.array([[[rng.uniform(*hue) % 360, rng.uniform(*saturation), rng.uniform(*value)]]], np.float32)
    return 255.0 * cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0].astype(float)


def _contrasting(domain: Domain, rng: Generator) -> Array:
    """A colour for mane and tail, darker than coats are or nearly white."""
    dark = rng.random() < 0.7
    value = (0.15, 0.4) if dark else (0.85, 1.0)
    return _colour(domain.hue, (0.1, 0.4) if not dark else domain.saturation, value, rng)


def _noise(rng: Generator) -> Array:
    """Noise (48,48,1) of about unit variance, drawn out along the part as hairs are."""
    coarse = rng.standard_normal((TEXTURE_SIZE[1] // 3, COLUMNS), dtype=np.float32)
    return cv2.resize(coarse, (COLUMNS, TEXTURE_SIZE[1]))[..., None] * 1.3


def _details(part: str, skin: Array, body: Array, hair: Array, marks: float) -> None:
    """Mane, muzzle and blaze; on the legs what tells left from right, with the contrast `marks`."""
    side, _, limb = part.partition("_")
    light = 0.35 * body + 160
    if part == "neck":
        paint(skin, np.cos(_AZIMUTH) > 0.8, hair)
    elif part == "head":
        paint(skin, (np.cos(_AZIMUTH) > 0.93) & (ALONG > 0.25), light)
        paint(skin, ALONG > 0.86, 0.45 * body)
    elif side in SIDES and not limb.endswith(("hoof", "upper")):
        band = 0.45 * body if body.sum() > 330 else 0.6 * body + 90
        _blend(skin, screw(SIDES[side], _AZIMUTH, 1.4) < 0.35, band, marks)
        _blend(skin, np.sin(_AZIMUTH) * SIDES[side] > 0.93, light, marks)
        _blend(skin, (np.sin(_AZIMUTH) * SIDES[side] < -0.3), 0.55 * body, 0.6 * marks)


def _blend(skin: Array, where: Array, colour: Array, share: float) -> None:
    """Move the colour of a skin towards another where a mask, (48,48) or (1,48), is true."""
    skin += (where * np.float32(share))[..., None] * (colour.astype(np.float32) - skin)


class _Pattern:
    """Stripes around the parts, spots or patches in a colour of their own, and a lighter belly."""

    def __init__(self, contrast: float, rng: Generator):
        self.contrast = contrast * rng.uniform(0.4, 1)
        self.kind = str(rng.choice(["plain", "stripes", "spots", "patches"], p=[0.25, 0.3, 0.2, 0.25]))
        self.colour = rng.choice([30.0, 225.0], p=[0.65, 0.35]) + rng.uniform(-20, 20, 3)
        self.stripes = rng.uniform(4, 7)
        self.belly = contrast * rng.uniform(0, 0.5)

    def paint(self, skin: Array, share: float, rng: Generator) -> None:
        """Paint one skin, with `share` of the contrast."""
        if not self.contrast:
            return
        _blend(skin, np.cos(_AZIMUTH) > 0.55, np.full(3, 225.0), self.belly)
        if self.kind == "stripes":
            wave = self.stripes * ALONG + 0.35 * np.sin(2 * _AZIMUTH + rng.uniform(0, 6)) + rng.uniform()
            _blend(skin, wave % 1 < 0.3 + 0.12 * np.sin(3 * _AZIMUTH), self.colour, share * self.contrast)
        elif self.kind != "plain":
            cells, level = (12, 0.6) if self.kind == "spots" else (4, 0.35)
            coarse = rng.standard_normal((cells * 2 // 3, cells), dtype=np.float32)
            blobs = cv2.resize(
                np.hstack([coarse, coarse[:, :1]]), (COLUMNS, TEXTURE_SIZE[1]), interpolation=cv2.INTER_CUBIC
            )
            _blend(skin, blobs > level, self.colour, share * self.contrast)
