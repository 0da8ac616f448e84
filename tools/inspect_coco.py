"""Looks into COCO keypoint annotations: counts as tables, and with --out as JSON, plots and pictures.

python tools/inspect_coco.py ANN.json [ANN.json ...] [--images DIR] [--out DIR] [--count 16] [--seed 0]
"""

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import run

from heatpose.dataset import DataError, coco, doctor
from heatpose.dataset.groups import Group, read_groups
from heatpose.dataset.images import ImageFolder
from heatpose.dataset.masks import is_sound_size, read_mask
from heatpose.dataset.statistics import (
    LARGE,
    MEDIUM,
    VISIBILITIES,
    Statistics,
    as_json,
    count_categories,
    count_masks,
    histograms,
    measure,
    summary,
)
from heatpose.report import annotation_pictures, annotation_plots
from heatpose.report.annotation_pictures import Shape
from heatpose.report.pictures import save_picture
from heatpose.report.tables import columns_table, rows_table
from heatpose.utils.files import write_json

LONGEST = 1280  # px that a drawn image has at least
LONGEST_NAME = 100  # letters


@dataclass(frozen=True)
class File:
    """An annotation file and what is in it; `name` is short and no two files have the same."""

    name: str
    path: Path
    content: dict[str, Any]
    groups: list[Group]
    statistics: Statistics
    remarks: list[str]
    images: ImageFolder | None


