"""Writes the toy animals: two domains of drawn quadrupeds, the same for the same parameters.

    root/images/<set>/000000000001.jpg ...
    root/annotations/animal_keypoints_<set>.json        COCO's format; frames of a shot have `clip` and `frame`
    root/toy.json                                       the parameters, what makes a folder ours

Source: single pictures, plain and bright. Target: short clips of walking animals with other coats, light and
backgrounds, blurred and noisy. The numbers that part them: domains.py. How left and right can be told apart: coat.py.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ..skeletons import QUADRUPED
from ..toy.drawn_folder import check_splits, coco_content, ensure_drawn, image_entry, write_json, write_picture
from .domains import DOMAINS, Domain
from .scene import draw_shot

__all__ = ["DOMAINS", "Domain", "draw_shot", "ensure_toy_animals"]

VERSION = 1  # raise it with every change of the drawing: existing folders are then drawn anew


def ensure_toy_animals(
    root: Path, domain: str, train_set: str, test_set: str, train_images: int, test_images: int, seed: int = 0
) -> None:
    """Draw a domain, "source" or "target", into `root`, unless it is there already with these parameters.

    Image i of a set is the same, however many are drawn; the last clip of a set may be cut short. No shot is in both
    sets. Clips have even numbers in the train set and odd ones in the test set.

    Raises:
        ValueError: parameters out of range, or `root` holds files that this function did not write.
    """
    if domain not in DOMAINS:
        raise ValueError(f"the toy animals have no domain {domain!r}; choose one of {', '.join(DOMAINS)}")
    how, stream = DOMAINS[domain], (seed, list(DOMAINS).index(domain))
    images = check_splits(train_set, test_set, train_images, test_images)
    numbers = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(how).items()}
    parameters = {"version": VERSION, "seed": seed, "images": images, "domain": domain, "numbers": numbers}

    def draw(folder: Path) -> str:
        for split, (image_set, count) in enumerate(images.items()):
            _draw_split(folder, image_set, count, how, (*stream, split))
        return f"{sum(images.values())} toy animals of the {domain} domain"

    ensure_drawn(root, parameters, [f"annotations/animal_keypoints_{image_set}.json" for image_set in images], draw)


def _draw_split(root: Path, image_set: str, count: int, domain: Domain, stream: tuple[int, int, int]) -> None:
    """Write a split's images and annotations."""
    folder = root / "images" / image_set
    folder.mkdir(parents=True)
    images: list[dict[str, Any]] = []
    animals: list[dict[str, Any]] = []
    while len(images) < count:
        shot = len(images) // domain.clip_frames
        frames = draw_shot(domain, count - len(images), np.random.default_rng([*stream, shot]))
        for frame, (picture, annotation) in enumerate(frames):
            number = len(images) + 1
            image = image_entry(number, picture)
            if domain.clip_frames > 1:
                image |= {"clip": 2 * shot + stream[2], "frame": frame}
            write_picture(picture, folder / image["file_name"], domain.jpeg_quality)
            images.append(image)
            animals.append(annotation | {"id": number, "image_id": number})
    info = {"description": "heatpose toy animals", "version": str(VERSION)}
    content = coco_content("animal", QUADRUPED, images, animals, info)
    write_json(root / f"annotations/animal_keypoints_{image_set}.json", content)
