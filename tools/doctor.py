"""Finds why an AP will be 0 before an epoch is spent. Exit code 0: clean, 1: findings that will spoil the score.

python tools/doctor.py --cfg experiments/toy/hrnet.yaml [--results results.json] [KEY VALUE ...]
python tools/doctor.py --annotations person_keypoints_val.json [--results R.json] [--detections D.json] [--images DIR]
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from common import argument_parser, read_config, run

from heatpose.codecs import build_codec
from heatpose.config import data_path, replaced
from heatpose.core.evaluate import CocoScorer, PeopleOfImages
from heatpose.dataset import DataError, build_dataset, coco, doctor, skeletons
from heatpose.dataset.images import ImageFolder

ANNOTATIONS_FIX, FILE_FIX = "give a COCO keypoint annotation file", "give a file in COCO results format"


@dataclass
class Section:
    """What was found out about one thing: a title, some lines, and the findings."""

    title: str
    lines: list[str] = field(default_factory=list)
    findings: list[doctor.Finding] = field(default_factory=list)

    @property
    def spoilt(self) -> bool:
        return any(each.spoils for each in self.findings)

    def __str__(self) -> str:
        return "\n".join([self.title, *("  " + line for line in self.lines), *(f"\n{each}" for each in self.findings)])


def main() -> None:
    parsed = parse()
    sections = check_experiment(read_config(parsed), parsed.results) if parsed.cfg else check_files(parsed)
    print("\n\n".join(map(str, sections)))
    print("\n" + verdict(sections))
    sys.exit(any(section.spoilt for section in sections))


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; a ValueError where neither an experiment nor an annotation file is given."""
    parser = argument_parser("Find what will spoil the score of an experiment, or of files.", cfg_required=False)
    parser.add_argument("--annotations", type=Path, help="COCO annotation file to check instead of an experiment")
    parser.add_argument("--results", type=Path, help="results file to check and score against the annotations")
    parser.add_argument("--detections", type=Path, help="with --annotations: file with detected boxes")
    parser.add_argument("--images", type=Path, help="with --annotations: folder of the images")
    parsed = parser.parse_args(arguments)
    if bool(parsed.cfg) == bool(parsed.annotations):
        raise ValueError("give either --cfg with an experiment file or --annotations with a COCO annotation file")
    unused = [name for name in ("detections", "images") if parsed.cfg and getattr(parsed, name)]
    if unused:
        raise ValueError(f"--{unused[0]} goes with --annotations; with --cfg the experiment names it")
    return parsed


def verdict(sections: Sequence[Section]) -> str:
    """The closing line."""
    findings = [finding for section in sections for finding in section.findings]
    spoiling = sum(finding.spoils for finding in findings)
    number = f"{spoiling} finding{'s' * (spoiling > 1)}" if spoiling else "nothing"
    remarks = len(findings) - spoiling
    return f"doctor: {number} that will spoil the score" + f"; {remarks} remark{'s' * (remarks > 1)}" * bool(remarks)


def check_experiment(cfg: Any, results: Path | None = None) -> list[Section]:
    """Both splits of an experiment, the detections it is scored with, and a results file where one is given."""
    training, training_content, dataset = check_split(cfg, "train")
    skeleton = dataset.skeleton if dataset else skeletons.COCO
    test, content, test_set = check_split(cfg, "test")
    if not any((training_content, dataset, content, test_set)):
        raise DataError(training.findings[0].what)  # nothing is there that could be checked
    training.findings += doctor.check_skeleton(skeleton, cfg.MODEL.NUM_JOINTS, needs_sigmas=content is not None)
    if dataset:
        training.findings += doctor.check_targets(dataset.records, build_codec(cfg))
    sections = [training, test]
    if content is not None and uses_detections(cfg):
        sections.append(check_detected_boxes(cfg, content))
    if results and content is None:
        raise ValueError(f"--results {results}: only results on COCO annotations are checked; leave it out")
    if results and content is not None:
        path = coco.annotation_path(data_path(cfg, cfg.DATASET.ROOT), cfg.DATASET.TEST_SET)
        sections.append(check_results(results, path, content, cfg.MODEL.NUM_JOINTS, skeleton.sigmas))
    return sections


def check_split(cfg: Any, split: str) -> tuple[Section, Any, Any]:
    """The section of a split, the content of its COCO annotation file, and its data set; None where there is none."""
    name = cfg.DATASET.TRAIN_SET if split == "train" else cfg.DATASET.TEST_SET
    dataset, problem = try_dataset(cfg, split, name)
    root = data_path(cfg, cfg.DATASET.ROOT)
    path = coco.annotation_path(root, name)
    content = coco.read_json(path, ANNOTATIONS_FIX) if path.is_file() else None
    section = Section(f"{split} split {name}" + f": {path}" * (content is not None))
    if content is None:
        if problem:
            section.findings.append(doctor.Finding(str(problem), 1, 1, "", "see the message"))
        else:
            check_records(section, dataset, split)
        return section, None, dataset
    images = dataset.images if dataset else ImageFolder(coco.image_folder(root, name), cfg.DATASET.DATA_FORMAT)
    skeleton = dataset.skeleton if dataset else skeletons.COCO
    if coco.is_test_set(name):
        section.lines.append("a list of images, whose annotations are not public")
    else:
        check_content(section, content, cfg.MODEL.NUM_JOINTS, skeleton)
    check_image_files(section, images, content, split == "test" and uses_detections(cfg), name)
    if problem and not section.spoilt:
        section.findings.append(doctor.Finding(str(problem), 1, 1, "", "see the message"))
    return section, content, dataset


