"""Networks recorded as CUDA graphs, so that a pass is launched at once instead of kernel by kernel.

An HRNet-W32 has thousands of small kernels a training step, and launching them takes longer than running them. Nothing
is compiled: the kernels, and so the numbers, are those of the network itself.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.func import functional_call

from ..utils.streams import recording

logger = logging.getLogger(__name__)

WARM_UP = 3  # passes before recording, in which cuDNN chooses its algorithms and libraries take their memory
ROWS = 8  # the size of a recording for scoring is rounded up to a multiple of this; it takes any smaller batch


def record(network: nn.Module, scored_at_once: int = 0) -> None:
    """Lets `network` be recorded at its next calls, once for training and once for scoring.

    Its weights may change, in place, but not which of them are trained, nor the precision it is run in.
    `scored_at_once` is the largest batch for scoring where it is known, 0 to take the first.
    """
    if not isinstance(network.forward, Recorded):
        network.forward = Recorded(network, scored_at_once)


class Recorded:
    """The forward of a network: recorded at the first batch of a kind, then replayed.

    Training batches of another size than the first, the last of an epoch, run as they did before, and so does a batch
    whose predecessor still waits for its backward pass: a replay would overwrite what that needs. For scoring, smaller
    batches are filled up.
    """

    def __init__(self, network: nn.Module, scored_at_once: int = 0):
        self.network, self.run, self.scored_at_once = network, network.forward, scored_at_once
        self.training: TrainingPass | None = None
        self.scoring: ScoringPass | None = None
        self.told = False

    def __call__(self, images: Tensor) -> Any:
        if self.network.training != torch.is_grad_enabled():  # a teacher, or gradients of a scoring network
            return self.run(images)
        if not self.network.training:
            if self.scoring is None or not self.scoring.fits(images):
                self.scoring = None  # its memory first
                self.scoring = _recorded(lambda: ScoringPass(self.run, images, self.scored_at_once))
            return self.scoring(images)
        if self.training is None:
            self.training = _recorded(lambda: TrainingPass(self.network, self.run, images))
        if self.training.waiting and not self.told:
            logger.info("two forward passes before a backward pass: the second is not replayed from a CUDA graph")
            self.told = True
        return self.training(images) if self.training.fits(images) else self.run(images)


class ScoringPass:
    """A network's output for as many images as recorded, or fewer."""

    def __init__(self, run: Callable[[Tensor], Any], images: Tensor, most: int):
        rows = -(-max(len(images), most) // ROWS) * ROWS
        with torch.inference_mode(False):
            self.images = torch.zeros_like(images[:1]).expand(rows, -1, -1, -1).contiguous(memory_format=_order(images))
        self.images[: len(images)] = images
        self.graph = torch.cuda.CUDAGraph()
        with _uncached_autocast():
            _warm_up(lambda: run(self.images))
            with _recorded_in(self.graph):
                self.output = run(self.images)

    def fits(self, images: Tensor) -> bool:
        return len(images) <= len(self.images) and images.shape[1:] == self.images.shape[1:]

    def __call__(self, images: Tensor) -> Any:
        self.images[: len(images)] = images
        self.graph.replay()
        outputs = [each[: len(images)].clone() for each in _flat(self.output)]  # the next replay writes where they are
        return outputs[0] if isinstance(self.output, Tensor) else outputs


class TrainingPass:
    """A network's output for as many images as recorded, and the gradients of its weights."""

    def __init__(self, network: nn.Module, run: Callable[[Tensor], Any], images: Tensor):
        self.images = images.detach().clone()
        self.waiting, self.number = False, 0  # whether for a backward pass, and which
        self.forward_graph, self.backward_graph = torch.cuda.CUDAGraph(), torch.cuda.CUDAGraph()
        before = [buffer.clone() for buffer in network.buffers()]  # BatchNorm's statistics, which warming up changes
        trained = {name: weight for name, weight in network.named_parameters() if weight.requires_grad}
        self.weights = list(trained.values())
        # Gradients are recorded of stand-ins in the weights' memory: DistributedDataParallel holds on to the weights'
        # own, and with them to a stream on which nothing can be recorded.
        stand_ins = {f"network.{name}": weight.detach().requires_grad_() for name, weight in trained.items()}
        as_built = _AsBuilt(network, run)

        def forward() -> Any:
            return functional_call(as_built, stand_ins, (self.images,))

        def backward(outputs: list[Tensor], given: list[Tensor]) -> Sequence[Tensor | None]:
            with torch.autocast("cuda", enabled=False):  # as backward passes are run
                return torch.autograd.grad(outputs, [*stand_ins.values()], given, allow_unused=True)

        def both() -> None:
            outputs = _flat(forward())
            backward(outputs, [torch.zeros_like(each) for each in outputs])

        with _uncached_autocast():
            _warm_up(both)
            with _recorded_in(self.forward_graph):
                output = forward()
        outputs = _flat(output)
        self.given = [torch.zeros_like(each) for each in outputs]
        with _recorded_in(self.backward_graph, self.forward_graph.pool()):
            self.gradients = backward(outputs, self.given)
        self.outputs, self.is_one = [each.detach() for each in outputs], isinstance(output, Tensor)
        for buffer, value in zip(network.buffers(), before, strict=True):
            buffer.copy_(value)

    def fits(self, images: Tensor) -> bool:
        return not self.waiting and images.shape == self.images.shape

    def __call__(self, images: Tensor) -> Any:
        outputs = _Replayed.apply(self, images, *self.weights)
        return outputs[0] if self.is_one else list(outputs)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        self._move_kept_gradients()
        self.images.copy_(images)
        self.forward_graph.replay()
        self.waiting, self.number = True, self.number + 1
        return tuple(each.clone() for each in self.outputs)

    def backward(self, number: int, given: Sequence[Tensor]) -> list[Tensor | None]:
        """Gradients of the weights, where the next replay writes.

        Raises:
            RuntimeError: what pass `number` left for its backward pass is overwritten.
        """
        if not self.waiting or number != self.number:
            raise RuntimeError("a pass recorded as a CUDA graph has one backward pass; set COMPUTE.COMPILE to none")
        for place, gradient in zip(self.given, given, strict=True):
            place.copy_(gradient)
        self.backward_graph.replay()
        self.waiting = False
        return [gradient if gradient is None else gradient.detach() for gradient in self.gradients]

    def _move_kept_gradients(self) -> None:
        """Gradients that the next are added to, to where no replay writes; with zero_grad(set_to_none) there are none.

        The forward pass writes there too: the two graphs share their memory.
        """
        for weight, gradient in zip(self.weights, self.gradients, strict=True):
            if weight.grad is not None and gradient is not None and weight.grad.data_ptr() == gradient.data_ptr():
                weight.grad = weight.grad.clone()


class _AsBuilt(nn.Module):
    """A network that runs as it did before it was recorded."""

    def __init__(self, network: nn.Module, run: Callable[[Tensor], Any]):
        super().__init__()
        self.network, self.run = network, run

    def forward(self, images: Tensor) -> Any:
        return self.run(images)


class _Replayed(torch.autograd.Function):
    """`TrainingPass` as an operation that autograd knows."""

    @staticmethod
    def forward(ctx: Any, recorded: TrainingPass, images: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
        outputs = recorded.forward(images)
        ctx.recorded, ctx.number = recorded, recorded.number
        return outputs

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *given: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *ctx.recorded.backward(ctx.number, given)


def _recorded(make: Callable[[], Any]) -> Any:
    try:
        return make()
    except torch.cuda.OutOfMemoryError:
        raise
    except RuntimeError as error:
        line = (str(error).strip() or repr(error)).splitlines()[0]
        raise ValueError(
            f"COMPUTE.COMPILE is cudagraphs, but this network cannot be recorded ({line}); set it to none"
        ) from error


@contextmanager
def _recorded_in(graph: torch.cuda.CUDAGraph, pool: Any = None) -> Iterator[None]:
    # thread_local: the loader's thread pins memory meanwhile, which is forbidden to those who record.
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"), recording():
        yield


def _uncached_autocast() -> Any:
    """Autocast as it is, but for its cache: casts of weights have to be in the graph, as weights change."""
    return torch.autocast(
        "cuda", torch.get_autocast_dtype("cuda"), enabled=torch.is_autocast_enabled("cuda"), cache_enabled=False
    )


def _warm_up(run: Callable[[], Any]) -> None:
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            run()
    torch.cuda.current_stream().wait_stream(stream)


def _flat(output: Any) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else list(output)


def _order(images: Tensor) -> torch.memory_format:
    channels_last = images.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if channels_last else torch.contiguous_format
