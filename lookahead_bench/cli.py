"""The command `lookahead-bench`: what it is asked, who does it, and which exit status tells how it went.

0 done (a diverged run is a result), 1 failed, 2 wrong configuration, 128 + signal interrupted.
"""

from __future__ import annotations

import argparse
import logging
import math
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from lookahead_bench.commands import COMMANDS, wrong_arguments

HELP = """\
lookahead-bench: run and compare the optimizers of the Lookahead family.

  lookahead-bench                                          one run of the defaults: Lookahead on the embedded digits
  lookahead-bench optimizer=multilayer dataset=cifar100    one run; finished, it is skipped, interrupted, resumed
  lookahead-bench -m optimizer=sgd,lookahead seed=1,2,3    every combination, one run each

Choose (lookahead-bench list shows the names):
  optimizer=NAME    sgd, adam, lookahead, multilayer, extragradient, rapp, ...
  dataset=NAME      the task: digits (default, offline), cifar10, cifar100, ...
  scale=NAME        smoke (seconds), cpu (minutes on two cores, default), paper (the paper's own protocol)
  model=  schedule=  gpu=  tracker=  experiment=    default to what the dataset and the scale say

Set (any key of `lookahead-bench --cfg job`):
  seed=1 epochs=10 max_steps=1000 max_oracle_calls=1000    one budget is enough; the first one reached ends the run
  optimizer.lr=0.1 optimizer.k=5 optimizer.alpha=0.5       lookahead-bench list NAME explains an optimizer's keys
  optimizer.k=[5,5] optimizer.alpha=[0.5,0.8]              nested layers, innermost first
  optimizer.base._target_=package.Class                    any torch optimizer as the base
  precision=float32|bfloat16|float64  resample=step|call  clip_norm=1.0
  replicas=R        the seeds seed ... seed+R-1 computed together, each a run of its own
  data_dir=DIR      where data sets lie ($LOOKAHEAD_BENCH_DATA, else data/)
  results_dir=DIR   where runs are kept (results/)
  force=true        repeat a finished run

Other commands (--help on each):
  list [NAME]       optimizers, datasets, models, schedules, experiments; NAME: its equation, source, keys and ranges
  data NAME ...     download or check data sets        status    what the runs in results_dir are doing
  report            tables and curves of the runs      figures   a study's figures
  sync              replay finished runs into W&B      bench     measure the speed of this machine and this code

Options:
  -m, --multirun    sweep over comma-separated values; hydra/launcher=joblib runs several at a time
  --cfg job         show the composed configuration and stop (Hydra's --info and --shell-completion work too)
  --version, -h, --help
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console command; exits with the status above."""
    raise SystemExit(command(list(sys.argv[1:] if argv is None else argv)))


