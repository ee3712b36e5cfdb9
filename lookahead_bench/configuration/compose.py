"""Overrides -> Hydra configuration, with each task's defaults for the chosen scale put in place.

A dataset's YAML says, scale by scale, which model, schedule, precision and budgets are its own:

    about:
      scales:
        cpu: {model: resnet20, schedule: cosine, precision: bfloat16, epochs: 10}

Hydra's defaults list cannot choose a group from two others, so `Loader` composes twice: first the group choices alone,
then everything, with the scale's entries as overrides *before* the user's. Sweepers, launchers, `--cfg` and shell
completion see one ordinary, complete configuration.
"""

from __future__ import annotations

import copy
import importlib.util
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from lookahead_bench.configuration.files import CONF, GROUPS, check_place, make_importable, options
from lookahead_bench.configuration.targets import HYDRA, check_target
from lookahead_bench.errors import ConfigError

UNCHOSEN = ("model", "schedule", "search", "experiment")  # `model=null` leaves the choice to the dataset and the scale
PRIMARY = "config"
MOST_JOBS = 10_000  # of one sweep
PLUGINS = {"joblib": "hydra_joblib_launcher", "slurm": "hydra_submitit_launcher", "ray": "hydra_ray_launcher"}


def is_group_choice(override: Override) -> bool:
    """`optimizer=sgd` and `hydra/launcher=joblib`, but neither `optimizer.lr=1` nor `seed=1`."""
    key = override.key_or_group
    return key in GROUPS or "/" in key or key == "hydra.searchpath"


def check_override(override: Override) -> None:
    """Refuse what Hydra would answer with a traceback, or would take silently."""
    key, line = override.key_or_group, override.input_line
    if not key:
        raise ConfigError(f"{line}: cannot be read as key=value")
    if override.is_delete():
        raise ConfigError(f"{line}: a key cannot be deleted; give it a value instead")
    if key.split("@")[0] == "tuned":
        raise ConfigError(f"{line}: is chosen by the dataset, the scale and the optimizer; set optimizer.KEY instead")
    if key in GROUPS and (override.is_add() or override.is_force_add()):
        raise ConfigError(f"{line}: is chosen without a plus sign; write {str(line).lstrip('+')}")
    if key in GROUPS and not override.is_sweep_override():
        name = override.value()
        if not (isinstance(name, str) and ".." not in name) and not (name is None and key in UNCHOSEN):
            known = ", ".join(options(key)) or "none yet"
            raise ConfigError(f"{line}: must be the name of one {key} ({known})")


