"""Parameters and GFLOPs of every experiment's network beside those that the papers print.

python -m benchmarks.architectures [--only coco/hrnet] [--write]

The networks are those of the files in experiments/, the printed numbers those of benchmarks/published.yaml; --write
puts the table into benchmarks/architectures.md. Nothing is trained or even computed: the networks run on PyTorch's meta
device, so the numbers are the same on every machine.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import torch
import yaml

from heatpose.codecs import channels_per_joint
from heatpose.config import load_config
from heatpose.config.freeze import thaw
from heatpose.models import build_model
from heatpose.report.summary import ModelSummary, summarise
from heatpose.report.tables import markdown_table

NO_WAY, HRNETS = "no rule", "HRNet's count"
HERE = Path(__file__).resolve().parent
EXPERIMENTS = HERE.parent / "experiments"
HEADER = [
    "experiments", "input", "M parameters", "printed", "by", "G multiply-adds", "HRNet's count", "printed", "off",
    "by", "printed in",
]  # fmt: skip
TEXT = """\
# Parameters and GFLOPs: measured and printed

Made by `python -m benchmarks.architectures --write`. One row for each network and input size; experiments that differ
in data, codec or training only share one.

- *M parameters*: millions, all trainable.
- *G multiply-adds*: 10^9 of one crop, by `torch.utils.flop_counter`: convolutions, transposed convolutions and matrix
  products. It counts two FLOPs for each, so its own number is twice this.
- *HRNet's count*: what the summary in HRNet's repository, and in those made from it, prints as "GFLOPs": multiply-adds
  of convolutions and linear layers, in units of 1024^3 (1.074 times 10^9), a transposed convolution at every pixel of
  its output, four times what one of stride 2 takes.
- *printed*: the paper's number, and *by* the way from ours to its digits; "-" where it is not printed or not known for
  sure. *off*: HRNet's count over the printed number.

{table}

## Where they differ

- SimpleBaselines' three values at 256x192 are not one count: 17 bottlenecks of the same cost lead from 50 to 101 layers
  and from there to 152, {step:.2f} by HRNet's count, but the printed steps are 3.5 and 3.3. The values at the other
  sizes are the printed ones of 256x192, scaled by the number of pixels.
- The parameters of LPN-101 and the GFLOPs of DARK's W48 are cut, where others are rounded.
- UDP's HRNet is larger than HRNet's: its last fusion has four times the channels.
- MSPN's paper prints less than the network of its repository takes, also without the heads of the coarser levels;
  HRNet's table prints less for G-RMI's, whose parameters agree. Neither says what it leaves out.
- HRNet's tables print less for the hourglass of eight stacks than DarkPose's and CC-SSL's form of it, which stands
  here, has; they do not say which code was counted.
