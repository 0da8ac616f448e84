"""Finds why an AP will be 0 before an epoch is spent. Exit code 0: clean, 1: findings that will spoil the score.

python tools/doctor.py --cfg experiments/toy/hrnet.yaml [--results results.json] [KEY VALUE ...]
python tools/doctor.py --annotations person_keypoints_val.json [--results R.json] [--detections D.json] [--images DIR]
                       [--skeleton file]
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from common import argument_parser, read_config, run

from heatpose.codecs import build_codec
from heatpose.config import data_path, domain_config, replaced
from heatpose.config.check_data import JOINTS
from heatpose.core.evaluate import CocoScorer, PeopleOfImages
from heatpose.dataset import DataError, build_dataset, coco, doctor, own_keypoints, skeletons
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


@dataclass(frozen=True)
class Truth:
    """A COCO annotation file: its content as JSON gives it, keypoints a person, ids of the categories that are read.

    `names` are DATASET.CATEGORIES for a file with keypoints of its own, None for one with COCO's.
    """

    path: Path
    content: Any
    num_joints: int
    categories: Sequence[int] = coco.PERSONS
    names: Sequence[str] | None = None

    def read(self) -> dict[str, Any]:
        """The content as the reader takes it; a DataError where it does not."""
        if self.names is None:
            return coco.read_annotations(self.path, self.num_joints)
        return own_keypoints.read_annotations(self.path, self.num_joints, categories=self.names)[0]

    def table(self) -> doctor.Table:
        """The annotations as arrays; the content has to be one."""
        return doctor.read_table(self.content, self.num_joints, self.categories)


def main() -> None:
    parsed = parse()
    sections = check_all(read_config(parsed), parsed.results) if parsed.cfg else check_files(parsed)
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
    parser.add_argument("--skeleton", choices=("file",), help="with --annotations: read the file's own keypoints")
    parsed = parser.parse_args(arguments)
    if bool(parsed.cfg) == bool(parsed.annotations):
        raise ValueError("give either --cfg with an experiment file or --annotations with a COCO annotation file")
    unused = [name for name in ("detections", "images", "skeleton") if parsed.cfg and getattr(parsed, name)]
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


def check_all(cfg: Any, results: Path | None = None) -> list[Section]:
    """DATASET, and what else an experiment that adapts reads: TARGET, which is scored then, and HUMANS."""
    if not cfg.TARGET.DATASET:
        return check_experiment(cfg, results)
    sections = [check_split(cfg, "train")[0]]
    for section in check_experiment(domain_config(cfg, "TARGET"), results):
        sections.append(replace(section, title=f"TARGET, {section.title}"))
    if cfg.HUMANS.DATASET:
        people = replaced(domain_config(cfg, "HUMANS"), {"MODEL.NUM_JOINTS": JOINTS[cfg.HUMANS.DATASET]})
        section = check_split(people, "train")[0]
        sections.append(replace(section, title=f"HUMANS, {section.title}"))
    return sections


def check_experiment(cfg: Any, results: Path | None = None) -> list[Section]:
    """Both splits of an experiment, the detections it is scored with, and a results file where one is given."""
    training, training_truth, dataset = check_split(cfg, "train")
    test, truth, test_set = check_split(cfg, "test")
    if not any((training_truth, dataset, truth, test_set)):
        raise DataError(training.findings[0].what)  # nothing is there that could be checked
    skeleton = known_skeleton(cfg, dataset or test_set)
    if skeleton is not None:
        training.findings += doctor.check_skeleton(skeleton, cfg.MODEL.NUM_JOINTS, needs_sigmas=truth is not None)
    if dataset and test_set:
        training.findings += doctor.check_same_keypoints(dataset.skeleton, test_set.skeleton)
    if dataset:
        training.findings += doctor.check_targets(dataset.records, build_codec(cfg))
    sections = [training, test]
    if truth is not None and uses_detections(cfg):
        sections.append(check_detected_boxes(cfg, truth))
    if results and truth is None:
        raise ValueError(f"--results {results}: only results on COCO annotations are checked; leave it out")
    if results and truth is not None:
        sections.append(check_results(results, truth, skeleton.sigmas if skeleton else None))
    return sections


def check_split(cfg: Any, split: str) -> tuple[Section, Truth | None, Any]:
    """The section of a split, its COCO annotation file, and its data set; None where there is none."""
    name = cfg.DATASET.TRAIN_SET if split == "train" else cfg.DATASET.TEST_SET
    dataset, problem = try_dataset(cfg, split, name)
    root = data_path(cfg, cfg.DATASET.ROOT)
    truth = read_truth(cfg, coco.annotation_path(root, name, cfg.DATASET.ANNOTATIONS))
    section = Section(f"{split} split {name}" + (f": {truth.path}" if truth else ""))
    if truth is None:
        if problem:
            section.findings.append(doctor.Finding(str(problem), 1, 1, "", "see the message"))
        else:
            check_records(section, dataset, split)
        return section, None, dataset
    folder = coco.image_folder(root, name, cfg.DATASET.IMAGES)
    images = dataset.images if dataset else ImageFolder(folder, cfg.DATASET.DATA_FORMAT)
    if coco.is_test_set(name):
        section.lines.append("a list of images, whose annotations are not public")
    else:
        check_content(section, truth, known_skeleton(cfg, dataset))
    check_image_files(section, images, truth.content, split == "test" and uses_detections(cfg), name)
    if problem and (cfg.DATASET.SKELETON or not section.spoilt):  # a file's skeleton has faults of its own
        section.findings.append(doctor.Finding(str(problem), 1, 1, "", "see the message"))
    return section, truth, dataset


def read_truth(cfg: Any, path: Path) -> Truth | None:
    """The annotation file of a split as the experiment reads it, or None where there is none."""
    if not path.is_file():
        return None
    content = coco.read_json(path, ANNOTATIONS_FIX)
    if cfg.DATASET.SKELETON != "file":
        return Truth(path, content, cfg.MODEL.NUM_JOINTS)
    return own_truth(path, content, cfg.DATASET.CATEGORIES)


def own_truth(path: Path, content: Any, names: Sequence[str] = ()) -> Truth:
    """A content with keypoints of its own; one whose categories cannot be read is left as it is."""
    num_joints = doctor.most_frequent_joints(content)
    try:
        selected = own_keypoints.select_categories(content, path, names) if isinstance(content, dict) else content
    except DataError:  # building the data set says so
        return Truth(path, content, num_joints, names=names)
    ids = [entry["id"] for entry in selected["categories"]] if isinstance(selected, dict) else coco.PERSONS
    return Truth(path, selected, num_joints, ids, names)


def known_skeleton(cfg: Any, dataset: Any) -> skeletons.Skeleton | None:
    """The skeleton of a data set; of one that cannot be built COCO's, or None where its file has its own."""
    if dataset:
        return dataset.skeleton
    return None if cfg.DATASET.SKELETON == "file" else skeletons.COCO


