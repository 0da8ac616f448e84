"""The memory that a network takes to predict and to train, counted on the meta device, so that nothing is computed."""

import copy
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MEMORY_RULE = """\
Memory in MiB, 32 bit. Weights: parameters and buffers. Prediction: weights, the batch, and the most bytes of layers'
outputs that live at once. Training: weights, the optimizer's state, the batch, and the most bytes of outputs kept for
the backward pass, gradients and intermediate results that live at once, without the loss. A kernel's own working memory
and the framework's are not in it."""


@dataclass(frozen=True)
class Memory:
    """Bytes at one batch size: of the weights alone, at most while predicting, and at most while training."""

    batch: int
    weights: int
    prediction: int
    training: int


def measure_memory(
    model: nn.Module,
    input_size: tuple[int, int],
    batch: int,
    build_optimizer: Callable[[Iterable[nn.Parameter]], Optimizer] = torch.optim.Adam,
) -> Memory:
    """The memory for `batch` images of `input_size` (width, height), with 32-bit numbers.

    Every tensor that an operation creates counts from its creation until nothing holds it, as PyTorch's allocator would
    have it, without rounding to blocks. Not in it: what a kernel takes for itself (cuDNN's workspace), and the loss.
    The model stays as it is.
    """
    width, height = input_size
    skeleton = copy.deepcopy(model).to("meta")
    own = [*skeleton.parameters(), *skeleton.buffers()]
    weights = sum(tensor.nbytes for tensor in own)
    with LiveBytes(own) as predicting, torch.no_grad():
        skeleton.eval()(torch.empty(batch, 3, height, width, device="meta"))
    with LiveBytes(own) as training:
        images = torch.empty(batch, 3, height, width, device="meta")
        outputs = [one for one in tree_leaves(skeleton.train()(images)) if isinstance(one, Tensor)]
        torch.autograd.backward(outputs, [torch.empty_like(output) for output in outputs])
    optimizer = build_optimizer(skeleton.parameters())
    optimizer.step()
    state = sum(one.nbytes for one in tree_leaves(dict(optimizer.state)) if isinstance(one, Tensor))
    return Memory(batch, weights, weights + predicting.peak, weights + state + training.peak)


class LiveBytes(TorchDispatchMode):
    """Inside it, counts the bytes of the storages that operations create: `now` those that live, `peak` the most.

    `known` are tensors that are not counted, such as weights.
    """

    def __init__(self, known: Iterable[Tensor] = ()):
        super().__init__()
        self.now = self.peak = 0
        self._known = {tensor.untyped_storage()._cdata for tensor in known}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for one in tree_leaves(result):
            if isinstance(one, Tensor) and one.untyped_storage()._cdata not in self._known:
                self._add(one.untyped_storage())
        return result

    def _add(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size