def literal(value: Any) -> str:
    """A Python value in Hydra's override grammar."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{k}:{literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(literal(v) for v in value) + "]"
    return json.dumps(value) if isinstance(value, str) else json.dumps(value, allow_nan=True)


def leaves(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}.{key}")
        else:
            yield f"{prefix}.{key}", value


class Loader(ConfigLoaderImpl):
    """Hydra's loader plus the chosen dataset's defaults for the chosen scale.

    `defaults` is what the last configuration was before any value was overridden. `search`: what the last sweep said of
    the search that it is, if it is one: its node, with `name` and the `intervals` to choose from, by their keys.
    """

    defaults: DictConfig | None = None
    search: dict[str, Any] | None = None

    def __init__(self, path: ConfigSearchPathImpl) -> None:
        super().__init__(path)
        self._chosen: dict[tuple[str, ...], DictConfig] = {}  # the jobs of a sweep share most of their choices
        self._composed: dict[tuple[str, ...], tuple[DictConfig, DictConfig]] = {}  # of jobs; a launcher asks again

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_chosen": {}, "_composed": {}}  # a launcher may hand it to every job

    def load_configuration(
        self, config_name: str | None, overrides: list[str], run_mode: RunMode, *args: Any, **kwargs: Any
    ) -> DictConfig:
        if config_name is None:  # Hydra's own, for --hydra-help
            return super().load_configuration(config_name, overrides, run_mode, *args, **kwargs)
        asked = tuple(overrides)
        if asked in self._composed and run_mode == RunMode.RUN:
            config, self.defaults = self._composed[asked]
            return copy.deepcopy(config)
        parsed = OverridesParser.create().parse_overrides(overrides)
        for override in parsed:
            check_override(override)
            if override.key_or_group == "hydra.searchpath":
                for place in override.value() or ():  # type: ignore[union-attr]  # a list, else Hydra refuses it
                    if not str(place).startswith("pkg://"):
                        check_place(str(place).removeprefix("file://"))
        parsed = [o for o in parsed if o.key_or_group not in UNCHOSEN or o.is_sweep_override() or o.value() is not None]
        overrides = [o.input_line for o in parsed if o.input_line is not None]
        groups = [o.input_line for o in parsed if is_group_choice(o) and o.input_line is not None]
        if tuple(groups) not in self._chosen:
            self._chosen[tuple(groups)] = super().load_configuration(config_name, groups, run_mode, *args, **kwargs)
        choices = copy.deepcopy(self._chosen[tuple(groups)])
        for place in choices.hydra.runtime.config_sources:
            if place.provider == "hydra.searchpath in command-line" and place.schema == "file":
                make_importable(place.path)
        picks, values = scale_entries(choices)
        with open_dict(choices):
            for group, name in picks.items():
                choices[group] = source(choices, group, name)
            for key, value in values.items():
                OmegaConf.update(choices, key, value)
        self.defaults = choices
        entries = [f"{group}={name}" for group, name in picks.items()]
        entries += [f"++{key}={literal(value)}" for key, value in values.items()]
        entries += sweeper_entries(choices)
        # In a sweep over optimizers, optimizer.betas belongs to the jobs: the default optimizer need not have it.
        swept = swept_groups(parsed, choices) if run_mode == RunMode.MULTIRUN else ()
        own = [o for o in overrides if not o.lstrip("+").startswith(tuple(f"{group}." for group in swept))]
        config = super().load_configuration(config_name, entries + own, run_mode, *args, **kwargs)
        check_hydra(config)
        with open_dict(config.hydra):  # a sweep's jobs start from these, with a dataset and a scale of their own
            config.hydra.overrides.task = [o.input_line for o in parsed if not o.is_hydra_override()]
        if run_mode == RunMode.RUN:
            self._composed[asked] = copy.deepcopy(config), choices
        return config


def sweeper_entries(choices: DictConfig) -> list[str]:
    """What Optuna's sweeper cannot know: which way the headline score is better; and that a failed run stops nobody."""
    known = {"direction": f"{OmegaConf.select(choices, 'dataset.about.direction')}imize", "max_failure_rate": "1.0"}
    return [f"hydra.sweeper.{key}={value}" for key, value in known.items() if key in (choices.hydra.sweeper or ())]


def check_hydra(config: DictConfig) -> None:
    """Hydra instantiates what these nodes name; only what belongs there may be named."""
    extra = config.hydra.runtime.choices["hydra/launcher"]
    if extra in PLUGINS and importlib.util.find_spec(f"hydra_plugins.{PLUGINS[extra]}") is None:
        raise ConfigError(f"hydra/launcher={extra}: needs {PLUGINS[extra].replace('_', '-')}; "
                          f"pip install 'lookahead-bench[{extra}]'")  # fmt: skip
    for key in ("launcher", "sweeper"):
        check_target(f"hydra.{key}._target_", config.hydra[key].get("_target_"), HYDRA[key])
    for name, node in (config.hydra.get("callbacks") or {}).items():
        check_target(f"hydra.callbacks.{name}._target_", (node or {}).get("_target_"), HYDRA["callbacks"])


def swept_groups(overrides: Sequence[Override], choices: DictConfig) -> list[str]:
    """The groups that a sweep goes through, by the command line or by an experiment."""
    params = OmegaConf.select(choices, "hydra.sweeper.params") or {}
    return [str(o.key_or_group) for o in overrides if o.is_sweep_override() and o.key_or_group in GROUPS] + [
        str(key) for key in params if key in GROUPS
    ]


def source(choices: DictConfig, group: str, name: str) -> DictConfig:
    """The file of one choice, by itself: in conf/, or where hydra.searchpath looks."""
    for place in choices.hydra.runtime.config_sources:
        file = Path(place.path, group, f"{name}.yaml")
        if place.schema == "file" and file.exists():
            found = OmegaConf.load(file)
            assert isinstance(found, DictConfig)
            return found
    raise ConfigError(f"{group}={name}: no such {group}; dataset={choices.hydra.runtime.choices.dataset} asks for it")


