"""The command `lookahead-bench`: what it is asked, who does it, and which exit status tells how it went.

0 done (a diverged run is a result), 1 failed, 2 wrong configuration, 128 + signal interrupted.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
from collections.abc import Sequence

from lookahead_bench.commands import COMMANDS, wrong_arguments
from lookahead_bench.errors import ConfigError, DataError, RunError
from lookahead_bench.notices import complain, listen, open_streams, say, settle_streams

HELP = """\
lookahead-bench: run and compare the optimizers of the Lookahead family.

  lookahead-bench                                          one run of the defaults: Lookahead on the embedded digits
  lookahead-bench optimizer=multilayer dataset=cifar100    one run; finished, it is skipped, interrupted, resumed
  lookahead-bench -m optimizer=sgd,lookahead seed=1,2,3    every combination, one run each

Choose (lookahead-bench list shows the names):
  optimizer=NAME    sgd, adam, lookahead, multilayer, extragradient, rapp, ...
  dataset=NAME      the task: digits (default, offline), cifar10, cifar100, ...
  scale=NAME        smoke (seconds), cpu (minutes on two cores, default), paper (the paper's own protocol)
  model=  schedule=  gpu=  tracker=  experiment=  search=    default to what the dataset and the scale say

Set (any key of `lookahead-bench --cfg job`):
  seed=1 epochs=10 max_steps=1000 max_oracle_calls=1000    one budget is enough; the first one reached ends the run
  optimizer.lr=0.1 optimizer.k=5 optimizer.alpha=0.5       lookahead-bench list NAME explains an optimizer's keys
  optimizer.k=[5,5] optimizer.alpha=[0.5,0.8]              nested layers, innermost first
  optimizer.base._target_=package.Class                    any torch optimizer as the base
  precision=float32|bfloat16|float64  resample=step|call  clip_norm=1.0
  batchnorm=estimated|running|mixed    which statistics scores are made with: one rule for every kind of weights, or not
  replicas=R        the seeds seed ... seed+R-1 computed together, each a run of its own
  data_dir=DIR      where data sets lie ($LOOKAHEAD_BENCH_DATA, else data/)
  results_dir=DIR   where runs are kept (results/)
  evaluate_every=2epochs   scores in between; also 100steps, 500oracle_calls
  study=NAME        a name for what the runs are made for; report NAME and status NAME show them
  confirm=true      start a sweep of more than 1,000 runs
  force=true        repeat finished runs; force=failed begins failed ones anew

Other commands (--help on each):
  list [NAME]       optimizers, datasets, models, schedules, experiments; NAME: its equation, source, keys and ranges
  data NAME ...     download or check data sets        status [STUDY]  what the runs in results_dir are doing
  report [STUDY]    tables and curves of the runs; html=FILE: one page that opens offline
  figures [NAME]    the theory's figures, or those named
  check             verify and mend the stored runs    sync            replay the stored runs into W&B
  bench [NAME]      measure the speed of this machine and this code

Options:
  -m, --multirun    sweep over comma-separated values; hydra/launcher=joblib|slurm|ray runs several at a time,
                    hydra/launcher=replicas joins those that one batched program can compute;
                    with search=halton|random|tpe every combination gets as many trials, then fresh seeds
  --dry-run         what there is to do: runs, oracle calls, time, disk; with or without -m
  --cfg job         show the composed configuration and stop (Hydra's --info and --shell-completion work too)
  --version, -h, --help
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console command; exits with the status above."""
    open_streams()
    try:
        raise SystemExit(command(list(sys.argv[1:] if argv is None else argv)))
    finally:
        settle_streams()
        gc.freeze()  # the end of the process need not look through all that there is


def command(argv: list[str]) -> int:
    """Do what the arguments ask; returns the exit status. Whatever happens is one line on stderr, never a traceback."""
    listen()
    try:
        status = answer(argv)
        sys.stdout.flush()  # here a full disk can be told of
        return status
    except ConfigError as error:
        complain(error)
        return 2
    except (DataError, RunError) as error:
        complain(error)
        return 1
    except KeyboardInterrupt as error:
        number = getattr(error, "number", 2)
        if str(error):
            complain(error)
        return 128 + int(number)
    except BrokenPipeError:  # `| head`: nobody is left to read
        return 0
    except OSError as error:  # a disk that is full or read-only, a name that is too long
        complain(f"{error.filename or 'the output'}: {error.strerror or error}")
        return 1
    except Exception as error:
        complain(f"{type(error).__name__}: {' '.join(str(error).split())[:300]} ({kept_traceback()})")
        return 1


def kept_traceback() -> str:
    """Where the traceback of the exception that is handled now has been written."""
    import tempfile
    import traceback

    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="lookahead-bench-", suffix=".traceback", encoding="utf-8", errors="replace", delete=False
        ) as file:
            traceback.print_exc(file=file)
    except OSError as error:
        return f"its traceback could not be kept: {error}"
    return f"unforeseen; the traceback is in {file.name}"


def answer(argv: list[str]) -> int:
    """What is asked for, by whom it is done; raises what `command` turns into lines and statuses."""
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


# ----------------------------------------------------------------------------------------------------- run and sweep


def experiment(argv: list[str]) -> int:
    """One run, or with -m a sweep."""
    from hydra._internal.utils import get_args_parser

    parser = get_args_parser()
    parser.error = wrong_arguments  # type: ignore[method-assign]  # argparse would exit with its own words
    parser.add_argument("--dry-run", action="store_true")
    args = parser.parse_intermixed_args(argv)
    words = [o for o in args.overrides if "=" not in o and o.replace("_", "").isalnum()]
    if words:
        from lookahead_bench.configuration.targets import nearest

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
    if args.dry_run:
        return dry_run(args.overrides, args.multirun)
    return sweep(args.overrides) if args.multirun else single(args.overrides)


def inspect(args: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    """Hydra's own ways to look at a configuration."""
    from lookahead_bench.configuration.compose import PRIMARY, hydra_main
    from lookahead_bench.configuration.messages import COMPOSING, translate

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
    from lookahead_bench import configuration

    if search := next((o for o in overrides if o.startswith("search=") and o != "search=null"), None):
        wrong_arguments(f"{search}: is a sweep; add -m")
    settings = configuration.load(overrides)
    from lookahead_bench.doing import do
    from lookahead_bench.report.plan import announce
    from lookahead_bench.runs.processes import follows

    if not follows(settings):
        announce(settings)
    do(settings, table=True, quiet=follows(settings))
    return 0


def dry_run(overrides: list[str], multirun: bool) -> int:
    """What the same command without --dry-run has to do, and what that will cost."""
    from lookahead_bench import configuration
    from lookahead_bench.report.plan import show
    from lookahead_bench.studies import Study

    study = Study.of(overrides) if multirun else None
    if multirun and study is None:
        wrong_arguments("--dry-run: this sweeper decides as it goes; ask without -m what one of its runs costs")
    show(study.jobs.values() if study else [configuration.load(overrides)], study.later if study else 0)
    return 0


def sweep(overrides: list[str]) -> int:
    """Every job that is known is checked before the first one starts; then Hydra's launcher does what is missing."""
    from lookahead_bench.studies import Study, succeeded

    study = Study.of(overrides)
    if study is None:
        from lookahead_bench import deciding

        counts = deciding.sweep(overrides)
    else:
        study.require_confirmation()
        counts = study.run()
    say(f"{counts.total()} runs: " + ", ".join(f"{n} {status}" for status, n in sorted(counts.items())))
    return 0 if succeeded(counts) else 1


if __name__ == "__main__":
    main()
