"""What every run's own keys may be, and torch's own optimizers'; sentences of `lookahead_bench.ranges`.

What a wrapper's keys may be stands on its class (`ranges`), what a task's, a model's or a schedule's may be in its YAML
(`about.ranges`).
"""

BUDGETS = ("epochs", "max_steps", "max_oracle_calls")  # of several, the first one reached ends a run
RUN = {
    "seed": "an integer >= 0 and < 2^32",
    "epochs": "null or an integer >= 1",
    "max_steps": "null or an integer >= 1",
    "max_oracle_calls": "null or a finite number >= 1",
    "evaluate_every": "null or a count and its unit, such as 2epochs, 100steps or 500oracle_calls",
    "precision": "one of float32, bfloat16, float64",
    "resample": "one of step, call",
    "batchnorm": "one of mixed, estimated, running",
    "clip_norm": "null or a finite number > 0",
    "ema": "null or a finite number >= 0 and < 1",
    "replicas": "an integer >= 1",
    "data_dir": "a text that is not empty",
    "results_dir": "a text that is not empty",
    "study": "null or names of at most 100 letters, digits, _, - and ., with slashes between",
    "confirm": "true or false",
    "force": "failed or true or false",
}

# Arguments of torch's optimizers; a mapping gives one value a player.
BASE = {
    "lr": "a finite number > 0",
    "momentum": "a finite number >= 0 and < 1",
    "weight_decay": "a finite number >= 0",
    "betas": "a list of 2 finite numbers >= 0 and < 1",
    "eps": "a finite number > 0",
}

TRACKER = {
    "project": "a text that is not empty",
    "entity": "null or a text that is not empty",
    "mode": "one of auto, online, offline",
}
GPU = {
    "device": "auto, cpu, cuda or cuda:N",
    "channels_last": "auto or true or false",
    "compile": "auto or true or false",
    "fused": "auto or true or false",
    "threads": "auto or an integer >= 1",
    "processes": "an integer >= 1",
}

# Optimizers (torch.optim's by their name) whose update acts on every number by itself, so that replicas cannot mix.
ELEMENTWISE = (
    "ASGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "RMSprop", "Rprop", "SGD",
    "lookahead_bench.optim.FirstMomentAdam",
)  # fmt: skip
