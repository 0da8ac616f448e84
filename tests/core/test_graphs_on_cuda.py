"""Networks recorded as CUDA graphs give the numbers of the networks themselves, whatever is done between replays."""

import copy
import os
import socket
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch
from torch import nn

from heatpose.config import load_config
from heatpose.core import graphs
from heatpose.core.compiling import compile_networks
from heatpose.core.folding import fold_batch_norm
from heatpose.models import build_model
from heatpose.utils.averaging import WeightAverage
from heatpose.utils.batch import final_output, place
from heatpose.utils.precision import Precision

pytestmark = pytest.mark.cuda

CUDA = torch.device("cuda")
TOLERANCE = {"fp32": 1e-3, "bf16": 2e-2}  # of a tensor's norm: TF32 and bf16, summed in another order


class Network(nn.Module):
    """Two outputs, or one, and a layer that is not used."""

    def __init__(self, outputs=1):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.BatchNorm2d(16), nn.ReLU())
        self.heads = nn.ModuleList([nn.Conv2d(16, 5, 1) for _ in range(outputs)])
        self.unused = nn.Linear(2, 2)

    def forward(self, images):
        features = self.body(images)
        outputs = [head(features) for head in self.heads]
        return outputs if len(outputs) > 1 else outputs[0]


def pair(outputs=1):
    """A network as it is, and a copy that is recorded."""
    torch.manual_seed(0)
    plain = Network(outputs).to(CUDA, memory_format=torch.channels_last)
    recorded = copy.deepcopy(plain)
    compile_networks("cudagraphs", CUDA, recorded)
    return plain, recorded


def as_input(images):
    return images.to(CUDA).contiguous(memory_format=torch.channels_last)


def crops(number, seed=0):
    return as_input(torch.randn(number, 3, 32, 24, generator=torch.Generator().manual_seed(seed)))


def loss(output):
    return sum(((each - 1) ** 2).mean() for each in (output if isinstance(output, list) else [output]))


def assert_near(found, wanted, tolerance=TOLERANCE["fp32"]):
    """Two lists of tensors that differ by no more than a share of their norms; None where the other has None."""
    for one, other in zip(found, wanted, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert (one - other).float().norm() <= tolerance * other.float().norm() + 1e-6


def gradients(network):
    return [weight.grad for weight in network.parameters()]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("outputs", [1, 2])
def test_training_is_the_network_s_own(precision, outputs):
    how, networks = Precision(precision), pair(outputs)
    optimizers = [torch.optim.SGD(each.parameters(), 0.1) for each in networks]
    for step, number in enumerate((6, 6, 6, 2, 6)):  # the fourth is an epoch's last batch
        losses = []
        for network, optimizer in zip(networks, optimizers, strict=True):
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss(how.run(network.train(), crops(number, step))))
            losses[-1].backward()
        torch.testing.assert_close(*losses, rtol=TOLERANCE[precision], atol=1e-6)
        assert_near(gradients(networks[1]), gradients(networks[0]), TOLERANCE[precision])
        for optimizer in optimizers:
            optimizer.step()
    assert_near(networks[1].buffers(), networks[0].buffers(), TOLERANCE[precision])


@pytest.mark.parametrize("name", ["hrnet_64x48", "lpn_64x48", "mspn_96x64"])
def test_networks_of_the_papers(name, repository):
    """HRNet's branches run side by side in a graph."""
    cfg = load_config(repository / f"experiments/toy/{name}.yaml")
    torch.manual_seed(0)
    plain = place(build_model(cfg), CUDA)
    width, height = cfg.MODEL.IMAGE_SIZE
    batches = [as_input(torch.randn(8, 3, height, width)) for _ in range(3)]
    recorded = copy.deepcopy(plain)
    compile_networks("cudagraphs", CUDA, recorded)
    for images in batches:
        losses = [loss(network(images)) for network in (plain, recorded)]
        for network, value in zip((plain, recorded), losses, strict=True):
            network.zero_grad(set_to_none=True)
            value.backward()
        torch.testing.assert_close(*losses, rtol=1e-3, atol=1e-6)
        found, wanted = (torch.cat([each.flatten() for each in gradients(network)]) for network in (recorded, plain))
        assert (found - wanted).norm() <= 0.02 * wanted.norm()  # TF32, through 40 layers
        assert_near(recorded.buffers(), plain.buffers(), 5e-3)
    folded = fold_batch_norm(plain)
    replayed = copy.deepcopy(folded)
    compile_networks("cudagraphs", CUDA, replayed)
    with torch.inference_mode():
        for images in (batches[0], batches[1][:5]):
            wanted, found = (final_output(network.eval()(images)) for network in (folded, replayed))
            assert_near([found], [wanted], 5e-3)


def test_what_runs_side_by_side_does_not_disturb_each_other(repository, monkeypatch):
    """HRNet-W32, tensor by tensor, beside a recording on one stream, by the same algorithms in whole float32."""
    for key, value in {"allow_tf32": False, "deterministic": True, "benchmark": False}.items():
        monkeypatch.setattr(torch.backends.cudnn, key, value)
    cfg = load_config(repository / "experiments/coco/hrnet/w32_256x192.yaml", ["MODEL.PRETRAINED", ""])
    torch.manual_seed(0)
    first = place(build_model(cfg), CUDA)
    batches, found = [as_input(torch.randn(8, 3, 256, 192)) for _ in range(4)], []
    for context in (graphs.recording, nullcontext):
        monkeypatch.setattr(graphs, "recording", context)
        network = copy.deepcopy(first)
        compile_networks("cudagraphs", CUDA, network)
        optimizer = torch.optim.SGD(network.parameters(), 1e-3)
        for images in batches:
            optimizer.zero_grad(set_to_none=True)
            loss(network(images)).backward()
            optimizer.step()
        with torch.inference_mode():
            scored = network.eval()(batches[0])
        found.append([scored, *gradients(network), *network.parameters(), *network.buffers()])
    assert_near(*found, 1e-4)