def command(argv: list[str]) -> int:
    """Do what the arguments ask; returns the exit status."""
    from lookahead_bench.errors import ConfigError, DataError, RunError

    listen()
    try:
        if argv and argv[0] in COMMANDS:
            return COMMANDS[argv[0]](argv[1:])
        if {"-h", "--help"} & set(argv):
            print(HELP, end="")
            return 0
        if "--version" in argv:
            from lookahead_bench import __version__

            print(__version__)
            return 0
        return experiment(argv)
    except ConfigError as error:
        print(f"lookahead-bench: {error}", file=sys.stderr)
        return 2
    except (DataError, RunError) as error:
        print(f"lookahead-bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as error:
        number = getattr(error, "number", 2)
        if str(error):
            print(f"lookahead-bench: {error}", file=sys.stderr)
        return 128 + int(number)
    except BrokenPipeError:  # `| head`: nobody is left to read
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def listen() -> None:
    """The project's own notices on stderr; not the root logger's, where Hydra would say everything twice."""
    notices = logging.getLogger("lookahead_bench")
    notices.setLevel(logging.INFO)
    notices.handlers = [logging.StreamHandler(sys.stderr)]
    notices.handlers[0].setFormatter(logging.Formatter("lookahead-bench: %(message)s"))


# ----------------------------------------------------------------------------------------------------- run and sweep


def experiment(argv: list[str]) -> int:
    """One run, or with -m a sweep."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.error = wrong_arguments  # type: ignore[method-assign]
    args = parser.parse_intermixed_args(argv)
    words = [o for o in args.overrides if "=" not in o and o.replace("_", "").isalnum()]
    if words:
        from lookahead_bench.targets import nearest

        hint = nearest(words[0], COMMANDS) or f"; the commands are {', '.join(COMMANDS)}"
        wrong_arguments(f"{words[0]}: no such command{hint}, and settings are key=value")
    for option in ("config_path", "config_name", "experimental_rerun"):
        if getattr(args, option):
            name = option.replace("_", "-")
            wrong_arguments(f"--{name}: is not taken here; --config-dir adds a directory of YAML files")
    if args.config_dir and not os.path.isdir(args.config_dir):
        wrong_arguments(f"--config-dir {args.config_dir}: is no directory")
    if args.config_dir:
        args.overrides.append(f"hydra.searchpath=[file://{os.path.abspath(args.config_dir)}]")
    if args.cfg or args.info or args.shell_completion or args.hydra_help:
        return inspect(args, parser)
    return sweep(args.overrides) if args.multirun else single(args.overrides)


def inspect(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Hydra's own ways to look at a configuration."""
    from lookahead_bench.compose import PRIMARY, hydra_main
    from lookahead_bench.errors import ConfigError
    from lookahead_bench.messages import COMPOSING, translate

    hydra = hydra_main()
    try:
        if args.hydra_help:
            args.overrides = []
            hydra.hydra_help(config_name=PRIMARY, args_parser=parser, args=args)
        elif args.cfg:
            hydra.show_cfg(config_name=PRIMARY, overrides=args.overrides, cfg_type=args.cfg, package=args.package,
                           resolve=args.resolve)  # fmt: skip
        elif args.info:
            hydra.show_info(args.info, config_name=PRIMARY, overrides=args.overrides)
        else:
            hydra.shell_completion(config_name=PRIMARY, overrides=args.overrides)
    except COMPOSING as error:
        raise translate(error, args.overrides) from None
    except ConfigError:
        raise
    except (ValueError, KeyError) as error:  # --shell-completion without its subcommand, or not by a shell
        wrong_arguments(f"--shell-completion: {error}")
    return 0


def single(overrides: list[str]) -> int:
    from lookahead_bench import config

    finish(config.load(overrides), table=True)
    return 0


def finish(settings: Any, *, table: bool) -> Any:
    """Do the runs of one configuration and say what came of them; returns the first one's result.

    Errors: RunError, one line, where a run failed.
    """
    from lookahead_bench.errors import ConfigError, DataError, RunError
    from lookahead_bench.report.summary import line, show
    from lookahead_bench.runs.files import read_json
    from lookahead_bench.runs.run import execute

    try:
        results = execute(settings)
    except (ConfigError, DataError, RunError):
        raise
    except Exception as error:
        path = Path(settings["results_dir"], "runs", settings.run_id, "run.json")
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        where = f" (the traceback is in {path})" if "traceback" in (read_json(path) or {}) else ""
        raise RunError(f"{settings.run_id} failed: {reason}{where}") from error
    if table and len(results) == 1:
        show(results[0])
    elif len(results) == 1:
        print(line(results[0]), flush=True)
    else:
        print(
            f"{len(results)} replicas: {sum(r.status == 'done' for r in results)} done, "
            f"{sum(r.status == 'diverged' for r in results)} diverged, "
            f"{sum(r.skipped for r in results)} had been there; e.g. {line(results[0])}",
            flush=True,
        )
    return results[0]


def sweep(overrides: list[str]) -> int:
    """Every job is checked before the first one starts; then Hydra's sweeper and launcher do them."""
    from lookahead_bench import config
    from lookahead_bench.compose import PRIMARY, hydra_main, jobs
    from lookahead_bench.messages import COMPOSING, translate

    try:
        planned = jobs(overrides)
    except COMPOSING as error:
        raise translate(error, overrides) from None
    PLANNED.clear()
    if planned is not None:
        PLANNED.update(zip(map(tuple, planned), config.every_job(planned), strict=True))
        check(PLANNED.values())
    hydra = hydra_main()
    try:
        warnings.filterwarnings("ignore", category=UserWarning, module="hydra")
        hydra.multirun(config_name=PRIMARY, task_function=job, overrides=overrides, with_log_configuration=False)
    except COMPOSING as error:
        raise translate(error, overrides) from None
    return 0 if planned is None else sweep_status(PLANNED.values())


PLANNED: dict[tuple[str, ...], Any] = {}  # overrides of each job of this process's sweep -> its configuration


def check(planned: Iterable[Any]) -> None:
    """Refuse a sweep with an optimizer or a task that cannot be built, before its first run."""
    from lookahead_bench.runs.store import RunDirectory

    todo = {}
    for one in (one for job in planned for one in job.seeds()):
        if one["force"] or not RunDirectory(one).finished():
            todo[str((one["optimizer"], one["dataset"]["_target_"], one["schedule"], one["gpu"]))] = one
    if todo:
        from lookahead_bench.runs.session import rehearse

        for one in todo.values():
            rehearse(one)


def sweep_status(planned: Iterable[Any]) -> int:
    """How the jobs of a sweep went: told as they ended, counted here."""
    from lookahead_bench.runs.store import RunDirectory

    counts: dict[str, int] = {}
    for one in (one for job in planned for one in job.seeds()):
        status = (RunDirectory(one).record() or {}).get("status", "missing")
        counts[status] = counts.get(status, 0) + 1
    print(f"{sum(counts.values())} runs: " + ", ".join(f"{n} {status}" for status, n in sorted(counts.items())))
    return 0 if set(counts) <= {"done", "diverged"} else 1


def job(composed: Any) -> float:
    """One job of a Hydra sweep; returns the headline score, which optimising sweepers want."""
    from hydra.core.hydra_config import HydraConfig

    from lookahead_bench import config
    from lookahead_bench.errors import ConfigError, DataError, InterruptedBySignal, RunError

    listen()
    asked = HydraConfig.get().overrides
    overrides = [*(o for o in asked.hydra if o.startswith("hydra.searchpath=")), *asked.task]
    settings = PLANNED.get(tuple(overrides)) or config.load(overrides)
    try:
        result = finish(settings, table=False)
    except (ConfigError, DataError, RunError) as error:
        if HydraConfig.get().runtime.choices["hydra/sweeper"] != "basic":
            raise  # a sweeper that optimises must know
        print(f"lookahead-bench: {error}", file=sys.stderr, flush=True)
        return math.nan  # the others go on; the sweep counts this one as failed
    if result.signal is not None:  # it was meant for the sweep as well
        raise InterruptedBySignal(result.run_id, result.signal)
    return float(result.value)


if __name__ == "__main__":
    main()
