"""How long a training takes until its first batch on a file with 150,000 people, and what its loading processes hold.

python -m benchmarks.start_up --samples ../shared/data
python -m benchmarks.start_up --write                  also benchmarks/start_up.md and benchmarks/start_up.json

The file repeats real annotations until it has as many people as COCO's train2017; all images are one picture under many
names. Each start is a process of its own, with one thread; the first finds an empty cache.
"""

import argparse
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
EXPERIMENT = HERE.parent / "experiments/coco/hrnet/w32_256x192.yaml"
PEOPLE, WORKERS, EARLY, LATE = 150_000, 2, 10, 200
FEWEST = 10_000  # an epoch of theirs has LATE batches and those that are loaded ahead


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=Path, default=Path("../shared/data"), help="folder with coco_val538")
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--write", action="store_true", help="write benchmarks/start_up.md and .json")
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(start(options.child)))
        return 0
    source = options.samples / "coco_val538"
    if not source.is_dir():
        print(f"error: {source}: no such folder; --samples wants one with coco_val538", file=sys.stderr)
        return 2
    if options.people < FEWEST:
        print(f"error: --people {options.people}: use {FEWEST} or more, for {LATE} batches", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder:
        made = make(source, Path(folder), options.people)
        environment = {**os.environ, "HEATPOSE_CACHE": f"{folder}/cache", "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "benchmarks.start_up", "--child", folder]
        starts = [
            json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
            for _ in range(3)
        ]
        made["cache_megabytes"] = round(sum(path.stat().st_size for path in Path(folder, "cache").iterdir()) / 1e6, 1)
    from heatpose.report.run import versions

    content = {"file": made, "starts": starts, "load": os.getloadavg()[0], "versions": versions()}
    print(text(content))
    if options.write:
        (HERE / "start_up.json").write_text(json.dumps(content, indent=1) + "\n")
        (HERE / "start_up.md").write_text(text(content))
    return 0


def make(source: Path, root: Path, people: int) -> dict[str, Any]:
    """COCO's layout below `root`; what it has."""
    from .speed.scoring import moved  # not above: how long imports take is measured in a child

    content = json.loads((source / "annotations/person_keypoints_val2017.json").read_text())
    labelled = sum(entry["num_keypoints"] > 0 and not entry["iscrowd"] for entry in content["annotations"])
    copies = -(-people // labelled)
    chosen = [(copy, image) for copy in range(copies) for image in content["images"]]
    ids = {(copy, image["id"]): number for number, (copy, image) in enumerate(chosen, start=1)}
    images = [
        {**image, "id": number, "file_name": f"{number:012d}.jpg"} for number, (_, image) in enumerate(chosen, start=1)
    ]
    annotations = moved(content["annotations"], ids, copies)
    (root / "annotations").mkdir()
    (root / "images/train2017").mkdir(parents=True)
    path = root / "annotations/person_keypoints_train2017.json"
    path.write_text(json.dumps({**content, "images": images, "annotations": annotations}))
    (root / "annotations/person_keypoints_val2017.json").write_text(json.dumps(content))
    picture = root / "picture.jpg"
    picture.write_bytes(_picture())
    for image in images:
        os.link(picture, root / "images/train2017" / image["file_name"])
    (root / "images/val2017").mkdir()
    for image in content["images"]:
        os.link(picture, root / "images/val2017" / image["file_name"])
    megabytes = path.stat().st_size / 1e6
    return {"images": len(images), "annotations": len(annotations), "megabytes": round(megabytes, 1)}


def _picture() -> bytes:
    import cv2
    import numpy as np

    return cv2.imencode(".jpg", np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8))[1].tobytes()


def start(root: Path) -> dict[str, Any]:
    """Seconds of the parts of a start, and MB that each loading process has of its own, early and late in an epoch."""
    began = time.perf_counter()
    import cv2
    import torch

    from heatpose.config import load_config
    from heatpose.dataset import build_dataset, doctor, training_loader
    from heatpose.utils.memory import keep_freed_memory

    keep_freed_memory()  # as the tools do
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    times = {"import": time.perf_counter() - began}

    def timed(name: str, call: Any) -> Any:
        began = time.perf_counter()
        found = call()
        times[name] = time.perf_counter() - began
        return found

    cfg = load_config(EXPERIMENT, ["DATASET.ROOT", str(root), "TEST.USE_GT_BBOX", "True"])
    crops: Any = timed("people to train on", lambda: build_dataset(cfg, "train"))
    tests: Any = timed("people to test on", lambda: build_dataset(cfg, "test"))
    timed("the doctor's quick check", lambda: doctor.quick_check(crops, [tests]))
    loader = training_loader(crops, cfg.TRAIN.BATCH_SIZE_PER_GPU, True, WORKERS, cfg.SEED)
    batches = iter(loader)
    timed("first batch", lambda: next(batches))
    memory = []
    for number in range(1, LATE + 1):
        next(batches)
        if number in (EARLY, LATE):
            memory.append(max(_private_dirty(process.pid) for process in multiprocessing.active_children()))
    return {"people": len(crops), "seconds": times, "until_first_batch": sum(times.values()), "own_megabytes": memory}


def _private_dirty(pid: int | None) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:")) / 1024


def text(content: dict[str, Any]) -> str:
    """The figures as a page."""
    file, starts, versions = content["file"], content["starts"], content["versions"]
    names = list(starts[0]["seconds"])
    rows = [[name, *(f"{each['seconds'][name]:.2f}" for each in starts)] for name in names]
    rows.append(["together", *(f"{each['until_first_batch']:.2f}" for each in starts)])
    early, late = (max(each["own_megabytes"][place] for each in starts) for place in range(2))
    return "\n".join([
        "# Start on a large annotation file", "",
        f"{starts[0]['people']} people, {file['annotations']} annotations of {file['images']} images, "
        f"{file['megabytes']:.0f} MB of JSON; the cache keeps {file['cache_megabytes']} MB. Seconds with one thread:",
        "", "| part | first start | second | third |", "|---|---:|---:|---:|",
        *("| " + " | ".join(row) + " |" for row in rows), "",
        f"Memory of a loading process that it shares with no other: {early:.0f} MB after {EARLY} batches, "
        f"{late:.0f} MB after {LATE}.", "",
        f"Made by `python -m benchmarks.start_up --write`; load of the machine {content['load']:.1f}; "
        + ", ".join(f"{name} {versions[name]}" for name in ("python", "numpy", "torch", "opencv")) + ".", "",
    ])  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