"""


@dataclass(frozen=True)
class Network:
    """One network at one input size, with the experiments that have it."""

    experiments: tuple[str, ...]
    cfg: Any

    @property
    def input_size(self) -> tuple[int, int]:
        width, height = self.cfg.MODEL.IMAGE_SIZE
        return width, height

    def measure(self) -> ModelSummary:
        with torch.device("meta"):
            return summarise(build_model(self.cfg), self.input_size)


def read_published() -> dict[str, dict[str, str]]:
    """Experiment -> parameters, gflops and source as printed."""
    content: dict[str, dict[str, str]] = yaml.safe_load((HERE / "published.yaml").read_text(encoding="utf-8"))
    return content


def find_networks(published: Mapping[str, Any], only: str = "") -> list[Network]:
    """The networks of all experiments but the toys, and of changed ones in `published`, in the order of their names."""
    files = [path.relative_to(EXPERIMENTS).with_suffix("").as_posix() for path in EXPERIMENTS.rglob("*.yaml")]
    names = {name for name in files if "toy" not in name.split("/") and not name.endswith("/base")} | set(published)
    found: dict[str, Network] = {}
    for name in sorted(names):
        if name.startswith(only):
            experiment, *changes = name.split()
            cfg = load_config(EXPERIMENTS / f"{experiment}.yaml", changes)
            key = _identity(cfg)
            before = found[key].experiments if key in found else ()
            found[key] = Network((*before, name), cfg)
    return sorted(found.values(), key=lambda network: (network.cfg.MODEL.NAME, network.experiments))


def _identity(cfg: Any) -> str:
    model = thaw(cfg.MODEL)
    channels = model["NUM_JOINTS"] * channels_per_joint(model["CODEC"])
    extra = {key: value for key, value in model["EXTRA"].items() if key != "PRETRAINED_LAYERS"}
    return json.dumps([model["NAME"], model["STYLE"], extra, model["IMAGE_SIZE"], channels], sort_keys=True)


def rounding(printed: str, value: float) -> str:
    """How `value` becomes the printed digits: "rounded", "cut", or "" where it does not.

    >>> rounding("3.7", 3.654), rounding("3.6", 3.654), rounding("3.5", 3.654)
    ('rounded', 'cut', '')
    """
    for words, mode in (("rounded", ROUND_HALF_UP), ("cut", ROUND_DOWN)):
        if Decimal(value).quantize(Decimal(printed), mode) == Decimal(printed):
            return words
    return ""


def way(printed: str, values: Mapping[str, float]) -> str:
    """The first of the named values that gives the printed digits, and how."""
    found = ((name, rounding(printed, value)) for name, value in values.items())
    return next((f"{name}, {words}" for name, words in found if words), NO_WAY)


def gflops(summary: ModelSummary) -> dict[str, float]:
    """The number by every rule that a paper may follow, the likeliest first."""
    return {
        HRNETS: summary.hrnet_count / 1024**3,
        "multiply-adds": summary.multiply_adds / 1e9,
        "multiply-adds / 1024^3": summary.multiply_adds / 1024**3,
        "FLOPs": 2 * summary.multiply_adds / 1e9,
    }


def row(network: Network, published: Mapping[str, Mapping[str, str]]) -> list[str]:
    """The cells of HEADER."""
    summary = network.measure()
    printed = next((published[name] for name in network.experiments if name in published), {})
    millions, counts = summary.parameters / 1e6, gflops(summary)
    parameters, operations = printed.get("parameters"), printed.get("gflops")
    return [
        ", ".join(f"`{name}`" for name in network.experiments),
        "{}x{}".format(*network.input_size),
        f"{millions:.3f}",
        parameters or "-",
        (rounding(parameters, millions) or NO_WAY) if parameters else "-",
        f"{counts['multiply-adds']:.3f}",
        f"{counts[HRNETS]:.3f}",
        operations or "-",
        f"{counts[HRNETS] / float(operations) - 1:+.1%}" if operations else "-",
        way(operations, counts) if operations else "-",
        printed.get("source", "-"),
    ]


def table(networks: list[Network], published: Mapping[str, Mapping[str, str]]) -> str:
    return markdown_table(HEADER, [row(network, published) for network in networks])


def page() -> str:
    """The whole of architectures.md."""
    published = read_published()
    return TEXT.format(table=table(find_networks(published), published), step=_step())


def _step() -> float:
    """What 17 bottlenecks more take, from ResNet-101 to ResNet-152, by HRNet's count."""
    small, large = (find_networks({}, f"coco/resnet/res{depth}_256x192")[0].measure() for depth in (101, 152))
    return (large.hrnet_count - small.hrnet_count) / 1024**3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="beginning of the experiments' names, e.g. coco/hrnet")
    parser.add_argument("--write", action="store_true", help="write benchmarks/architectures.md, with all of them")
    options = parser.parse_args()
    if options.write:
        (HERE / "architectures.md").write_text(page(), encoding="utf-8")
    else:
        published = read_published()
        print(table(find_networks(published, options.only), published))


if __name__ == "__main__":
    main()
