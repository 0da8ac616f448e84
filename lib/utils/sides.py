"""Left and right in the names of keypoints, and so which two change places in a mirrored image."""

import re
from collections.abc import Iterator, Sequence

_SIDE = re.compile("left|right", re.IGNORECASE)
_LETTERS = {"l": "left", "r": "right"}
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")  # of snake_case, CamelCase and L_Eye


def left_right_pairs(names: Sequence[str]) -> list[tuple[int, int]]:
    """Index pairs (left, right) of the names that differ in nothing but their side.

    What a name says by itself comes first (`side_and_part`). Names that are left over are pairs where exchanging one l
    for an r, or near for off, gives the other: riders call a horse's left its near and its right its off side
    (Horse-10).

    >>> left_right_pairs(["nose", "left_eye", "right_eye", "lknee", "rknee", "Nearfoot", "Offfoot", "lip"])
    [(1, 2), (3, 4), (5, 6)]
    """
    parts = [side_and_part(name) for name in names]
    rights = {part: index for index, (side, part) in enumerate(parts) if side == "right"}
    pairs = [(index, rights.pop(part)) for index, (side, part) in enumerate(parts) if side == "left" and part in rights]
    paired = {index for pair in pairs for index in pair}
    rest = {name.lower(): index for index, name in enumerate(names) if index not in paired}
    for name in list(rest):
        other = next((each for each in _right_spellings(name) if each in rest), None)
        if name in rest and other is not None:
            pairs.append((rest.pop(name), rest.pop(other)))
    return sorted(pairs)


def _right_spellings(name: str) -> Iterator[str]:
    """What the right partner of a left name may be called."""
    if name.startswith("near"):
        yield "off" + name[4:]
    for place, letter in enumerate(name):
        if letter == "l":
            yield name[:place] + "r" + name[place + 1 :]


def mirror_partners(names: Sequence[str]) -> dict[int, int]:
    """Of keypoints whose names tell left from right the index of the partner, as far as both are there.

    >>> mirror_partners(["nose", "left_eye", "right_eye", "Lsho", "Rsho", "hip_l", "hip_r", "lip"])
    {1: 2, 2: 1, 3: 4, 4: 3, 5: 6, 6: 5}
    """
    return {
        index: partner for left, right in left_right_pairs(names) for index, partner in ((left, right), (right, left))
    }


def sides(names: Sequence[str]) -> list[str]:
    """The side of every keypoint, "left", "right" or "". Abbreviations count only where the partner is there too.

    >>> sides(["L_Eye", "R_Eye", "Lip", "left_paw"])
    ['left', 'right', '', 'left']
    """
    found = [word.group().lower() if (word := _SIDE.search(name)) else "" for name in names]
    for left, right in left_right_pairs(names):
        found[left], found[right] = "left", "right"
    return found


def side_and_part(name: str) -> tuple[str, str]:
    """What a keypoint's name says of its side ("left", "right" or "") and, in small letters, of its part.

    >>> side_and_part("left_eye"), side_and_part("R_F_Elbow"), side_and_part("Lsho"), side_and_part("neck")
    (('left', 'eye'), ('right', 'felbow'), ('left', 'sho'), ('', 'neck'))
    """
    word = _SIDE.search(name)
    if word:
        return word.group().lower(), plain(name[: word.start()] + name[word.end() :])
    words = _WORDS.findall(name)
    for number, each in enumerate(words):
        if each.lower() in _LETTERS and len(words) > 1:
            return _LETTERS[each.lower()], plain("".join(words[:number] + words[number + 1 :]))
    if re.match(r"[LR][A-Za-z]?[a-z]", name):
        return _LETTERS[name[0].lower()], plain(name[1:])
    return "", plain(name)


def plain(text: str) -> str:
    """Small letters and digits alone: how names are compared.

    >>> plain("Left-Eye 1")
    'lefteye1'
    """
    return re.sub(r"[^a-z0-9]", "", text.lower())
