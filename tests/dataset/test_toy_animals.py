"""The toy animals: repeatable, two domains, left and right as they should be mirrored, clips that move smoothly."""

import dataclasses
import json

import cv2
import numpy as np
import pytest

from heatpose.config import load_config
from heatpose.dataset import build_dataset, doctor, toy_animals
from heatpose.dataset.skeletons import QUADRUPED
from heatpose.dataset.toy.painter import Painter
from heatpose.dataset.toy_animals import DOMAINS, draw_shot, ensure_toy_animals
from heatpose.dataset.toy_animals.body import PART_NAMES, SOFTNESS, pose_animal, sample_build
from heatpose.dataset.toy_animals.coat import sample_coat
from heatpose.dataset.toy_animals.figure import AnimalPainter
from heatpose.dataset.toy_animals.pose import sample_gait
from heatpose.dataset.toy_animals.walk import _sample_view

COUNTS = {"source": (10, 4), "target": (24, 12)}
MIRROR = np.diag([-1.0, 1.0, 1.0])
EXPERIMENT = "experiments/animals/toy/source_only.yaml"


def contents(root):
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def annotations(root, image_set):
    return json.loads((root / "annotations" / f"animal_keypoints_{image_set}.json").read_text())


def keypoints_of(annotation):
    return np.array(annotation["keypoints"], float).reshape(-1, 3)


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    """Folder of each domain, with sets "train" and "test" of COUNTS images."""
    root = tmp_path_factory.mktemp("animals")
    for domain, counts in COUNTS.items():
        ensure_toy_animals(root / domain, domain, "train", "test", *counts)
    return {domain: root / domain for domain in COUNTS}


@pytest.fixture(scope="module")
def target_clips():
    """Keypoints (10, 18, 3) of whole clips of the target domain."""
    return [
        np.stack([keypoints_of(annotation) for _, annotation in draw_shot(DOMAINS["target"], 10, seeded(seed))])
        for seed in range(12)
    ]


def seeded(seed):
    return np.random.default_rng([7, seed])


@pytest.mark.parametrize("domain", COUNTS)
def test_same_parameters_draw_the_same_bytes(roots, tmp_path, domain):
    ensure_toy_animals(tmp_path / "again", domain, "train", "test", *COUNTS[domain])
    assert contents(roots[domain]) == contents(tmp_path / "again")


@pytest.mark.parametrize("domain", COUNTS)
def test_a_picture_does_not_depend_on_how_many_are_drawn(roots, tmp_path, domain):
    ensure_toy_animals(tmp_path / "few", domain, "train", "test", 3, 2)
    few, many = contents(tmp_path / "few"), contents(roots[domain])
    pictures = [name for name in few if name.endswith(".jpg")]
    assert len(pictures) == 5 and all(few[name] == many[name] for name in pictures)
    for image_set, count in (("train", 3), ("test", 2)):
        first, all_of_set = annotations(tmp_path / "few", image_set), annotations(roots[domain], image_set)
        assert first["images"] == all_of_set["images"][:count]
        assert first["annotations"] == all_of_set["annotations"][:count]


@pytest.mark.parametrize("domain", COUNTS)
def test_annotations_are_consistent(roots, domain):
    for image_set, count in zip(("train", "test"), COUNTS[domain], strict=True):
        content = annotations(roots[domain], image_set)
        category = content["categories"][0]
        assert (category["id"], category["name"]) == (1, "animal")
        assert tuple(category["keypoints"]) == QUADRUPED.names
        assert len(content["images"]) == len(content["annotations"]) == count
        for image, animal in zip(content["images"], content["annotations"], strict=True):
            picture = cv2.imread(str(roots[domain] / "images" / image_set / image["file_name"]))
            assert picture.shape == (image["height"], image["width"], 3)
            assert animal["image_id"] == image["id"] == animal["id"]
            points, flags = keypoints_of(animal)[:, :2], keypoints_of(animal)[:, 2]
            assert set(flags) <= {0, 2} and animal["num_keypoints"] == (flags > 0).sum() >= 6
            assert (points[flags == 0] == 0).all()
            assert (points >= 0).all() and (points <= (image["width"] - 1, image["height"] - 1)).all()
            x, y, w, h = animal["bbox"]
            assert x >= 0 and y >= 0 and x + w <= image["width"] and y + h <= image["height"]
            assert 0 < animal["area"] <= w * h
            seen = points[flags > 0]
            assert (seen >= (x - 2, y - 2)).all() and (seen <= (x + w + 1, y + h + 1)).all()


def test_source_pictures_belong_to_no_clip(roots):
    for image_set in ("train", "test"):
        assert not any(
            "clip" in image or "frame" in image for image in annotations(roots["source"], image_set)["images"]
        )


