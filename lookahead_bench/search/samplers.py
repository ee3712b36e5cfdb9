"""Where the trials of a search stand in the space: fixed points, random ones, or what Optuna makes of those before.

Every method is given the points of the same sequence, key by key in the order of its YAML, so that methods with the
same first keys are tried at the same settings. Nothing is kept between trials: the next one follows from the seed and
the results so far, so that a search resumes, and grows, without a state of its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Protocol

import numpy as np

from lookahead_bench.configuration.check import require
from lookahead_bench.configuration.compose import literal
from lookahead_bench.errors import ConfigError
from lookahead_bench.search.space import Choice, Dimension, Space

Values = dict[str, Any]


class Tried(Protocol):
    """A trial that has been done. score: more is better; -inf: diverged."""

    @property
    def values(self) -> Values: ...
    @property
    def score(self) -> float: ...


Told = Sequence[Tried]  # the trials of a method so far


class Sampler(ABC):
    """trials: of every method; finals: fresh seeds for what it chose; seed: of the points, not of the runs."""

    ahead: ClassVar[bool] = True  # whether the trials are known before the first one is done

    def __init__(self, trials: int, finals: int, seed: int) -> None:
        for key, value, rule in (
            ("trials", trials, "an integer >= 1"),
            ("finals", finals, "an integer >= 0"),
            ("seed", seed, "an integer >= 0 and < 2^32"),
        ):
            require(rule, f"search.{key}", value)
        self.trials, self.finals, self.seed = trials, finals, seed

    @abstractmethod
    def values(self, space: Space, told: Told) -> Values:
        """The settings of the trial after those that have been told."""

    def record(self, name: str, space: Space, told: Told) -> None:  # noqa: B027  # most keep no record
        """Told after every trial. name: of the method's part of the study."""


class Points(Sampler):
    """Points in [0, 1)^d that are known beforehand."""

    @abstractmethod
    def points(self, dimensions: int, count: int) -> np.ndarray:
        """[count, dimensions]; fewer are the first of more."""

    def values(self, space: Space, told: Told) -> Values:
        point = self.points(len(space), len(told) + 1)[-1] if space else ()
        return {key: one.at(float(u)) for (key, one), u in zip(space.items(), point, strict=True)}


class Halton(Points):
    """Scrambled Halton points: spread evenly however many there are (Owen 2017; scipy.stats.qmc)."""

    def points(self, dimensions: int, count: int) -> np.ndarray:
        from scipy.stats import qmc

        found: np.ndarray = qmc.Halton(dimensions, scramble=True, seed=self.seed).random(count)
        return found


class Random(Points):
    """Independent uniform points (Bergstra, Bengio 2012)."""

    def points(self, dimensions: int, count: int) -> np.ndarray:
        keys = [np.random.default_rng((self.seed, one)) for one in range(dimensions)]  # a key more moves no other
        return np.stack([key.random(count) for key in keys], axis=1)


class TPE(Sampler):
    """Optuna's tree-structured Parzen estimator, asked for one trial at a time.

    storage: the address of a database (sqlite:///trials.db) that is told every trial, one Optuna study a method; the
    runs stay the truth, and a database that is lost is filled again.
    """

    ahead = False

    def __init__(self, trials: int, finals: int, seed: int, storage: str | None) -> None:
        super().__init__(trials, finals, seed)
        self.storage = storage
        try:
            import optuna
        except ModuleNotFoundError:
            raise ConfigError("search=tpe: needs Optuna; pip install 'lookahead-bench[optuna]'") from None
        optuna.logging.set_verbosity(optuna.logging.ERROR)

    def values(self, space: Space, told: Told) -> Values:
        import optuna

        if not space:
            return {}
        seed = int(np.random.SeedSequence((self.seed, len(told))).generate_state(1)[0])
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), direction="maximize")
        study.add_trials(trials(space, told))
        asked = study.ask(distributions(space)).params
        return {key: value_of(one, asked[key]) for key, one in space.items()}

    def record(self, name: str, space: Space, told: Told) -> None:
        """Write into the database what it does not know yet. Errors: ConfigError."""
        if self.storage is None:
            return
        import optuna

        try:
            study = optuna.create_study(
                storage=self.storage, study_name=name, direction="maximize", load_if_exists=True
            )
            study.add_trials(trials(space, told)[len(study.trials) :])
        except Exception as error:
            raise ConfigError(f"search.storage={self.storage}: {' '.join(str(error).split())[:200]}") from None


# ------------------------------------------------------------------------------------------ the space in Optuna's words


def distributions(space: Space) -> dict[str, Any]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def distribution(one: Dimension) -> Any:
        if isinstance(one, Choice):
            return CategoricalDistribution([literal(value) for value in one.values])  # it takes no lists
        if one.whole:
            return IntDistribution(int(one.low), int(one.high), log=one.log)
        return FloatDistribution(one.low, one.high, log=one.log)

    return {key: distribution(one) for key, one in space.items()}


def value_of(one: Dimension, parameter: Any) -> Any:
    if isinstance(one, Choice):
        return next(value for value in one.values if literal(value) == parameter)
    return one.value(parameter)


def trials(space: Space, told: Told) -> list[Any]:
    from optuna.trial import create_trial

    def parameter(one: Dimension, value: Any) -> Any:
        return literal(value) if isinstance(one, Choice) else one.number(value)

    known = distributions(space)
    return [
        create_trial(
            params={k: parameter(space[k], v) for k, v in one.values.items()}, distributions=known, value=one.score
        )
        for one in told
    ]
