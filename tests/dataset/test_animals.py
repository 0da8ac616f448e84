"""Animals: CC-SSL's keypoints, crops around what is visible, clips in order of time."""

import json

import numpy as np
import pytest

from heatpose.dataset import animals
from heatpose.dataset.augment import mirror_keypoints
from heatpose.dataset.doctor import check_skeleton
from heatpose.dataset.records import DataError
from heatpose.dataset.skeletons import QUADRUPED


def content(frames, keypoints=((30, 20), (50, 60))):
    """Images (clip, frame) or None, each with an animal whose first keypoints are visible."""
    flat = [value for x, y in keypoints for value in (x, y, 2)] + [0] * 3 * (18 - len(keypoints))
    images, annotations = [], []
    for number, place in enumerate(frames, 1):
        image = {"id": number, "file_name": f"{number}.jpg", "width": 100, "height": 80}
        images.append(image | ({} if place is None else dict(zip(("clip", "frame"), place, strict=True))))
        annotations.append(
            {"id": number, "image_id": number, "bbox": [10, 5, 80, 70], "area": 900.0, "keypoints": flat}
        )
    return {"images": images, "annotations": annotations}


@pytest.fixture
def read(tmp_path):
    def read(what, aspect_ratio=1.0):
        path = tmp_path / "animal_keypoints_test.json"
        path.write_text(json.dumps(what))
        return animals.read_animals(path, 18, aspect_ratio)

    return read


def test_flip_pairs_are_ccssls(golden):
    arrays = golden("geometry_animals")
    order = np.arange(18)
    for left, right in QUADRUPED.flip_pairs:
        order[[left, right]] = right, left
    np.testing.assert_array_equal(arrays["flip_back/in"][:, order, :, ::-1], arrays["flip_back/out"])
    points = arrays["shufflelr/in"]
    mirrored = np.stack([mirror_keypoints(p[:, :2], p[:, 2], 300, QUADRUPED.flip_pairs)[0] for p in points])
    mirrored[..., 0] += 1  # CC-SSL mirrors x to width - x
    np.testing.assert_allclose(mirrored, arrays["shufflelr/out"][..., :2], atol=1e-4)


def test_the_skeleton_is_sound():
    assert QUADRUPED.num_joints == 18
    assert check_skeleton(QUADRUPED, 18, needs_sigmas=False) == []
    assert {index for limb in QUADRUPED.limbs for index in limb} == set(range(18))


def test_the_crop_is_half_as_large_again_as_the_box_around_the_visible_keypoints(read):
    people = read(content([None]))
    assert people.boxes.tolist() == [[30, 20, 20, 40]]
    np.testing.assert_allclose(people.center, [[40, 40]])
    np.testing.assert_allclose(people.scale, [[60, 60]], rtol=1e-6)
    np.testing.assert_allclose(read(content([None]), 0.75).scale, [[45, 60]], rtol=1e-6)


def test_one_keypoint_still_has_a_box(read):
    assert read(content([None], [(30, 20)])).boxes.tolist() == [[30, 20, 1, 1]]


def test_clips_come_in_order_of_time(read):
    people = read(content([(4, 1), (2, 0), (4, 0), (2, 1), (4, 2)]))
    assert people.clip.tolist() == [2, 2, 4, 4, 4]
    assert people.image_names[people.image_index].tolist() == ["2.jpg", "4.jpg", "3.jpg", "1.jpg", "5.jpg"]
    kept = people.select(np.array([0, 3]))
    assert kept.clip.tolist() == [2, 4] and kept.image_names[kept.image_index].tolist() == ["2.jpg", "1.jpg"]


def test_single_images_belong_to_no_clip(read):
    assert read(content([None, None])).clip is None
    mixed = read(content([None, (1, 1), None, (1, 0)]))
    assert mixed.clip.tolist() == [-1, -1, 1, 1]
    assert mixed.image_names[mixed.image_index].tolist() == ["1.jpg", "3.jpg", "4.jpg", "2.jpg"]


def test_half_a_place_in_a_clip_is_an_error(read):
    what = content([(0, 0), (0, 1)])
    del what["images"][1]["frame"]
    with pytest.raises(DataError, match="image 2 has only one of 'clip' and 'frame'"):
        read(what)


def test_a_file_without_labels_is_an_error(read):
    with pytest.raises(DataError, match="no animal with a labelled keypoint"):
        read(content([None], []))
