"""A fair search: every method has as many trials, each of the same budget, and fresh seeds at what it chose. No torch.

A method is one combination of the swept values (`optimizer=sgd,adamw`). Its trials are ordinary runs, so that a search
is resumed by the same command and grows by more trials. They are of the studies NAME/trials/METHOD/NUMBER; the runs
with fresh seeds at the settings of trial NUMBER, which validation chose, are of NAME/finals/METHOD/NUMBER.
"""

from __future__ import annotations

import inspect
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lookahead_bench import configuration
from lookahead_bench.configuration import Config, targets
from lookahead_bench.configuration.compose import MOST_JOBS, literal
from lookahead_bench.configuration.files import GROUPS
from lookahead_bench.configuration.messages import show
from lookahead_bench.configuration.rules import BUDGETS
from lookahead_bench.doing import Job
from lookahead_bench.errors import ConfigError
from lookahead_bench.notices import say
from lookahead_bench.runs.store import RunDirectory
from lookahead_bench.search.samplers import Sampler, Values
from lookahead_bench.search.space import Space, dimension
from lookahead_bench.studies import Study, is_missing, succeeded

SAMPLER = targets.Kind(("lookahead_bench.search.samplers", "Sampler"), "is no lookahead_bench.search.samplers.Sampler")


@dataclass(frozen=True)
class Method:
    """One that is compared: its name in the study, what chooses it, its defaults, and what may be chosen of it."""

    name: str
    job: Job
    config: Config
    space: Space


@dataclass(frozen=True)
class Trial:
    """One choice of a method's settings."""

    job: Job
    config: Config
    values: Values

    @cached_property
    def score(self) -> float:
        """The headline score at the end of training on the split for choosing, mean over its seeds; more is better,
        -inf where it has diverged."""
        seeds = self.config.seeds()
        return math.fsum(map(score, seeds)) / len(seeds)


@dataclass(frozen=True)
class Search(Study):
    """The trials that are known by now are its jobs; `run` does them, what follows from them, and the fresh seeds."""

    name: str
    sampler: Sampler
    methods: tuple[Method, ...]
    history: dict[str, list[Trial]]  # of every method

    @classmethod
    def over(cls, methods: Study, said: dict[str, Any]) -> Search:
        """A search over the jobs of a sweep; said: as in Loader.search. Errors: ConfigError."""
        sampler, first = sampler_of(said), next(iter(methods.jobs.values()))
        name = first["study"] or f"{said['name']}/{first['dataset']['name']}"
        found = tuple(named(methods, said["intervals"]))
        check_fairness(found)
        if len(found) * sampler.trials > MOST_JOBS:
            wrong = f"search.trials={sampler.trials}"
            raise ConfigError(f"{wrong}: of {len(found)} methods are more than {MOST_JOBS:,} runs; take fewer")
        search = cls(methods.overrides, {}, methods.composing, name, sampler, found, {one.name: [] for one in found})
        for method in found:
            while len(search.history[method.name]) < sampler.trials:
                trial = search.next_trial(method)
                if not sampler.ahead and any(map(is_missing, trial.config.seeds())):
                    break  # what follows depends on it
        return search

    @property
    def later(self) -> int:
        return len(self.methods) * (self.sampler.trials + self.sampler.finals) - len(self.jobs)

    def next_trial(self, method: Method) -> Trial:
        told = self.history[method.name]
        values = self.sampler.values(method.space, told)
        study = f"study={self.name}/trials/{method.name}/{len(told):03d}"
        job = (*method.job, *(f"{key}={literal(value)}" for key, value in values.items()), study)
        (config,) = configuration.every_job([job], self.composing)
        told.append(Trial(job, config, values))
        self.jobs[job] = config
        return told[-1]

    def run(self, *, quiet: bool = False) -> Counter[str]:
        """Do the trials, choose, and do the fresh seeds; gives how many runs ended how. Where one has failed the search
        stops: the same command goes on."""
        if self.missing():
            check_calls(self.methods)
        counts: Counter[str] = Counter()
        for count in [self.sampler.trials] if self.sampler.ahead else range(1, self.sampler.trials + 1):
            trials = []
            for method in self.methods:
                told = self.history[method.name]
                while len(told) < count:
                    self.next_trial(method)
                trials += told if self.sampler.ahead else told[count - 1 : count]
            counts += self.do({one.job: one.config for one in trials}, quiet)
            if not succeeded(counts):
                return counts
            for method in self.methods:
                self.sampler.record(f"{self.name}/{method.name}", method.space, self.history[method.name][:count])
        for method in self.methods:
            tell(method, self.history[method.name])
        counts += self.do(dict(job for method in self.methods for job in self.finals(method)), quiet)
        return counts

    def do(self, jobs: dict[Job, Config], quiet: bool) -> Counter[str]:
        return Study(self.overrides, jobs, self.composing).run(quiet=quiet)

    def finals(self, method: Method) -> Iterable[tuple[Job, Config]]:
        """The chosen settings with seeds that no trial had; as replicas where the task allows it."""
        told, count = self.history[method.name], self.sampler.finals
        best = chosen(told)
        if told[best].score == -math.inf or not count:
            return
        kept = [o for o in told[best].job if not o.startswith(("seed=", "replicas=", "study="))]
        first = method.config["seed"] + method.config["replicas"]
        at = (*kept, f"study={self.name}/finals/{method.name}/{best:03d}")
        together = (*at, f"seed={first}", f"replicas={count}")
        try:
            yield together, configuration.load(together, self.composing)
        except ConfigError:
            alone = [(*at, f"seed={first + one}") for one in range(count)]
            yield from zip(alone, configuration.every_job(alone, self.composing), strict=True)


