"""The committed table of architectures: complete, as measured, and its printed numbers those of the papers."""

import pytest

from benchmarks import architectures

PUBLISHED = architectures.read_published()
# Printed numbers that no rule leads to; benchmarks/architectures.md says what is known of them.
UNEXPLAINED_PARAMETERS = {"coco/hourglass/hg8_256x192", "mpii/hourglass/hg8_256x256"}
UNEXPLAINED_GFLOPS = UNEXPLAINED_PARAMETERS | {
    "coco/resnet/res50_384x288", "coco/resnet/res152_384x288", "mpii/resnet/res152_256x256",
    "coco/mspn/1xstg_256x192", "coco/mspn/2xstg_256x192", "coco/mspn/4xstg_256x192", "coco/grmi/res101_353x257",
}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    """Experiment -> cells of its row in the committed table."""
    text = (architectures.HERE / "architectures.md").read_text()
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {name.strip("`"): row for row in cells for name in row[0].split(", ")}


def test_every_experiment_stands_in_the_table(rows):
    wanted = [name for network in architectures.find_networks(PUBLISHED) for name in network.experiments]
    missing = sorted(set(wanted) ^ set(rows))
    assert not missing, "run python -m benchmarks.architectures --write"


@pytest.mark.parametrize("only", ["coco/lpn/lpn50_256x192", "coco/dark/hg4_128x96", "mpii/resnet/res50_256x256"])
def test_rows_are_what_is_measured(rows, only):
    (network,) = architectures.find_networks({}, only)
    assert architectures.row(network, PUBLISHED)[1:] == rows[only][1:]


@pytest.mark.parametrize("name", PUBLISHED)
def test_printed_numbers_stand_in_their_row_and_follow_from_ours(rows, name):
    printed, row = PUBLISHED[name], rows[name]
    parameters, parameters_way, gflops, gflops_way = row[3], row[4], row[7], row[9]
    assert parameters == printed.get("parameters", "-")
    assert (parameters_way == "no rule") == (name in UNEXPLAINED_PARAMETERS)
    assert gflops == printed.get("gflops", "-")
    assert (gflops_way == "no rule") == (name in UNEXPLAINED_GFLOPS)


def test_digits_are_compared_as_printed():
    assert architectures.rounding("5.3", 5.353) == "cut"
    assert architectures.rounding("1.0", 0.996) == "rounded"
    assert architectures.rounding("13.02", 13.0156) == "rounded"
    assert architectures.rounding("20.0", 20.23) == ""
    assert architectures.way("5.3", {"a": 5.47, "b": 5.353, "c": 5.3}) == "b, cut"
    assert architectures.way("5.3", {"a": 5.47}) == "no rule"


def test_experiments_of_the_same_network_share_a_row():
    (network,) = architectures.find_networks({}, "coco/udp/res50_256x192")
    (other,) = architectures.find_networks({}, "coco/resnet/res50_256x192")
    both = [each for each in architectures.find_networks({}, "coco/") if "coco/udp/res50_256x192" in each.experiments]
    assert network.experiments + other.experiments == ("coco/udp/res50_256x192", "coco/resnet/res50_256x192")
    assert [each.experiments for each in both] == [
        ("coco/dark/res50_256x192", "coco/resnet/res50_256x192", "coco/udp/res50_256x192")
    ]
