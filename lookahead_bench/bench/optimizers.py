"""The step of Lookahead over fused SGD against that of SGD itself and of the best published Lookahead."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional as F

from lookahead_bench.bench.measure import interleaved, show
from lookahead_bench.models.resnet import ResNet
from lookahead_bench.optim import Lookahead

K, ALPHA = 5, 0.5
CYCLES = 2  # of K steps, in a turn: every turn has the same number of syncs


def main(values: Mapping[str, str]) -> None:
    """Print the median cost of K steps on ResNet-18's 11 M parameters, after a forward and backward pass."""
    torch.manual_seed(0)
    network = ResNet(in_shape=(3, 32, 32), classes=10, widths=[64, 128, 256, 512], blocks=[2, 2, 2, 2],
                     shortcut="projection", initialisation="torch")  # fmt: skip
    images, labels = torch.randn(32, 3, 32, 32), torch.arange(32) % 10

    def sgd(copied: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(copied.parameters(), lr=1e-3, momentum=0.9, weight_decay=5e-4, fused=True)

    makers: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
        "SGD (fused)": sgd,
        "Lookahead": lambda n: Lookahead(sgd(n), k=K, alpha=ALPHA),
        "two layers": lambda n: Lookahead(Lookahead(sgd(n), k=K, alpha=ALPHA), k=K, alpha=ALPHA),
    }
    note = ""
    try:
        from pytorch_optimizer import Lookahead as Published

        makers["pytorch_optimizer's Lookahead"] = lambda n: Published(sgd(n), k=K, alpha=ALPHA)
    except ImportError:
        note = "pytorch_optimizer is not installed, so it is not compared (pip install pytorch_optimizer==4.1.0)"
    networks = {name: copy.deepcopy(network) for name in makers}
    optimizers = {name: make(networks[name]) for name, make in makers.items()}
    F.cross_entropy(network(images), labels).backward()
    for copied in networks.values():
        for parameter, source in zip(copied.parameters(), network.parameters(), strict=True):
            assert source.grad is not None
            parameter.grad = source.grad.clone()

    def step(name: str) -> Callable[[], None]:
        def steps() -> None:
            for _ in range(CYCLES * K):
                optimizers[name].step()

        return steps

    def forward_and_backward() -> None:
        F.cross_entropy(network(images), labels).backward()

    seconds = interleaved({name: step(name) for name in makers}, rounds=25, prepare=forward_and_backward)
    show(f"{CYCLES * K} steps on ResNet-18, k = {K}, {torch.get_num_threads()} threads", seconds, "SGD (fused)", note)