def sampler_of(said: dict[str, Any]) -> Sampler:
    """Errors: ConfigError."""
    found = targets.load("search._target_", said.get("_target_"), SAMPLER)
    arguments = {key: value for key, value in said.items() if key not in ("_target_", "name", "intervals")}
    takes = list(inspect.signature(found).parameters)
    for key, value in arguments.items():
        if key not in takes:
            raise ConfigError(f"search.{key}={show(value)}: no such key (it has {', '.join(takes)})")
    sampler: Sampler = found(**arguments)
    return sampler


def named(methods: Study, wanted: dict[str, str]) -> Iterable[Method]:
    """Every job as a method. wanted: the intervals of the command line, which come before what the YAML declares."""
    shared = set.intersection(*(set(job) for job in methods.jobs))
    for job, config in methods.jobs.items():
        parts = [part.partition("=") for part in job if part not in shared]
        words = [value if key in GROUPS else f"{key.rpartition('.')[2]}_{value}" for key, _, value in parts]
        name = re.sub(r"[^\w.-]+", "_", "-".join(words)).strip("_") or config["optimizer"]["name"]
        declared: dict[str, str] = config["optimizer"].get("about", {}).get("search") or {}
        said = {f"optimizer.{key}": text for key, text in declared.items() if key not in config.user_keys} | wanted
        space = {key: dimension(key, text, default(config, key)) for key, text in said.items()}
        if not space:
            wrong = f"optimizer={config['optimizer']['name']}"
            raise ConfigError(f"{wrong}: has nothing to search; write an interval, as optimizer.lr=interval(0.01,1)")
        yield Method(name, job, config, space)


def default(config: Config, key: str) -> Any:
    """The value of a key, `optimizer.lr` or `seed`, before anything is searched."""
    found: Any = config.nodes
    for part in key.split("."):
        found = (found or {}).get(part) if isinstance(found, dict | None) else None
    return found


def check_fairness(methods: Sequence[Method]) -> None:
    """The same budgets for all that are compared, one seed a trial, something to choose on. Errors: ConfigError."""
    first = methods[0].config
    for one in (method.config for method in methods):
        if one["seed"] != first["seed"]:
            raise ConfigError(
                f"seed={one['seed']}: a search gives every trial the same seed, not also {first['seed']}; replicas=2 "
                "does each trial with two seeds"
            )
        if one["dataset"].get("val_size") == 0:
            raise ConfigError("dataset.val_size=0: a search chooses on validation data; hold some out")
        alike = next(other for other in methods if other.config["dataset"]["name"] == one["dataset"]["name"]).config
        for key in (*BUDGETS, "replicas"):
            if one[key] != alike[key]:
                wrong = f"{key}={show(one[key])}: of optimizer={one['optimizer']['name']}"
                other = f"{show(alike[key])} of optimizer={alike['optimizer']['name']}"
                raise ConfigError(f"{wrong} is another budget than {other}; a search gives every method the same")


def check_calls(methods: Sequence[Method]) -> None:
    """Equal steps are equal budgets only where every method takes as many oracle calls a step. Errors: ConfigError."""
    from lookahead_bench.build import calls_a_step

    counted = [one for one in methods if one.config["epochs"] is not None or one.config["max_steps"] is not None]
    calls = {one.config["optimizer"]["name"]: calls_a_step(one.config) for one in counted}
    if len(set(calls.values())) > 1:
        shown = ", ".join(f"optimizer={name} {count:g}" for name, count in calls.items())
        wrong = f"oracle calls a step differ ({shown})"
        raise ConfigError(f"{wrong}: set max_oracle_calls, and neither epochs nor max_steps")


def score(config: Config) -> float:
    """The headline score at the end of one run, more being better; -inf where it has diverged, or is not there."""
    record = RunDirectory(config).record() or {}
    best = record.get("best")  # it tells split and weights
    if record.get("status") != "done" or not best:
        return -math.inf
    found = float(record["final"][best["split"]][best["weights"]][best["metric"]])
    return found if record["direction"] == "max" else -found


def chosen(trials: Sequence[Trial]) -> int:
    """The number of the best trial; of equal ones the first."""
    return max(range(len(trials)), key=lambda number: trials[number].score)


def tell(method: Method, trials: Sequence[Trial]) -> None:
    """What a method has chosen, in a line."""
    best = trials[chosen(trials)]
    if best.score == -math.inf:
        say(f"{method.name}: every trial has diverged")
        return
    about = best.config.about
    value = best.score if about["direction"] == "max" else -best.score
    settings = " ".join(f"{key}={literal(setting)}" for key, setting in best.values.items())
    say(f"{method.name}: chose trial {chosen(trials)} of {len(trials)}, {about['metric']} {value:.4g}: {settings}")
