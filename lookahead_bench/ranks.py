"""The processes that compute one run together: each has its part of every batch, and all have the same gradients."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from lookahead_bench.errors import RunError

log = logging.getLogger("lookahead_bench")
T = TypeVar("T")
PATIENCE = timedelta(days=7)  # the others wait as long as the first one waits for a run that somebody holds
WHY = "why"  # the key under which a process leaves what has ended it


@dataclass(frozen=True)
class Ranks:
    """This process is number `rank` of `size`, and number `local` of the `here` on this machine.

    All processes call the same methods in the same order. Whatever a process decides by, all have the same bits of it:
    a sum over processes is computed once and handed to all, and what a GPU may round otherwise comes from the first.
    Errors: RunError where another process has gone.
    """

    rank: int = 0
    size: int = 1
    local: int = 0
    here: int = 1
    store: Any = None

    @classmethod
    def join(cls, place: str) -> Ranks:
        """Meet the others at `place`, file:///PATH or env://, where torchrun says the rest.

        Numbers on the processor go through gloo, those of GPUs through NCCL if every process has one of its own.
        """
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        local, here = int(os.environ.get("LOCAL_RANK", rank)), int(os.environ.get("LOCAL_WORLD_SIZE", size))
        store, *_ = next(rendezvous(place, rank, size, timeout=PATIENCE))
        backend = "cpu:gloo,cuda:nccl" if here <= torch.cuda.device_count() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
        if rank > 0:
            log.handlers = [logging.NullHandler()]  # the first one says it all
        return cls(rank, size, local, here, store)

    def device(self, device: torch.device) -> torch.device:
        """The one of this process, where the run is on `device`."""
        if self.size == 1 or device.type != "cuda":
            return device
        own = torch.device("cuda", self.local % torch.cuda.device_count())
        torch.cuda.set_device(own)
        return own

    # --------------------------------------------------------------------------------------------- one value for all

    def first(self, value: T) -> T:
        """The first process's value, whatever the others say."""
        if self.size == 1:
            return value
        said = [value]
        with self._together():
            dist.broadcast_object_list(said, src=0, device=torch.device("cpu"))
        return said[0]

    def largest(self, number: int) -> int:
        """The largest number of all processes."""
        if self.size == 1:
            return number
        numbers = torch.tensor([number])
        with self._together():
            dist.all_reduce(numbers, dist.ReduceOp.MAX)
        return int(numbers)

    def meet(self) -> None:
        """Wait for all others to come here."""
        self.largest(0)

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put the mean over processes into each of these tensors: one message for all numbers of a type."""
        if self.size == 1:
            return
        for dtype in dict.fromkeys(tensor.dtype for tensor in tensors):
            some = [tensor for tensor in tensors if tensor.dtype == dtype]
            flat = torch._utils._flatten_dense_tensors(some)
            with self._together():
                dist.all_reduce(flat)
            flat /= self.size
            torch._foreach_copy_(some, torch._utils._unflatten_dense_tensors(flat, some))

    def mean(self, number: Tensor) -> Tensor:
        """The mean over processes of a number."""
        if self.size == 1:
            return number
        number = number.clone()
        self.average([number])
        return number

    # ------------------------------------------------------------------------------------------------------- batches

    def part(self, batch: Any, dim: int | None) -> Any:
        """This process's part of a batch: of every tensor in it, along the dimension of the samples."""
        if self.size == 1:
            return batch
        assert dim is not None  # a batch that cannot be split is refused with the configuration
        if isinstance(batch, Tensor):
            return batch.chunk(self.size, dim)[self.rank].contiguous()
        if isinstance(batch, tuple | list):
            parts = [self.part(one, dim) for one in batch]
            return type(batch)(*parts) if hasattr(batch, "_fields") else type(batch)(parts)
        return batch

    def whole(self, parts: Sequence[Tensor], dim: int) -> Sequence[Tensor]:
        """Every process's part of these tensors, side by side."""
        if self.size == 1:
            return parts
        return [torch.cat(self._every(part), dim) for part in parts]

    def _every(self, part: Tensor) -> list[Tensor]:
        found = [torch.empty_like(part, memory_format=torch.contiguous_format) for _ in range(self.size)]
        with self._together():
            dist.all_gather(found, part.contiguous())
        return found

    @contextlib.contextmanager
    def _together(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            why = "it was killed, or its machine has gone"
            with contextlib.suppress(RuntimeError):
                if self.store.check([WHY]):
                    why = self.store.get(WHY).decode(errors="replace")
            raise RunError(f"another process of this run has ended: {' '.join(why.split())[:300]}") from error


ALONE = Ranks()


@contextlib.contextmanager
def joined(place: str | None) -> Iterator[Ranks]:
    """This process among the others that meet at `place`, None for none; one that fails leaves word of why."""
    if place is None:
        yield ALONE
        return
    ranks = Ranks.join(place)
    try:
        yield ranks
    except BaseException as error:
        with contextlib.suppress(RuntimeError):  # the keeper of the store may have gone
            ranks.store.set(WHY, f"process {ranks.rank}: {type(error).__name__}: {error}")
        raise
    dist.destroy_process_group()