def main() -> None:
    parsed = parse()
    files = read_files(parsed.annotations, parsed.images)
    remarks = write_out(files, parsed.out, parsed.count, parsed.seed) if parsed.out else {}
    print(report(files, remarks))
    if parsed.out:
        print(f"\nwritten to {parsed.out}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; a ValueError for numbers that make no sense."""
    parser = argparse.ArgumentParser(description="Look into COCO keypoint annotations.")
    parser.add_argument("annotations", nargs="+", type=Path, metavar="ANN.json", help="annotation files, e.g. splits")
    parser.add_argument(
        "--images", action="append", default=[], type=Path, metavar="DIR",
        help="folder (or .zip) of the images; give it once for all files, or once for each in their order",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="folder for counts.json, plots and pictures")
    parser.add_argument("--count", type=int, default=16, help="images to draw, of each file")
    parser.add_argument("--seed", type=int, default=0, help="which images are drawn")
    parsed = parser.parse_args(arguments)
    if parsed.count < 1 or parsed.seed < 0:
        raise ValueError(f"--count {parsed.count} --seed {parsed.seed}: give at least one image and no negative seed")
    if parsed.out and parsed.out.exists() and not parsed.out.is_dir():
        raise ValueError(f"--out {parsed.out}: that is a file; give a folder")
    if len(parsed.images) not in (0, 1, len(parsed.annotations)):
        raise ValueError(
            f"{len(parsed.images)} folders of images for {len(parsed.annotations)} annotation files; "
            "give --images once, or once for each file"
        )
    return parsed


def read_files(paths: Sequence[Path], folders: Sequence[Path]) -> list[File]:
    """The files with their statistics, and their images where folders are given."""
    names = short_names(paths)
    each_folder = list(folders) * len(paths) if len(folders) == 1 else list(folders) or [None] * len(paths)
    files = []
    for name, path, folder in zip(names, paths, each_folder, strict=True):
        content = coco.read_json(path, "give a COCO keypoint annotation file")
        groups, remarks = read_groups(content, str(path))
        images = open_images(folder, content) if folder else None
        files.append(File(name, path, content, groups, measure(content, groups), remarks + faults(groups), images))
    return files


def short_names(paths: Sequence[Path]) -> list[str]:
    """The files' names without COCO's beginning of them, numbered where two are the same."""
    stems = [path.stem.removeprefix("person_keypoints_") for path in paths]
    return stems if len(set(stems)) == len(stems) else [f"{n}_{stem}" for n, stem in enumerate(stems, start=1)]


def open_images(folder: Path, content: dict[str, Any]) -> ImageFolder:
    """The folder or zip file; a DataError where an annotated image is missing."""
    if not folder.exists():
        raise DataError(f"--images {folder}: no such folder or zip file")
    images = ImageFolder(folder.with_suffix(""), "zip") if folder.suffix == ".zip" else ImageFolder(folder)
    index = np.array(doctor.join(content["annotations"], content["images"]))
    for finding in doctor.check_images(images, doctor.image_files(content, index)[0]):
        first = f", the first is {finding.example}" * bool(finding.example)
        raise DataError(f"{finding.what}: {finding.count} of {finding.total}{first}; {finding.fix}")
    return images


def faults(groups: Sequence[Group]) -> list[str]:
    """A line about the masks that cannot be used."""
    found = [(group.table.name(i), text) for group in groups for i, text in group.masks.faults.items()]
    return [f"{len(found)} masks cannot be used, e.g. {found[0][0]}: {found[0][1]}"] if found else []


def report(files: Sequence[File], further: Mapping[str, Sequence[str]]) -> str:
    """All tables, and the remarks on the files and the `further` ones."""
    parts = ["\n".join(f"{file.name}: {file.path}" for file in files), counts_table(files)]
    for name in histograms(files[0].statistics):
        parts.append(columns_table(name, {file.name: histograms(file.statistics)[name].rows() for file in files}))
    for file in files:
        parts += file_tables(file, f"{file.name}: " * (len(files) > 1))
    for file in files:
        parts += [f"remark: {file.name}: {text}" for text in [*file.remarks, *further.get(file.name, [])]]
    return "\n\n".join(parts)


def counts_table(files: Sequence[File]) -> str:
    """The main counts of all files; of several also how they share out the images."""
    columns: dict[str, dict[str, Any]] = {file.name: dict(summary(file.statistics)) for file in files}
    if len(files) > 1:
        total = sum(len(file.content["images"]) for file in files)
        names = [{str(i.get("file_name") or i["id"]) for i in file.content["images"]} for file in files]
        for number, (name, column) in enumerate(columns.items()):
            others = set().union(*names[:number], *names[number + 1 :])
            share = {
                "images": column["images"],
                "share of all images": f"{100 * column['images'] / total:.1f}%",
                "images that another file has too": len(names[number] & others),
            }
            columns[name] = {**share, **column}
    return columns_table("counts", columns)


def file_tables(file: File, title: str) -> list[str]:
    """Categories, masks, and joints by visibility."""
    categories = count_categories(file.statistics)
    parts = [rows_table(f"{title}categories", categories)] if len(categories) > 1 else []
    parts.append(rows_table(f"{title}masks", count_masks(file.statistics)))
    for joints in file.statistics.joints:
        parts.append(rows_table(f"{title}keypoints of {joints.people:,} x {joints.what}", joints.rows()))
    return parts


def write_out(files: Sequence[File], out: Path, count: int, seed: int) -> dict[str, list[str]]:
    """counts.json, plots, and for each file a sheet and the images drawn; gives remarks on each file's pictures."""
    counts = {file.name: {"file": str(file.path), **as_json(file.statistics)} for file in files}
    write_json(counts, out / "counts.json", indent=2)
    write_plots({file.name: file.statistics for file in files}, out / "plots")
    folders = {file.name: out / file.name if len(files) > 1 else out for file in files}
    return {file.name: write_pictures(file, folders[file.name], count, seed) for file in files}


def write_plots(found: Mapping[str, Statistics], folder: Path) -> None:
    """Keypoints by joint for every file and skeleton; sizes and people per image of all files together."""
    people = {name: ~each.crowd for name, each in found.items()}
    save = annotation_plots.save_figure
    for name, each in found.items():
        for number, joints in enumerate(each.joints, start=1):
            counts = dict(zip(VISIBILITIES, joints.visibility.T.tolist(), strict=True))
            ordered = {kind: counts[kind] for kind in ("visible", "occluded", "other", "not labelled")}
            title = f"{name}: {joints.people:,} x {joints.what} with keypoints"
            ending = f"_{number}" * (len(each.joints) > 1)
            save(
                annotation_plots.joint_bars(joints.names, ordered, joints.people, title),
                folder / f"keypoints_{name}{ending}.png",
            )
    boxes = {
        label: {name: each.boxes[people[name], side] for name, each in found.items()}
        for side, label in enumerate(("box width, px", "box height, px"))
    }
    save(annotation_plots.size_histograms(boxes), folder / "boxes.png")
    areas = {name: np.sqrt(np.maximum(each.areas[people[name]], 0)) for name, each in found.items()}
    medium, large = MEDIUM**0.5, LARGE**0.5
    ranges = {"small": (0.0, medium), "medium": (medium, large), "large": (large, np.inf)}
    save(annotation_plots.size_histograms({"root of area, px": areas}, ranges), folder / "areas.png")
    per_image = {name: each.people_per_image for name, each in found.items()}
    save(annotation_plots.people_bars(per_image), folder / "people_per_image.png")


def write_pictures(file: File, folder: Path, count: int, seed: int) -> list[str]:
    """sheet.jpg and images/*.jpg; remarks on what could not be drawn as it stands."""
    places = np.unique(file.statistics.image_index[file.statistics.image_index >= 0])
    remarks = []
    if file.images is None:
        sound = np.array([is_sound_size(size) for size in file.statistics.image_sizes[places]], bool)
        remarks += [f"{(~sound).sum()} images of unknown size are not drawn"] * bool((~sound).any())
        places = places[sound]
    if not len(places):
        return [*remarks, "no annotation is on an image that can be drawn"]
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.choice(places, min(count, len(places)), replace=False))
    cells, differ = [], []
    for place, name in zip(chosen, doctor.image_files(file.content, chosen)[0], strict=True):
        annotated = file.statistics.image_sizes[place]
        image = file.images.read(name) if file.images else annotation_pictures.blank(annotated)
        size = image.shape[1], image.shape[0]
        if size != tuple(annotated):
            differ.append(f"{name} is {size[0]} x {size[1]}, annotated as {annotated[0]:g} x {annotated[1]:g}")
        shapes, words = shapes_on(file.groups, place, annotated)
        large = annotation_pictures.draw_annotations(image, shapes, max(1.0, LONGEST / max(size)))
        save_picture(folder / "images" / flat_name(name), large)
        small = annotation_pictures.draw_annotations(image, shapes, annotation_pictures.cell_factor(size))
        cells.append((small, f"{words}  {name}"))
    title = f"{file.name}: {len(cells)} of {len(places):,} annotated images"
    save_picture(folder / "sheet.jpg", annotation_pictures.sheet(cells, title))
    text = f"{len(differ)} of {len(cells)} drawn images have another size than annotated, e.g. {differ[:1]}"
    return [*remarks, text] if differ else remarks