def try_dataset(cfg: Any, split: str, name: str) -> tuple[Any, DataError | None]:
    """The data set of a split with annotated boxes, where it has them, or why it cannot be built."""
    try:
        return build_dataset(replaced(cfg, {"TEST.USE_GT_BBOX": not coco.is_test_set(name)}), split), None
    except DataError as error:
        return None, error


def check_detected_boxes(cfg: Any, content: Any) -> Section:
    """The section of the detections that the experiment names, or of what keeps them from being read."""
    name = cfg.TEST.COCO_BBOX_FILE
    path = data_path(cfg, name)
    if name and path.is_file():
        return check_detections(path, content, cfg.MODEL.NUM_JOINTS, cfg.TEST.IMAGE_THRE)
    what = f"no such file: {path}" if name else "TEST.COCO_BBOX_FILE is empty, so there are no boxes to score with"
    fix = "give a file with detections in COCO results format, or TEST.USE_GT_BBOX True"
    return Section("detections", findings=[doctor.Finding(what, 1, 1, "", fix)])


def uses_detections(cfg: Any) -> bool:
    """Whether the test split is scored with the boxes of TEST.COCO_BBOX_FILE."""
    return not cfg.TEST.USE_GT_BBOX or cfg.TEST.BOTH_BOXES


def check_records(section: Section, dataset: Any, split: str) -> None:
    """Adds to `section` what there is to say of a data set that was not read from a COCO file."""
    records = dataset.records
    section.lines.append(f"{len(records)} people")
    names = records.image_names[np.unique(records.image_index)].tolist()
    if split == "train" or records.visible.any():  # else a test set, whose annotations are not public
        section.findings += doctor.check_records(records)
    section.findings += doctor.check_images(dataset.images, names)


def check_content(section: Section, content: Any, num_joints: int, skeleton: Any) -> None:
    """Adds to `section` what there is to say of a COCO annotation file."""
    section.findings += doctor.check_annotations(content, num_joints, skeleton)
    if not doctor.check_structure(content):
        section.lines.append(doctor.describe_people(doctor.read_table(content, num_joints)))


def check_image_files(
    section: Section, images: ImageFolder, content: Any, whole: bool = False, image_set: str = ""
) -> None:
    """Adds to `section` what is wrong with the files of the images with annotations, or of all images."""
    if not doctor.has_images(content):
        return
    whole = whole or bool(doctor.check_structure(content))  # its annotations tell nothing
    entries = [{"image_id": image["id"]} for image in content["images"]] if whole else content["annotations"]
    index = np.array(doctor.join(entries, content["images"]))
    section.findings += doctor.check_images(images, *doctor.image_files(content, index, image_set))


def check_files(parsed: argparse.Namespace) -> list[Section]:
    """An annotation file, and the results, detections and images that are given with it."""
    content = coco.read_json(parsed.annotations, ANNOTATIONS_FIX)
    num_joints = doctor.most_frequent_joints(content)
    skeleton = skeletons.COCO if num_joints == skeletons.COCO.num_joints else None
    annotations = Section(f"annotations: {parsed.annotations}", [f"{num_joints} keypoints a person"])
    check_content(annotations, content, num_joints, skeleton)
    if parsed.images:
        check_image_files(annotations, ImageFolder(parsed.images), content)
    sections = [annotations]
    if parsed.detections:
        sections.append(check_detections(parsed.detections, content, num_joints))
    if parsed.results:
        sigmas = skeleton.sigmas if skeleton else None
        sections.append(check_results(parsed.results, parsed.annotations, content, num_joints, sigmas))
    return sections


def check_detections(path: Path, content: Any, num_joints: int, threshold: float = 0.0) -> Section:
    """The section of a detections file."""
    section = Section(f"detections: {path}")
    detections = coco.read_json(path, FILE_FIX)
    if not doctor.has_images(content):
        section.lines.append("not checked: the annotations cannot be read")
        return section
    if isinstance(detections, list):
        section.lines.append(f"{len(detections)} boxes for {len(content['images'])} images")
    people = None if doctor.check_structure(content) else doctor.read_table(content, num_joints)
    section.findings += doctor.check_detections(detections, content, people, threshold)
    return section


def check_results(path: Path, truth: Path, content: Any, num_joints: int, sigmas: Sequence[float] | None) -> Section:
    """The section of a results file, with COCOeval's numbers and what they would be with areas that fit the boxes."""
    section = Section(f"results: {path}")
    results = coco.read_json(path, FILE_FIX)
    if doctor.check_structure(content):
        section.lines.append("not checked: the annotations cannot be read")
        return section
    table = doctor.read_table(content, num_joints)
    section.findings += doctor.check_results(results, content, table)
    if doctor.check_result_format(results, content, num_joints):
        return section
    section.lines.append(doctor.describe_results(results, content, table))
    if sigmas is None:
        section.lines.append(f"not scored: the sigmas of a skeleton with {num_joints} keypoints are not known")
        return section
    try:
        readable = coco.read_annotations(truth, num_joints)
    except DataError as error:
        section.lines.append(f"not scored: {error}")
        return section
    scores = CocoScorer(readable, PeopleOfImages(sigmas)).score(results)
    section.lines += [scores_line("COCOeval:", scores), *doctor.explain_scores(scores, table)]
    repaired = doctor.repaired_areas(readable, table)
    if repaired["annotations"] != readable["annotations"]:
        better = CocoScorer(repaired, PeopleOfImages(sigmas)).score(results)
        section.lines.append(scores_line("with areas that fit the boxes it would be:", better))
    return section


def scores_line(title: str, scores: dict[str, float]) -> str:
    return f"{title} " + ", ".join(f"{name} {value:.3f}" for name, value in scores.items())


if __name__ == "__main__":
    run(main)