def test_clips_are_whole_but_for_the_last_and_in_one_split(roots):
    clips = {}
    for image_set, count in zip(("train", "test"), COUNTS["target"], strict=True):
        images = annotations(roots["target"], image_set)["images"]
        clips[image_set] = [image["clip"] for image in images]
        assert [image["frame"] for image in images] == [number % 10 for number in range(count)]
        sizes = {(image["clip"], image["width"], image["height"]) for image in images}
        assert len(sizes) == len(set(clips[image_set])) == -(-count // 10)
    assert not set(clips["train"]) & set(clips["test"])
    first = [contents(roots["target"])[f"images/{image_set}/000000000001.jpg"] for image_set in ("train", "test")]
    assert first[0] != first[1]


def test_clips_move_smoothly(target_clips):
    moved = []
    for clip in target_clips:
        both = (clip[1:, :, 2] > 0) & (clip[:-1, :, 2] > 0)
        steps = np.linalg.norm(clip[1:, :, :2] - clip[:-1, :, :2], axis=2)
        assert steps[both].max() < 14
        steady = [QUADRUPED.names.index(name) for name in ("chin", "tail_start", "left_shoulder", "right_shoulder")]
        jerks = np.abs(np.diff(clip[:, steady, :2], n=2, axis=0))[(both[1:] & both[:-1])[:, steady]]
        assert jerks.max(initial=0) < 3
        moved.append(np.median(steps[both]))
    assert 1 < np.mean(moved) < 5 and min(moved) > 0.5


def test_the_picture_stays_at_its_place_where_the_animal_is(target_clips):
    """Animals are seen whole: their keypoints keep away from the border in every frame."""
    for seed, clip in enumerate(target_clips):
        picture, _ = next(draw_shot(DOMAINS["target"], 1, seeded(seed)))
        height, width = picture.shape[:2]
        seen = clip[clip[..., 2] > 0][:, :2]
        assert (seen >= 1).all() and (seen <= (width - 2, height - 2)).all()


def test_the_near_side_is_the_animals_own():
    """Facing image left an animal shows its left side: the far shoulder is never seen, far joints now and then."""
    shown, shoulders = {True: [], False: []}, []
    for seed in range(30):
        _, annotation = next(draw_shot(DOMAINS["source"], 1, seeded(seed)))
        points = dict(zip(QUADRUPED.names, keypoints_of(annotation), strict=True))
        if not (points["chin"][2] and points["tail_start"][2]):
            continue
        faces_left = points["chin"][0] < points["tail_start"][0]
        near, far = ("left", "right") if faces_left else ("right", "left")
        assert points[f"{far}_shoulder"][2] == 0
        shoulders.append(points[f"{near}_shoulder"][2] > 0)
        shown[True] += [points[f"{near}_{joint}"][2] > 0 for joint in ("front_elbow", "front_knee", "back_knee")]
        shown[False] += [points[f"{far}_{joint}"][2] > 0 for joint in ("front_elbow", "front_knee", "back_knee")]
    assert len(shoulders) > 20 and np.mean(shoulders) > 0.9
    assert np.mean(shown[True]) > 0.95 and 0.3 < np.mean(shown[False]) < np.mean(shown[True])


def mirrored(pose):
    """The pose with left and right exchanged."""
    return dataclasses.replace(
        pose, swing=pose.swing[2:] + pose.swing[:2], flexion=pose.flexion[2:] + pose.flexion[:2],
        neck_turn=-pose.neck_turn, tail_turn=-pose.tail_turn,
    )  # fmt: skip


@pytest.fixture(params=range(6))
def pair(request):
    """An animal, its mirror image, and a coat that both can wear."""
    rng = seeded(100 + request.param)
    build, pose, view = sample_build(rng), sample_gait(12, rng).pose(rng.uniform()), _sample_view(1, rng)[0]
    animal, other = pose_animal(build, pose, view), pose_animal(build, mirrored(pose), MIRROR @ view @ MIRROR)
    return animal, other, sample_coat(DOMAINS["source"], rng)


def test_a_mirrored_animal_is_one_with_left_and_right_exchanged(pair):
    animal, other, _ = pair
    names = list(QUADRUPED.names)
    order = np.arange(len(names))
    for left, right in QUADRUPED.flip_pairs:
        order[[left, right]] = right, left
    for index, name in enumerate(names):
        np.testing.assert_allclose(other.joints[names[order[index]]], MIRROR @ animal.joints[name], atol=1e-9)


def test_a_mirrored_picture_shows_a_mirrored_animal(pair):
    """What tells left from right survives mirroring, so mirrored training samples teach no falsehood."""
    animal, other, coat = pair
    size, pictures, maps = 260, [], []
    part_labels = {part: label for label, part in enumerate(PART_NAMES, 1)}
    for each in (animal, other):
        canvas, labels = np.full((size, size, 3), 255, np.uint8), np.zeros((size, size), np.uint8)
        painter = Painter(canvas, labels, np.array([(size - 1) / 2, 200.0]), 120.0, part_labels)
        AnimalPainter(painter, each, coat, np.array([0, -0.8, 0.7]), 0.3).draw()
        pictures.append(canvas)
        maps.append(labels)
    swapped = np.arange(256)
    for part, label in part_labels.items():
        partner = part.replace("left", "?").replace("right", "left").replace("?", "right")
        swapped[label] = part_labels[partner]
    assert (swapped[maps[1]][:, ::-1] == maps[0]).mean() > 0.99
    inside = maps[0] > 0
    difference = np.abs(pictures[1][:, ::-1].astype(int) - pictures[0])[inside]
    unmirrored = np.abs(pictures[0][:, ::-1].astype(int) - pictures[0])[inside]
    assert difference.mean() < 0.1 * unmirrored.mean()


def test_left_legs_look_different_from_right_ones():
    """Their skins are mirror images of one another, and not equal."""
    coat = sample_coat(DOMAINS["source"], seeded(3))
    for part in ("front_middle", "back_lower"):
        left, right = coat.skins[f"left_{part}"], coat.skins[f"right_{part}"]
        np.testing.assert_array_equal(left, np.roll(right[:, ::-1], 1, axis=1))
        assert np.abs(left - right).mean() > 10


def test_legs_touch_the_ground_and_none_is_below():
    for seed in range(20):
        rng = seeded(seed)
        gait, build, view = sample_gait(5, rng), sample_build(rng), _sample_view(1, rng)[0]
        animal = pose_animal(build, gait.pose(rng.uniform()), view)
        depths = [view[:, 1] @ bone.end for part in PART_NAMES if "hoof" in part for bone in animal.bones[part]]
        assert -np.log(4) / SOFTNESS <= max(depths) <= 0
        np.testing.assert_allclose(gait.pose(0.2).swing, gait.pose(1.2).swing, atol=1e-9)


def test_the_domains_look_different(roots):
    """Source pictures have plain backgrounds and bright colours; in the target all is rough."""

    def statistics(domain):
        pictures = [cv2.imread(str(path)) for path in sorted((roots[domain] / "images" / "train").iterdir())]
        return np.mean([p[:3].std(axis=1).mean() for p in pictures]), np.mean([p.mean() for p in pictures])

    (plain, bright), (rough, dim) = statistics("source"), statistics("target")
    assert plain < 2 and rough > 8 and bright > dim


@pytest.mark.parametrize("change", ["version", "numbers", "domain"])
def test_other_parameters_replace_it(tmp_path, change, monkeypatch):
    ensure_toy_animals(tmp_path / "toy", "source", "train", "test", 1, 1)
    before = contents(tmp_path / "toy")
    ensure_toy_animals(tmp_path / "toy", "source", "train", "test", 1, 1)
    assert contents(tmp_path / "toy") == before
    if change == "version":
        monkeypatch.setattr(toy_animals, "VERSION", 999)
    if change == "numbers":
        monkeypatch.setitem(DOMAINS, "source", dataclasses.replace(DOMAINS["source"], noise=20.0))
    ensure_toy_animals(tmp_path / "toy", "target" if change == "domain" else "source", "train", "test", 1, 1)
    assert contents(tmp_path / "toy") != before


def test_a_foreign_folder_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"notes\.txt"):
        ensure_toy_animals(tmp_path / "mine", "source", "train", "test", 1, 1)
    assert contents(tmp_path / "mine") == {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("moon", "train", "test", 1, 1), "no domain 'moon'; choose one of source, target"),
        (("source", "train", "train", 1, 1), "two different names"),
        (("target", "train", "test", 0, 1), "at least 1 image"),
    ],
)
def test_wrong_parameters_are_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        ensure_toy_animals(tmp_path / "toy", *arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("domain", COUNTS)
def test_the_experiment_reads_it_and_the_doctor_finds_nothing(repository, roots, domain):
    train, test = COUNTS[domain]
    cfg = load_config(
        repository / EXPERIMENT,
        ["DATASET.ROOT", str(roots[domain].parent), "DATASET.TOY_DOMAIN", domain, "DATASET.TOY_TRAIN_IMAGES",
         str(train), "DATASET.TOY_TEST_IMAGES", str(test)],
    )  # fmt: skip
    training, scored = build_dataset(cfg, "train"), build_dataset(cfg, "test")
    assert (len(training), len(scored)) == (train, test)
    assert doctor.quick_check(training, [scored]) == []
    clip = training.records.clip
    assert clip is None if domain == "source" else clip.tolist() == [0] * 10 + [2] * 10 + [4] * 4
    item = training[0, 0]
    assert item["crop"].shape == (96, 96, 3) and item["keypoints_input"].shape == (18, 2)
    inside = item["keypoints_input"][item["visible"] > 0]
    assert (inside > -5).all() and (inside < 101).all()
    assert "boxes around the visible keypoints" in scored.boxes
