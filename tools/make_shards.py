"""Packs the images of a folder into tar shards in WebDataset's layout, for DATASET.DATA_FORMAT tar.

python tools/make_shards.py data/coco/images/train2017
python tools/make_shards.py data/coco/images/train2017 --out /fast/coco/images/train2017 --megabytes 500
"""

import argparse
import tarfile
from collections.abc import Iterator
from pathlib import Path

from common import run

from heatpose.dataset.archives import IMAGES, shards_named
from heatpose.utils.files import replacing


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="images, also in folders below it")
    parser.add_argument("--out", type=Path, help="beginning of the shards' names; FOLDER where left out")
    parser.add_argument("--megabytes", type=float, default=1000, help="of images in a shard; at least one image")
    options = parser.parse_args()
    if not options.folder.is_dir():
        raise ValueError(f"{options.folder}: no such folder; give the one that holds the images")
    if not options.megabytes > 0:
        raise ValueError(f"--megabytes {options.megabytes:g}: expected more than 0")
    out = (options.out or options.folder).resolve()
    if there := shards_named(out):
        raise ValueError(f"{there[0]}: is there already; remove the shards, or give another --out")
    files = sorted(path for path in options.folder.rglob("*") if path.suffix.lower() in IMAGES)
    if not files:
        raise ValueError(f"{options.folder}: no images in it; their names end with {', '.join(IMAGES)}")
    number = 0
    for number, shard in enumerate(_packed(files, options.megabytes * 1e6), start=1):
        _write(shard, options.folder, out.with_name(f"{out.name}-{number - 1:06d}.tar"))
    print(f"{len(files)} images in {number} shards {out}-*.tar")


def _packed(files: list[Path], capacity: float) -> Iterator[list[Path]]:
    """Files in their order, in groups of at most so many bytes; a larger one stands alone."""
    group: list[Path] = []
    filled = 0
    for path in files:
        size = path.stat().st_size
        if group and filled + size > capacity:
            yield group
            group, filled = [], 0
        group.append(path)
        filled += size
    yield group


def _write(files: list[Path], folder: Path, path: Path) -> None:
    """The same files give the same bytes, whoever owns them and whenever they were written."""
    with replacing(path) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
        for each in files:
            member = tarfile.TarInfo(each.relative_to(folder).as_posix())
            member.size, member.mode = each.stat().st_size, 0o644
            with open(each, "rb") as content:
                archive.addfile(member, content)


if __name__ == "__main__":
    run(main)