def shapes_on(groups: Sequence[Group], place: int, size: Sequence[float]) -> tuple[list[Shape], str]:
    """The annotations on the image of `size` (w, h) at a position of the file, and their number in words."""
    many = len({name for group in groups for name in group.categories.tolist()}) > 1
    shapes, kinds = [], []
    for group in groups:
        table, skeleton = group.table, group.skeleton
        for i in np.flatnonzero(table.image_index == place):
            known = np.isfinite(group.masks.areas[i])
            mask = read_mask(table.annotations[i].get("segmentation"), size) if known else None
            crowd = bool(table.crowd[i])
            kinds.append(" ".join([str(group.categories[i])] * (many or not crowd) + ["crowd"] * crowd))
            label = kinds[-1] * (many or crowd)
            shapes.append(Shape(table.boxes[i], table.keypoints[i], skeleton.limbs, skeleton.names, mask, crowd, label))
    return shapes, ", ".join(f"{count} x {kind}" for kind, count in Counter(kinds).most_common())


def flat_name(name: str) -> str:
    """A file name for the drawn image, whatever folders and ending its own has and however long it is."""
    flat = name.replace("\\", "/").strip("/").replace("/", "_")[-LONGEST_NAME:]
    return flat if flat.lower().endswith((".jpg", ".jpeg")) else f"{flat}.jpg"


if __name__ == "__main__":
    run(main)
