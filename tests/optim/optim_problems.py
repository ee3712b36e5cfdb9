"""Small things to optimise: a two-player game without autograd for exact checks, a network for the contract."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.optim import Optimizer

from lookahead_bench.build import build_optimizer

CONF = Path(__file__).parents[2] / "conf" / "optimizer"
NAMES = sorted(path.stem for path in CONF.glob("*.yaml"))


def node(name: str, dataset: Mapping[str, Any] | None = None, **values: Any) -> dict[str, Any]:
    """conf/optimizer/<name>.yaml, resolved for a dataset node, with top-level values put over it."""
    config = OmegaConf.create({"dataset": dict(dataset or {}), "optimizer": OmegaConf.load(CONF / f"{name}.yaml")})
    config = OmegaConf.merge(config, {"optimizer": values})
    resolved = OmegaConf.to_container(config.optimizer, resolve=True)
    assert isinstance(resolved, dict)
    return resolved


class Game:
    """Two players, x of shape (2, 3) and y of shape (4,), with F(z) = M z + z^3 / 10; M is not symmetric."""

    def __init__(self, dtype: torch.dtype = torch.float64, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.M = rng.normal(size=(10, 10)) / 3 + np.eye(10) / 2
        self.z0 = rng.normal(size=10)
        self.x = nn.Parameter(torch.tensor(self.z0[:6].reshape(2, 3), dtype=dtype))
        self.y = nn.Parameter(torch.tensor(self.z0[6:], dtype=dtype))
        self.players = {"x": [self.x], "y": [self.y]}
        self.calls: list[list[str]] = []

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": ps, "player": name} for name, ps in self.players.items()]

    def point(self) -> NDArray[np.float64]:
        return torch.cat([p.detach().flatten() for p in (self.x, self.y)]).double().numpy()

    def F(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.M @ z + z**3 / 10

    def __call__(self, players: Collection[str] = ("x", "y")) -> Tensor:
        """The closure: fills the asked players' gradients, returns |F|."""
        self.calls.append(list(players))
        g = torch.tensor(self.F(self.point()), dtype=self.x.dtype)
        if "x" in players:
            self.x.grad = g[:6].reshape(2, 3)
        if "y" in players:
            self.y.grad = g[6:]
        return g.norm()


class Net:
    """A little network as two players, its layers; the loss depends on the number of the evaluation."""

    def __init__(self, seed: int = 0, dtype: torch.dtype = torch.float32) -> None:
        torch.manual_seed(seed)
        self.model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(dtype)
        self.players = {"x": list(self.model[0].parameters()), "y": list(self.model[2].parameters())}
        self.evaluations = 0
        self.grad_enabled: list[bool] = []

    def __call__(self, players: Sequence[str] = ("x", "y")) -> Tensor:
        parameters = [p for name in players for p in self.players[name]]
        for p in parameters:
            p.grad = None
        dtype = parameters[0].dtype
        batch = torch.randn(5, 3, generator=torch.Generator().manual_seed(self.evaluations), dtype=dtype)
        self.evaluations += 1
        self.grad_enabled.append(torch.is_grad_enabled())
        loss = self.model(batch).square().mean()
        loss.backward(inputs=[p for p in parameters if p.requires_grad])
        return loss

    def weights(self) -> list[Tensor]:
        return [p.detach().clone() for p in self.model.parameters()]


def build(name: str, net: Net | Game, **values: Any) -> Optimizer:
    return build_optimizer(node(name, **values), net.players)


def same(these: Sequence[Tensor], those: Sequence[Tensor]) -> bool:
    """Bit for bit."""
    return len(these) == len(those) and all(torch.equal(a, b) for a, b in zip(these, those, strict=True))
