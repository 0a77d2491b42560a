"""How each tool is run, and what its output says."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Final, NamedTuple

from benchmarks import machine, satae_runs
from benchmarks.machine import Quiet, Ran
from benchmarks.workloads import ALPHA, BATCH, LEARNING_RATE, NOISE, WORKLOADS, Workload

ROOT: Final = Path(__file__).parents[1]
ERROR: Final = 300  # characters of a message that are kept
SIDE_EPOCHS: Final = 10  # of the run that tells the share of logging; pictures are drawn after the first and the tenth
STARTS: Final = 5  # of a command that is soon over
PRECISION: Final = {"satae": "fp32", "satae medium": "medium", "satae bf16": "bf16"}
PEERS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "lightning": ("lightning_peer", {}),
    "loop": ("loop", {}),
    "keras on torch": ("keras_peer", {"KERAS_BACKEND": "torch"}),
    "keras on jax": ("keras_peer", {"KERAS_BACKEND": "jax"}),
    "jax": ("jax_peer", {}),
    "jax rbg": ("jax_peer", {"JAX_DEFAULT_PRNG_IMPL": "rbg"}),  # quicker random numbers than the default, threefry
}
AT_ONCE: Final = {"lightning, as many at a time as cores": "lightning"}
SAME: Final = (  # said though most of it is the default, which may change
    "data=fashion_mnist act=relu noise=gaussian optim=adam init=torch alpha_schedule=linear complement=output"
    f" alpha={ALPHA} noise.level={NOISE} optim.lr={LEARNING_RATE} batch_size={BATCH}"
).split()


class Failed(RuntimeError):
    """A command that ended with an error."""


class Setting(NamedTuple):
    """Where, with what and how much."""

    folder: Path  # for what the tools write, which is deleted, and for their messages
    data: Path  # train.npy and valid.npy
    python: Path  # of this project's environment
    peers: Path  # of the peers' environment
    jobs: int  # runs of a sweep that go on at the same time
    limit: int | None  # images of each split, instead of the workload's
    patience: float = 0  # seconds to wait for an idle machine


Found = tuple[Quiet, dict[str, Any]]  # how quiet it was; the rest of a Measurement
MeasureOnce = Callable[[Setting, str, str, int], Found]  # workload, tool, alternation


def _run(setting: Setting, command: Sequence[str | Path], variables: Mapping[str, str] | None = None) -> Ran:
    log = setting.folder / "log"
    ran = machine.run([str(word) for word in command], ROOT, log, variables, patience=setting.patience)
    if ran.code:
        said = log.with_suffix(".err").read_text("utf-8", errors="replace").strip() or f"exit code {ran.code}"
        raise Failed(said[-ERROR:])
    return ran


def _last_line(setting: Setting) -> dict[str, Any]:
    line: dict[str, Any] = json.loads((setting.folder / "log").read_text("utf-8").splitlines()[-1])
    return line


def _workload(setting: Setting, name: str) -> Workload:
    workload = WORKLOADS[name]
    return workload._replace(limit=setting.limit or workload.limit)


def words(setting: Setting, name: str, tool: str) -> list[str]:
    """The command line of satae-train."""
    workload = _workload(setting, name)
    limit = [f"data.limit={workload.limit}"] if workload.limit else []
    return [*SAME, *workload.architecture, f"epochs={workload.epochs}", *limit, f"precision={PRECISION[tool]}"]


def _ours(setting: Setting, workload: str, tool: str, alternation: int) -> Found:
    once = WORKLOADS[workload].runs == 1
    return (_our_run if once else _our_sweep)(setting, workload, tool, alternation)


def _our_run(setting: Setting, workload: str, tool: str, alternation: int) -> Found:
    folder = setting.folder / "run"
    program = setting.python.with_name("satae-train")
    chosen = [*words(setting, workload, tool), f"seed={alternation}", f"hydra.run.dir={folder}"]
    ran, run = _run(setting, [program, *chosen]), satae_runs.read(folder)
    figures = {"samples_per_s": run.samples_per_s, "wall_s": ran.wall_s, "peak_mb": ran.peak_mb}
    return ran.quiet, {"figures": figures, "losses": (run.loss,), "versions": run.versions}


def _our_sweep(setting: Setting, workload: str, tool: str, alternation: int) -> Found:
    """All runs of one satae-train."""
    program, folder = setting.python.with_name("satae-train"), setting.folder / "sweep"
    wanted = WORKLOADS[workload].seeds(alternation)
    seeds = "seed=" + ",".join(map(str, wanted))
    chosen = [*words(setting, workload, tool), seeds, f"hydra.sweep.dir={folder}"]
    ran = _run(setting, [program, "-m", "hydra/launcher=joblib", *chosen])
    runs = [satae_runs.read(path.parent) for path in folder.glob("*/run.json")]
    if len(runs) != len(wanted):
        raise Failed(f"{len(runs)} of {len(wanted)} runs have ended")
    figures = {
        "samples_per_s": mean(run.samples_per_s for run in runs),
        "wall_s": ran.wall_s,
        "overhead_s": satae_runs.overhead(ran.wall_s, setting.jobs, [run.busy_s for run in runs]),
        "beyond_training_s": satae_runs.overhead(ran.wall_s, setting.jobs, [run.epoch_s for run in runs]),
    }
    return ran.quiet, {"figures": figures, "losses": tuple(run.loss for run in runs), "versions": runs[0].versions}


def _peer(setting: Setting, workload: str, tool: str, alternation: int) -> Found:
    """A process for each run, one after the other."""
    chosen, lines, ended = _workload(setting, workload), list[dict[str, Any]](), list[Ran]()
    module, variables = PEERS[tool]
    for seed in chosen.seeds(alternation):
        ended.append(_run(setting, _peer_command(setting, chosen, module, seed), variables))
        lines.append(_last_line(setting))
    quiet = Quiet(max(ran.quiet.others for ran in ended), max(ran.quiet.steal for ran in ended))
    wall, peak = sum(ran.wall_s for ran in ended), max(ran.peak_mb for ran in ended)
    return quiet, _found_by_peers(lines, wall, peak)


def _peers_at_once(setting: Setting, workload: str, tool: str, alternation: int) -> Found:
    """A process of one thread for each run, as many at a time as there are cores."""
    chosen = _workload(setting, workload)
    module, variables = PEERS[AT_ONCE[tool]]
    commands = [_peer_command(setting, chosen, module, seed) for seed in chosen.seeds(alternation)]
    file = setting.folder / "commands.json"
    file.write_text(json.dumps([[str(word) for word in command] for command in commands]), "utf-8")
    at_once = ["-m", "benchmarks.at_once", str(file), str(setting.jobs)]
    ran = _run(setting, [setting.python, *at_once], {**variables, "OMP_NUM_THREADS": "1"})
    lines = [json.loads(line) for line in (setting.folder / "log").read_text("utf-8").splitlines()]
    return ran.quiet, _found_by_peers(lines, ran.wall_s, ran.peak_mb)


def _found_by_peers(lines: Sequence[dict[str, Any]], wall_s: float, peak_mb: float) -> dict[str, Any]:
    """What the last lines of some processes of a peer say."""
    speed = mean(line["samples_per_s"][-1] for line in lines)
    losses = tuple(line["reconstruction"] + ALPHA * line["saturation"] for line in lines)
    figures = {"samples_per_s": speed, "wall_s": wall_s, "peak_mb": peak_mb}
    return {"figures": figures, "losses": losses, "versions": lines[0]["versions"]}


def _peer_command(setting: Setting, workload: Workload, module: str, seed: int) -> list[str | Path]:
    folder = setting.folder / f"{module}-{seed}"
    folder.mkdir()
    chosen = [f"--workload={workload.name}", f"--epochs={workload.epochs}", f"--seed={seed}"]
    chosen += [f"--data={setting.data}", f"--out={folder}"]
    chosen += [f"--limit={workload.limit}"] if workload.limit else []
    return [setting.peers, "-m", f"benchmarks.peers.{module}", *chosen]


def _gemm(setting: Setting, workload: str, tool: str, alternation: int) -> Found:
    ran = _run(setting, [setting.python, "-m", "benchmarks.gemm"])
    line = _last_line(setting)
    figures = {"gflops": line["flops"] / 1e9, "gflops of a step": line["step_flops"] / 1e9}
    return ran.quiet, {"figures": {"samples_per_s": BATCH / line["step_s"], **figures}}


def _side_costs(setting: Setting, workload: str, tool: str, alternation: int) -> Found:
    chosen = [*words(setting, workload, "satae"), f"epochs={SIDE_EPOCHS}", f"seed={alternation}"]
    ran = _run(setting, [setting.python, "-m", "benchmarks.side_costs", setting.folder / "run", *chosen])
    return ran.quiet, {"figures": _last_line(setting)}


def _start(setting: Setting, workload: str, tool: str, alternation: int) -> Found:
    commands: dict[str, list[str | Path]] = {
        "satae-train --help": [setting.python.with_name("satae-train"), "--help"],
        "import torch": [setting.python, "-c", "import torch"],
        "satae-train epochs=100": [
            setting.python.with_name("satae-train"),
            "epochs=100",
            f"hydra.run.dir={setting.folder}/run-{{}}",
        ],
    }
    ran = _run(setting, [setting.python, "-m", "benchmarks.repeat", str(STARTS), *commands[tool]])
    return ran.quiet, {"figures": _last_line(setting)}


TOOLS: Final[dict[str, MeasureOnce]] = {
    **dict.fromkeys(PRECISION, _ours),
    **dict.fromkeys(PEERS, _peer),
    **dict.fromkeys(AT_ONCE, _peers_at_once),
    "gemm": _gemm,
    "side costs": _side_costs,
    **dict.fromkeys(("satae-train --help", "import torch", "satae-train epochs=100"), _start),
}