def test_gradients_add_up():
    networks = pair()
    for network in networks:
        for seed in range(3):
            loss(network(crops(6, seed))).backward()
    assert_near(gradients(networks[1]), gradients(networks[0]))


def test_two_passes_may_precede_their_backward_passes():
    networks = pair()
    for network in networks:
        network(crops(6)).mean().backward()
        network.zero_grad(set_to_none=True)
        outputs = [network(crops(6, seed)) for seed in (1, 2)]
        loss(outputs).backward()
    assert_near(gradients(networks[1]), gradients(networks[0]))


def test_a_pass_has_one_backward_pass():
    _, recorded = pair()
    output = recorded(crops(6))
    output.mean().backward()
    with pytest.raises(RuntimeError, match="has one backward pass"):
        output.square().mean().backward()


@pytest.mark.parametrize("accumulate", [1, 2])
def test_epochs_with_an_average_and_validation_between_them(accumulate):
    """As tools/train.py puts them together: an optimizer, steps of many batches, an average that is scored, too."""
    results = []
    for mode in ("none", "cudagraphs"):
        network = copy.deepcopy(pair()[0])
        averaged = WeightAverage(network, 0.5, average_buffers=True)
        compile_networks(mode, CUDA, network, averaged.network)
        optimizer = torch.optim.SGD(network.parameters(), 0.1, fused=True)
        for epoch in range(2):
            network.train()
            for batch, number in enumerate((6, 6, 6, 6, 6, 2)):  # the last is smaller
                if batch % accumulate == 0:
                    optimizer.zero_grad(set_to_none=True)
                (loss(network(crops(number, 10 * epoch + batch))) / accumulate).backward()
                if (batch + 1) % accumulate == 0:
                    optimizer.step()
                    averaged.follow(network)
            with torch.inference_mode():
                scored = [each.eval()(crops(5, 99)).clone() for each in (network, averaged.network)]
        results.append([*scored, *network.parameters(), *averaged.network.buffers()])
    assert_near(results[1], results[0], 5e-3)


@torch.inference_mode()
def test_scoring_takes_batches_of_many_sizes_and_sees_new_weights():
    plain, recorded = (network.eval() for network in pair())
    kept = []
    for number in (5, 8, 1, 21, 8):
        for network in (plain, recorded):
            network.body[0].weight.mul_(0.9)
        kept.append([network(crops(number, number)) for network in (plain, recorded)])
    for wanted, found in kept:  # afterwards: an output outlives later replays
        assert_near([found], [wanted])


JOINED = """
import os, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from tests.core.test_graphs_on_cuda import assert_near, crops, gradients, loss, pair

dist.init_process_group(os.environ["BACKEND"])
rank, size = dist.get_rank(), dist.get_world_size()
plain, recorded = pair()
recorded.unused.requires_grad_(False)
joined = DistributedDataParallel(recorded, device_ids=[0])
whole = [crops(6, seed) for seed in range(3 * size)]
for step in range(3):
    plain.zero_grad(set_to_none=True)
    joined.zero_grad(set_to_none=True)
    loss(joined(whole[step * size + rank])).backward()
    own = [torch.zeros_like(weight) for weight in plain.parameters()]
    for images in whole[step * size : (step + 1) * size]:
        grads = torch.autograd.grad(loss(plain(images)), plain.parameters(), allow_unused=True)
        own = [total if each is None else total + each / size for total, each in zip(own, grads)]
    found = gradients(recorded)
    assert_near([each for each in found if each is not None], [o for o, f in zip(own, found) if f is not None])
print("joined", size, flush=True)
os._exit(0)
"""


@pytest.mark.parametrize(("backend", "size"), [("nccl", 1), ("gloo", 2)])
def test_many_processes_join_their_gradients(backend, size, repository):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "BACKEND": backend, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    running = [
        subprocess.Popen(
            [sys.executable, "-c", JOINED], cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**shared, "WORLD_SIZE": str(size), "RANK": str(rank), "LOCAL_RANK": "0"},
        )
        for rank in range(size)
    ]  # fmt: skip
    for each in running:
        out, err = each.communicate(timeout=120)
        assert out.strip() == f"joined {size}", err


WAITING = """
import torch
from heatpose.core.compiling import compile_networks
from tests.core.test_graphs_on_cuda import CUDA, Network, crops

class Waits(Network):
    def forward(self, images):
        return super().forward(images) * float(images.sum() > 0)

network = Waits().to(CUDA)
compile_networks("cudagraphs", CUDA, network)
try:
    network(crops(6))
except ValueError as error:
    print(error)
"""


def test_what_cannot_be_recorded_is_said(repository):
    """In a process of its own: what CUDA cannot capture leaves it in no good state."""
    found = subprocess.run([sys.executable, "-c", WAITING], cwd=repository, capture_output=True, text=True)
    line = found.stdout.strip()
    assert line.startswith("COMPUTE.COMPILE is cudagraphs, but this network cannot be recorded ("), found.stderr
    assert line.endswith("); set it to none")
