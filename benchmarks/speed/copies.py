"""The sample images with their people and boxes, several times over: enough work that starting up does not hide it."""

import json
from pathlib import Path

from .scoring import moved as repeated_entries

SET = "val2017"
BOXES = "person_detection_results/COCO_val2017_detections_AP_H_56_person.json"
ANNOTATIONS = f"annotations/person_keypoints_{SET}.json"


def repeat_sample(samples: Path, folder: Path, copies: int, images: int = 0) -> Path:
    """Writes coco_sample's layout below `folder`, every image `copies` times as a link of its own, and returns it.

    `images` keeps the first so many of the sample's images, 0 all of them. Nothing is shared between copies: each has
    its own file name, ids, people and boxes, so that a loader that reads an image once reads each copy once.
    """
    source = (samples / "coco_sample").resolve()
    content = json.loads((source / ANNOTATIONS).read_text())
    detections = json.loads((source / BOXES).read_text())
    chosen = content["images"][: images or None]
    for place in (ANNOTATIONS, BOXES, f"images/{SET}/image"):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
    numbers, repeated = {}, []
    for number, (copy, image) in enumerate(((c, i) for c in range(copies) for i in chosen), start=1):
        name = f"{number:012d}.jpg"
        (folder / "images" / SET / name).symlink_to(source / "images" / SET / image["file_name"])
        numbers[copy, image["id"]] = number
        repeated.append({**image, "id": number, "file_name": name})
    content["images"] = repeated
    content["annotations"] = repeated_entries(content["annotations"], numbers, copies)
    (folder / ANNOTATIONS).write_text(json.dumps(content))
    (folder / BOXES).write_text(json.dumps(repeated_entries(detections, numbers, copies)))
    return folder