def try_dataset(cfg: Any, split: str, name: str) -> tuple[Any, DataError | None]:
    """The data set of a split with annotated boxes, where it has them, or why it cannot be built."""
    try:
        return build_dataset(replaced(cfg, {"TEST.USE_GT_BBOX": not coco.is_test_set(name)}), split), None
    except DataError as error:
        return None, error


def check_detected_boxes(cfg: Any, truth: Truth) -> Section:
    """The section of the detections that the experiment names, or of what keeps them from being read."""
    name = cfg.TEST.COCO_BBOX_FILE
    path = data_path(cfg, name)
    if name and path.is_file():
        return check_detections(path, truth, cfg.TEST.IMAGE_THRE)
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


def check_content(section: Section, truth: Truth, skeleton: Any) -> None:
    """Adds to `section` what there is to say of a COCO annotation file."""
    section.findings += doctor.check_annotations(truth.content, truth.num_joints, skeleton, truth.categories)
    if not doctor.check_structure(truth.content):
        section.lines.append(doctor.describe_people(truth.table()))


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
    truth = Truth(parsed.annotations, content, doctor.most_frequent_joints(content))
    skeleton = skeletons.COCO if truth.num_joints == skeletons.COCO.num_joints else None
    kind = "the file's own" if parsed.skeleton else "read as COCO's persons (--skeleton file: as the file names them)"
    annotations = Section(f"annotations: {parsed.annotations}", [f"{truth.num_joints} keypoints a person, {kind}"])
    if parsed.skeleton:
        truth, skeleton = own_truth(parsed.annotations, content), file_skeleton(annotations, truth)
    check_content(annotations, truth, skeleton)
    if parsed.images:
        check_image_files(annotations, ImageFolder(parsed.images), content)
    sections = [annotations]
    if parsed.detections:
        sections.append(check_detections(parsed.detections, truth))
    if parsed.results:
        sections.append(check_results(parsed.results, truth, skeleton.sigmas if skeleton else None))
    return sections


def file_skeleton(section: Section, truth: Truth) -> skeletons.Skeleton | None:
    """The skeleton of a file's categories; None, with a finding in `section`, where it has none."""
    try:
        selected = own_keypoints.select_categories(coco.read_content(truth.path), truth.path)
        return own_keypoints.common_skeleton(selected["categories"], truth.path)
    except DataError as error:
        section.findings.append(doctor.Finding(str(error), 1, 1, "", "see the message"))
        return None


def check_detections(path: Path, truth: Truth, threshold: float = 0.0) -> Section:
    """The section of a detections file."""
    section, content = Section(f"detections: {path}"), truth.content
    detections = coco.read_json(path, FILE_FIX)
    if not doctor.has_images(content):
        section.lines.append("not checked: the annotations cannot be read")
        return section
    if isinstance(detections, list):
        section.lines.append(f"{len(detections)} boxes for {len(content['images'])} images")
    people = None if doctor.check_structure(content) else truth.table()
    section.findings += doctor.check_detections(detections, content, people, threshold, truth.categories)
    return section


def check_results(path: Path, truth: Truth, sigmas: Sequence[float] | None) -> Section:
    """The section of a results file, with COCOeval's numbers and what they would be with areas that fit the boxes."""
    section, content = Section(f"results: {path}"), truth.content
    results = coco.read_json(path, FILE_FIX)
    if doctor.check_structure(content):
        section.lines.append("not checked: the annotations cannot be read")
        return section
    table = truth.table()
    section.findings += doctor.check_results(results, content, table, truth.categories)
    if doctor.check_result_format(results, content, truth.num_joints, truth.categories):
        return section
    section.lines.append(doctor.describe_results(results, content, table))
    if not sigmas:
        section.lines.append(f"not scored: the sigmas of a skeleton with {truth.num_joints} keypoints are not known")
        return section
    try:
        readable = truth.read()
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
