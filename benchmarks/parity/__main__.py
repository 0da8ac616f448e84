"""Compares heatpose with the papers' own code and prints the table.

python -m benchmarks.parity                                       the small set in the repository
python -m benchmarks.parity --references DIR --samples DIR --peers DIR [--opencv4 DIR] [--write docs/parity.md]

Crops and whole runs are compared with references of the same OpenCV, 4 or 5, which differ. With OpenCV 5 installed,
`pip install --no-deps --target DIR "opencv-python-headless<5"` and `--opencv4 DIR` add those of OpenCV 4.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from . import report
from .harness import HERE, Comparison, References


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--references", type=Path, default=HERE, help="folder of .npz files and index.json")
    parser.add_argument("--samples", type=Path, help="folder with coco_sample; without it nothing needs real images")
    parser.add_argument("--peers", type=Path, help="folder with the forks' experiment files; ours otherwise")
    parser.add_argument("--only", default="", help="beginning of the names of the files to compare, e.g. decode")
    parser.add_argument("--kinds", default="gt,det", help="boxes of the whole runs: gt, det or both")
    parser.add_argument("--write", type=Path, help="a markdown file whose part between the parity marks is replaced")
    parser.add_argument("--opencv4", type=Path, help="folder that holds another OpenCV, for its references")
    parser.add_argument("--json", type=Path, help="a file for all comparisons")
    options = parser.parse_args()
    references = References(options.references)
    report.run(references, options.samples, options.peers, options.only, options.kinds.split(","))
    if options.opencv4:
        references.comparisons += with_other_opencv(options)
    text = report.text(references)
    print(text)
    if options.json:
        options.json.write_text(json.dumps([dataclasses.asdict(each) for each in references.comparisons], indent=1))
    if options.write:
        report.insert(text, options.write)
    return int(not all(each.passed for each in references.comparisons))


def with_other_opencv(options: argparse.Namespace) -> list[Comparison]:
    """Crops and whole runs in a process of its own, which finds the OpenCV of `options.opencv4` first."""
    found = []
    for only in ("crops", "e2e"):
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "comparisons.json"
            paths = {"references": options.references, "samples": options.samples, "peers": options.peers, "json": file}
            words = [word for name, path in paths.items() if path for word in (f"--{name}", str(path))]
            command = [sys.executable, "-m", "benchmarks.parity", "--only", only, "--kinds", options.kinds, *words]
            environment = {**os.environ, "PYTHONPATH": str(options.opencv4)}
            subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)
            found += [Comparison(**each) for each in json.loads(file.read_text())]
    return found


if __name__ == "__main__":
    sys.exit(main())
