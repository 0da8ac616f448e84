"""Makes the small set of references in the repository from a whole one.

python -m benchmarks.parity.excerpt WHOLE_DIR

Most of the forks' functions treat their rows (boxes, people, joints sets, maps) apart from one another, so the first
rows of inputs and outputs are references as good as all. What needs real images is left out.
"""

import argparse
import fnmatch
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from .harness import HERE, References
from .report import is_compared

ROWS = 6  # boxes, people and sets of joints
MAPS = {  # heatmaps of each kind
    "64x48/gauss": [0], "64x48/mixed": [3, 4, 5, 6, 7], "64x48/offset": [0],
    "animals/gauss": [0], "animals/mixed": [2, 3, 4],
}  # fmt: skip
FILES = ("geometry_*", "targets_*", "decode_*", "losses_*", "nms_*", "eval_mpii_*", "models_*")
# Left out to keep the set small; the rest tests the same code.
DROPPED = (
    "256x256_s2/*", "*/coco_db_256x256/*", "affine/288x384*", "affine/96x128*", "affine/64x64*", "box3/*", "oks3/*",
    "acc_a/*", "case1/*", "case2/*", "losses_*:*/grad", "targets_*:*/nonzero", "decode_*:flip*",
    "64x48/gauss_*", "oks2/*", "*first3", "targets_*:MPII/*", "losses_animals:acc/*",
)  # fmt: skip
ROW_WISE = ("geometry", "targets")
KEPT = ("role", "tolerance")  # of what the index says of an array


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("whole", type=Path)
    whole = References(parser.parse_args().whole)
    HERE.mkdir(exist_ok=True)
    index: dict[str, Any] = {"files": {}}
    for name in whole.names():
        about = whole.index["files"][f"{name}.npz"]
        if (name == "decode_inputs" or is_compared(whole.open(name))) and any(
            fnmatch.fnmatch(name, pattern) for pattern in FILES
        ):
            arrays = excerpt(whole, name)
            np.savez_compressed(HERE / f"{name}.npz", **arrays)
            index["files"][f"{name}.npz"] = description(about, arrays)
    (HERE / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    for name in ("synthetic_coco.json", "synthetic_mpii_valid.json"):
        shutil.copyfile(whole.folder / name, HERE / name)
    listings = json.loads(gzip.decompress((whole.folder / "models_keys.json.gz").read_bytes()))
    (HERE / "models_keys.json.gz").write_bytes(gzip.compress(json.dumps(wanted(listings, index)).encode(), mtime=0))


def excerpt(whole: References, name: str) -> dict[str, np.ndarray]:
    """The arrays of one file that are kept, cut to their first rows where rows stand apart."""
    file = whole.open(name)
    kept = {}
    for array in file.about["arrays"]:
        if not any(fnmatch.fnmatch(array, each) or fnmatch.fnmatch(f"{name}:{array}", each) for each in DROPPED):
            values = file[array]
            kept[array] = values[_rows(name, array, len(values))] if values.ndim else values
        if name == "decode_inputs" and array in MAPS:
            kept[f"{array}_samples"] = np.array(MAPS[array])  # whose center and scale belong to them
    return kept


def _rows(name: str, array: str, count: int) -> Any:
    for maps, samples in MAPS.items():
        if name.startswith("decode") and (array == maps or f"/{maps}/" in f"/{array}"):
            return samples
    if name == "decode_inputs":
        return slice(None)
    whole_set = "_db" in array  # the readers' records belong to a file
    return slice(None) if whole_set or name.split("_")[0] not in ROW_WISE else slice(min(count, ROWS))


def description(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The index's entry of a file: where it comes from and, for each array, its role and tolerance."""
    keys = ("repo", "repo_short", "commit", "models")
    entry = {key: about[key] for key in keys if key in about}
    entry["arrays"] = {
        name: {key: value for key, value in about["arrays"].get(name, {"role": "input"}).items() if key in KEPT}
        for name in arrays
    }
    return entry


def wanted(listings: dict[str, Any], index: dict[str, Any]) -> dict[str, Any]:
    """The listings of keys of the models in `index`, each in full."""
    names = [name for about in index["files"].values() for name in about.get("models", ())]
    result = {}
    for name in names:
        shapes = listings.get(name)  # None: an experiment that stops in the fork's own code
        while isinstance(shapes, str):
            shapes = listings[shapes.removeprefix("same as ")]
        if shapes is not None:
            result[name] = shapes
    return result


if __name__ == "__main__":
    main()
