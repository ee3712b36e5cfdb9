"""`lookahead-bench list`: what the YAML files of conf/ say, without importing what they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from lookahead_bench import rules
from lookahead_bench.errors import ConfigError

PACKAGE = Path(__file__).resolve().parent
CONF = PACKAGE / "conf" if (PACKAGE / "conf").is_dir() else PACKAGE.parent / "conf"
SHOWN = ("optimizer", "dataset", "model", "schedule", "scale", "gpu", "tracker", "experiment")


def files(group: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((CONF / group).rglob("*.yaml")):
        yield path.relative_to(CONF / group).with_suffix("").as_posix(), path


def description(path: Path) -> str:
    """The `description` of a YAML file, or its first comment."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("description:"):
            return line.removeprefix("description:").strip().strip("\"'")
    comments = (line.lstrip("# ") for line in lines if line.startswith("# ") and "@package" not in line)
    return next(comments, "")


def overview() -> str:
    """Every group with its names and one line on each."""
    parts = []
    for group in SHOWN:
        entries = list(files(group))
        width = max((len(name) for name, _ in entries), default=0)
        parts.append("\n".join([f"{group}=", *(f"  {name:<{width}}  {description(path)}" for name, path in entries)]))
    return "\n\n".join([*parts, "lookahead-bench list NAME shows one in full"])


def page(name: str) -> str:
    """Everything of this name, in full: equation, source, keys, rules and defaults."""
    everything = [(group, one, path) for group in SHOWN for one, path in files(group)]
    found = [(group, path) for group, one, path in everything if one == name]
    if not found:
        import difflib

        close = difflib.get_close_matches(name, [one for _, one, _ in everything], n=1)
        hint = f"; did you mean {close[0]!r}?" if close else " (lookahead-bench list shows the names)"
        raise ConfigError(f"list {name}: no such name{hint}")
    return "\n\n".join(entry(group, name, path) for group, path in found)


def entry(group: str, name: str, path: Path) -> str:
    node: dict[str, Any] = OmegaConf.to_container(OmegaConf.load(path), resolve=False)  # type: ignore[assignment]
    lines = [f"{group}={name}: {node.get('description', description(path))}"]
    if node.get("equation"):
        lines += ["", *("  " + line for line in str(node["equation"]).strip().splitlines())]
    if node.get("source"):
        lines += ["", f"source: {' '.join(str(node['source']).split())}"]
    if group == "optimizer":
        chain = [node["base"]["_target_"], *(w["_target_"].rpartition(".")[2] for w in node["wrappers"])]
        lines += ["", "composition, from the inside out: " + " < ".join(chain), "", "keys:"]
        keys = [key for key in node if key in rules.OPTIMIZER]
        width = max(map(len, keys), default=0)
        for key in keys:
            many = "; a list: one a layer" if key in rules.PER_LAYER else ""
            many = many or ("; a mapping: one a player" if key in rules.PER_PLAYER else "")
            lines.append(f"  optimizer.{key:<{width}} = {default(node[key])}   ({rules.OPTIMIZER[key].text}{many})")
    else:
        hidden = ("name", "description", "equation", "source", "scales", "_target_", "check", "hydra", "defaults")
        values = {k: v for k, v in node.items() if k not in (*hidden, group)}
        if values:
            lines += ["", "keys:", *(f"  {group}.{k} = {shown(v)}" for k, v in values.items())]
        for scale, what in (node.get("scales") or {}).items():
            lines.append(f"scale={scale}: " + ", ".join(f"{k}={shown(v)}" for k, v in what.items()))
    return "\n".join(lines)


def default(value: Any) -> str:
    """A default as a reader wants it: `${oc.select:dataset.optimizer.lr,0.1}` is 0.1 unless the task says otherwise."""
    if isinstance(value, str) and value.startswith("${oc.select:"):
        return f"{value.partition(',')[2].removesuffix('}')} unless the task says otherwise"
    return shown(value)


def shown(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value)