def scale_entries(choices: DictConfig) -> tuple[dict[str, str], dict[str, Any]]:
    """What the dataset says for this scale: groups that nobody has chosen, and values that no experiment has set."""
    node = OmegaConf.select(choices, f"dataset.about.scales.{choices.get('scale')}")
    plain: dict[str, Any] = OmegaConf.to_container(node) if node is not None else {}  # type: ignore[assignment]  # of a mapping
    named: dict[str, str] = {group: plain.pop(group) for group in ("model", "schedule") if group in plain}
    picks = {group: name for group, name in named.items() if choices.get(group) is None}
    # What differs from the dataset's own file was set by an experiment, which the scale must not undo.
    own = OmegaConf.create({"dataset": source(choices, "dataset", choices.hydra.runtime.choices.dataset)})
    untouched = {k: OmegaConf.select(choices, k) == OmegaConf.select(own, k) for k, _ in leaves(plain, "dataset")}
    return picks, {k: v for k, v in leaves(plain, "dataset") if untouched[k]}


def loader() -> Loader:
    """A loader of the configurations in `conf/`."""
    setup_globals()
    version.setbase("1.3")  # Hydra's own behaviour of today, not that of its 1.1
    Plugins.instance()  # registers the sources of configurations, sweepers and launchers
    for name in options("hydra/launcher"):  # our preset, not the plugin's own entry of that name
        ConfigStore.instance().repo["hydra"]["launcher"].pop(f"{name}.yaml", None)
    path = ConfigSearchPathImpl()
    path.append("hydra", "pkg://hydra.conf")
    path.append("main", f"file://{CONF}")
    path.append("schema", "structured://")
    return Loader(path)


def hydra_main(composing: Loader | None = None) -> Hydra:
    """A Hydra whose configurations come from `conf/` through `Loader`."""
    return Hydra(task_name="lookahead-bench", config_loader=composing or loader())


def compose(overrides: Sequence[str], mode: RunMode = RunMode.RUN) -> DictConfig:
    """The composed configuration, its `hydra` node included. Raises Hydra's own errors."""
    return loader().load_configuration(PRIMARY, list(overrides), mode)


def is_interval(override: Override) -> bool:
    """`optimizer.lr=interval(0.01,1)`: a sweep without an end."""
    return override.is_sweep_override() and not override.is_discrete_sweep()


def jobs(overrides: Sequence[str], composing: Loader | None = None) -> list[list[str]] | None:
    """The overrides of every job of a multirun, in Hydra's order; None where a sweeper decides as it goes."""
    composing = composing or loader()
    master = composing.load_configuration(PRIMARY, list(overrides), RunMode.MULTIRUN)
    if master.hydra.runtime.choices["hydra/sweeper"] != "basic":
        return None
    swept = [f"{key}={value}" for key, value in (master.hydra.sweeper.params or {}).items()]
    parsed = OverridesParser.create(composing).parse_overrides([*swept, *overrides])  # glob(*) asks the loader
    composing.search = None
    if master.get("search") is not None:
        spaces = {o.get_key_element(): str(o.input_line).partition("=")[2] for o in filter(is_interval, parsed)}
        # A mapping: the group's files are.
        said: dict[str, Any] = OmegaConf.to_container(master.search, resolve=True)  # type: ignore[assignment]  # of a mapping
        composing.search = {**said, "name": master.hydra.runtime.choices.search, "intervals": spaces}
        # The jobs need not know of it.
        parsed = [o for o in parsed if not is_interval(o) and str(o.key_or_group).partition(".")[0] != "search"]
    for override in filter(is_interval, parsed):
        raise ConfigError(f"{override.input_line}: an interval needs a search that chooses from it; add search=halton")
    values = {o.get_key_element(): len(list(o.sweep_string_iterator())) for o in parsed if o.is_sweep_override()}
    if math.prod(values.values()) > MOST_JOBS:
        shown = " x ".join(f"{count:,} of {key}" for key, count in values.items())
        raise ConfigError(f"a sweep over {shown}: is of more than {MOST_JOBS:,} runs; take fewer values at a time")
    # Where Hydra looks for YAML files goes to every job.
    places = [str(o.input_line) for o in parsed if o.key_or_group == "hydra.searchpath"]
    (batch,) = BasicSweeper.split_arguments([o for o in parsed if not o.is_hydra_override()], None)
    return [[*places, *job] for job in batch]
