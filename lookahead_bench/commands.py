"""The commands beside running: list, data, status, check, report, figures, sync, bench. Each imports what it needs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from typing import Any


def wrong_arguments(message: str) -> Any:
    from lookahead_bench.errors import ConfigError

    raise ConfigError(f"{message} (lookahead-bench --help shows the options)")


def keys_and_names(
    name: str, description: str, argv: list[str], keys: dict[str, str], names: str = "", *, overrides: bool = False
) -> tuple[list[str], dict[str, str]]:
    """Parse `NAME ... key=value ...`: the names and the values, with the defaults in `keys`.

    overrides: other keys are a run's own, and are judged with its configuration.
    """
    from lookahead_bench.errors import ConfigError

    parser = argparse.ArgumentParser(prog=f"lookahead-bench {name}", description=description)
    usage = " ".join(f"[{k}={v}]" for k, v in keys.items())
    parser.add_argument("arguments", nargs="*", metavar=f"{names} {usage}".strip())
    parser.error = wrong_arguments  # type: ignore[method-assign]  # argparse would exit with its own words
    found, values = [], dict(keys)
    for argument in parser.parse_args(argv).arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            found.append(argument)
        elif key in keys or overrides:
            values[key] = value
        elif not keys:
            raise ConfigError(f"{argument}: lookahead-bench {name} takes {names or 'nothing'} only")
        else:
            from lookahead_bench.configuration.targets import nearest

            hint = nearest(key, keys) or f" (keys: {', '.join(keys)})"
            raise ConfigError(f"{key}={value}: no such key{hint}")
    if found and not names:
        raise ConfigError(f"{found[0]}: lookahead-bench {name} takes key=value only")
    return found, values


def data_directory() -> str:
    return os.environ.get("LOOKAHEAD_BENCH_DATA", "data")


def list_command(argv: list[str]) -> int:
    from lookahead_bench.configuration.listing import show

    names, values = keys_and_names(
        "list", "Show what there is, or some of it in full.", argv, {"hydra.searchpath": ""}, "[NAME ...]"
    )
    print(show(names, values["hydra.searchpath"]))
    return 0


def data_command(argv: list[str]) -> int:
    from lookahead_bench.data.fetch import EMBEDDED, prepare

    names, values = keys_and_names(
        "data", "Download data sets into data_dir, or check that they are there.", argv,
        {"data_dir": data_directory()}, "NAME ...",
    )  # fmt: skip
    if not names:
        wrong_arguments("name one or more data sets, as in lookahead-bench data cifar10 cifar100 mnist ptb")
    for name in names:
        place = prepare(name, values["data_dir"])
        print(f"{name}: {f'comes with {EMBEDDED[name]}' if name in EMBEDDED else place}")
    return 0


def one_study(names: list[str], command: str) -> str | None:
    """The study that was named, if one was."""
    if len(names) > 1:
        wrong_arguments(f"{names[1]}: lookahead-bench {command} takes one STUDY")
    return names[0] if names else None


def status_command(argv: list[str]) -> int:
    from lookahead_bench.report.status import show

    names, values = keys_and_names(
        "status", "What the runs are doing, all or those of a study.", argv, {"results_dir": "results"}, "[STUDY]"
    )
    show(values["results_dir"], one_study(names, "status"))
    return 0


FORMATS = ("term", "md", "tex", "csv")


def report_command(argv: list[str]) -> int:
    names, values = keys_and_names(
        "report",
        "Tables of the runs, one line a method at the settings that validation chose (all=true: every setting), and "
        "curves, written under <results_dir>/report/, those of STUDY with its name before theirs; "
        f"format={'|'.join(FORMATS)} says how the tables are printed. html=FILE writes one page instead, which opens "
        "offline.",
        argv,
        {"results_dir": "results", "dataset": "", "optimizer": "", "scale": "", "format": "term", "all": "false",
         "html": ""},
        "[STUDY]",
    )  # fmt: skip
    choice("format", values["format"], FORMATS)
    every = choice("all", values["all"], ("true", "false")) == "true"
    study = one_study(names, "report")
    only = {k: v for k, v in values.items() if k in ("dataset", "optimizer", "scale") and v}
    if values["html"]:
        for key, default in (("format", "term"), ("all", "false")):
            if values[key] != default:
                wrong_arguments(f"{key}={values[key]}: html= has no such choice, the page shows all; leave it out")
        from lookahead_bench.report.page import page

        print(page.write(values["html"], values["results_dir"], only, study, ["lookahead-bench", "report", *argv]))
        return 0
    from lookahead_bench.report.report import write  # pandas and matplotlib: not for --help

    write(values["results_dir"], only, study, form=values["format"], every=every)
    return 0


def choice(key: str, value: str, allowed: Sequence[str]) -> str:
    """The value. Errors: ConfigError where it is none of those allowed."""
    if value not in allowed:
        from lookahead_bench.configuration.targets import nearest
        from lookahead_bench.errors import ConfigError

        raise ConfigError(f"{key}={value}: is none of {', '.join(allowed)}{nearest(value, allowed)}")
    return value


def check_command(argv: list[str]) -> int:
    from lookahead_bench.runs.check import check

    _, values = keys_and_names(
        "check", "Verify every stored run, and mend what can be mended.", argv, {"results_dir": "results"}
    )
    return check(values["results_dir"])


def sync_command(argv: list[str]) -> int:
    from lookahead_bench.runs.sync import sync

    _, values = keys_and_names(
        "sync", "Replay the stored runs into W&B: their curves, under fixed ids, in the groups of their studies.", argv,
        {"results_dir": "results", "project": "lookahead-bench", "entity": ""},
    )  # fmt: skip
    return sync(values["results_dir"], values["project"], values["entity"] or None)


def bench_command(argv: list[str]) -> int:
    from lookahead_bench.bench import BENCHMARKS, bench

    names, values = keys_and_names(
        "bench", f"Measure on this machine: {', '.join(BENCHMARKS)}.", argv, {}, "[NAME ...]"
    )  # fmt: skip
    bench(names, values)
    return 0


def figures_command(argv: list[str]) -> int:
    from lookahead_bench.report.figures import draw, figures

    theory, others = ([name for name in figures() if ("/" in name) is apart] for apart in (False, True))
    names, values = keys_and_names(
        "figures",
        "Run what is missing of a figure's study and draw it under <results_dir>/figures/. Without names: "
        f"{', '.join(theory)}. Only where they are named: {', '.join(others)}.",
        argv,
        {"results_dir": "results", "data_dir": data_directory()},
        "[NAME ...]",
        overrides=True,
    )
    draw(names, [f"{key}={value}" for key, value in values.items()])
    return 0


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "list": list_command,
    "data": data_command,
    "status": status_command,
    "check": check_command,
    "report": report_command,
    "figures": figures_command,
    "sync": sync_command,
    "bench": bench_command,
}
