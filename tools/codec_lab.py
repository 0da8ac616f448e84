"""Measures what every codec loses without any network and compares it with the closed forms.

python tools/codec_lab.py [--codecs gaussian,udp] [--strides 2,4,8] [--sizes 256x192,64x48] [--out DIR] [KEY VALUE ...]

Sizes are height x width, as in the names of experiments. KEY VALUE pairs change what codecs are built from, e.g.
MODEL.SIGMA 1 or LOSS.KPD 5. With --out the report also goes to codec_lab.md and codec_lab.json, and plots beside it.
"""

import argparse
import math
import re
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from common import run

from heatpose.codecs import CODECS, build_codec
from heatpose.codecs.base import Codec
from heatpose.config import load_config, replaced
from heatpose.report.codec_lab import Geometry, examine, report_json, report_text, save_plots
from heatpose.report.run import versions
from heatpose.utils.files import write_json, write_text

VARIED = {  # what the lab sets itself, and what to do instead
    "MODEL.CODEC": "use --codecs",
    "MODEL.IMAGE_SIZE": "use --sizes",
    "MODEL.HEATMAP_SIZE": "use --sizes and --strides",
    "MODEL.NUM_JOINTS": "leave it out: codecs of one joint are measured",
    "TEST.POST_PROCESS": "leave it out: off and on are both measured",
    "TEST.SHIFT_HEATMAP": "leave it out: off and on are both measured",
}


def main() -> None:
    parsed = parse()
    build = builder(read_config(parsed.opts))
    if parsed.out and parsed.out.exists() and not parsed.out.is_dir():
        raise ValueError(f"--out {parsed.out} is no folder; give one, it is made where it does not exist")
    geometries = [Geometry(size, stride) for size in parsed.sizes for stride in parsed.strides]
    with torch.inference_mode():
        report = examine(build, parsed.codecs, geometries, parsed.noise, parsed.seed)
    if not report.measurements:
        raise ValueError("nothing could be measured: " + "; ".join(report.skipped))
    stack = {name: version for name, version in versions().items() if name in ("python", "torch", "numpy", "opencv")}
    made_with = ", ".join(f"{name} {version}" for name, version in stack.items())
    command = shlex.join(["python", "tools/codec_lab.py", *sys.argv[1:]])
    text = f"# Codec lab\n\nMade by `{command}` with {made_with}.\n\n{report_text(report)}\n"
    print(text, end="")
    if parsed.out:
        write_text(text, parsed.out / "codec_lab.md")
        write_json({"command": command, "versions": stack, **report_json(report)}, parsed.out / "codec_lab.json", 1)
        save_plots(report, parsed.out)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments; a ValueError where one cannot be read."""
    parser = argparse.ArgumentParser(
        description="Measure what every codec loses without any network, and compare it with the closed forms.",
        epilog="KEY VALUE pairs change what codecs are built from, e.g. MODEL.SIGMA 1 or LOSS.KPD 5",
    )
    parser.add_argument("--codecs", default=",".join(CODECS), help="default %(default)s")
    parser.add_argument("--strides", default="2,4,8", help="input px per heatmap px, default %(default)s")
    parser.add_argument("--sizes", default="256x192,128x96,64x48", help="inputs, height x width, default %(default)s")
    parser.add_argument(
        "--noise", default="0,0.01,0.02,0.05,0.1,0.2", help="deviations over the target's maximum, default %(default)s"
    )
    parser.add_argument("--seed", default="0", help="of the noise, default %(default)s")
    parser.add_argument("--out", type=Path, help="folder for codec_lab.md, codec_lab.json and plots")
    parser.add_argument("opts", nargs=argparse.REMAINDER, metavar="KEY VALUE", help="keys to change")
    parsed = parser.parse_args(arguments)
    for argument, read in {"codecs": codec, "strides": whole, "sizes": size, "noise": level}.items():
        values = [read(word.strip(), f"--{argument}") for word in getattr(parsed, argument).split(",")]
        setattr(parsed, argument, list(dict.fromkeys(values)))
    parsed.seed = whole(parsed.seed, "--seed", least=0)
    return parsed


def codec(word: str, argument: str) -> str:
    """A registered codec's name."""
    CODECS.get(word)
    return word


def whole(word: str, argument: str, least: int = 1) -> int:
    """A whole number of at most nine digits."""
    if not re.fullmatch(r"\d{1,9}", word) or int(word) < least:
        raise ValueError(f"{argument} has {word!r}, expected whole numbers of at least {least}")
    return int(word)


def size(word: str, argument: str) -> tuple[int, int]:
    """(width, height) of an input written height x width."""
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})", word)
    if not match:
        raise ValueError(f"{argument} has {word!r}, expected height x width in px such as 256x192")
    return int(match[2]), int(match[1])


def level(word: str, argument: str) -> float:
    """A standard deviation."""
    try:
        number = float(word)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise ValueError(f"{argument} has {word!r}, expected numbers of at least 0 such as 0.05")
    return number


def read_config(pairs: Sequence[str]) -> Any:
    """The default configuration with some keys changed; a ValueError for those that the lab varies itself."""
    cfg = load_config(None, pairs)
    for key in pairs[::2]:
        if key in VARIED:
            raise ValueError(f"{key} is set by the lab itself; {VARIED[key]}")
    return cfg


def builder(cfg: Any) -> Callable[..., Codec]:
    """A function (name, geometry, post_process, shift_heatmap) -> codec of one joint."""

    def build(name: str, geometry: Geometry, post_process: bool = True, shift_heatmap: bool = False) -> Codec:
        changes = {
            "MODEL.CODEC": name,
            "MODEL.IMAGE_SIZE": geometry.input_size,
            "MODEL.HEATMAP_SIZE": geometry.heatmap_size,
            "MODEL.NUM_JOINTS": 1,
            "TEST.POST_PROCESS": post_process,
            "TEST.SHIFT_HEATMAP": shift_heatmap,
        }
        return build_codec(replaced(cfg, changes))

    return build


if __name__ == "__main__":
    run(main)
