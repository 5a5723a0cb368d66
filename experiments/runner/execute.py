"""One run, from wherever an earlier process left it to its last score."""

import hashlib
import os
import resource
import shlex
import sys
from collections.abc import Callable, Mapping

import torch

from experiments.cli.main import OK, StopFlag, one_line
from experiments.cli.progress import Progress
from experiments.config.run import EvalConfig, RunConfig, from_json
from experiments.datasets.batches import Batches
from experiments.records.mlflow_mirror import Mirror
from experiments.records.run_folder import Ending
from experiments.runner.dry_run import forward_flops
from experiments.runner.provenance import git_commit
from experiments.runner.resolve import Resolved, build_model, device_text
from experiments.runner.summary import summary
from experiments.scoring.generate import Generator
from experiments.scoring.reference import Reference
from experiments.scoring.score import Scorer, curve_jobs, final_jobs
from rope_dit import ema, flow
from rope_dit.checkpoint import Checkpoints
from rope_dit.errors import Stopped
from rope_dit.ranks import ONE, Ranks
from rope_dit.registry import POS_EMBEDS
from rope_dit.trainer import Diverged, State, train

PAIRED_STEPS = 100


def execute(resolved: Resolved, stop: StopFlag, ranks: Ranks = ONE) -> int:
    """Train, score and track a checked run whose folder is locked; returns the exit code.

    All ranks of a run must call this. They train and sample together; rank 0 alone does the rest.

    Raises:
        Stopped, Diverged, OSError: after the run was marked accordingly in the tracking store.
    """
    config, folder = resolved.config, resolved.folder
    scorer = make_scorer(resolved, stop, ranks)
    state = State.fresh(resolved.build_model(), config.train)
    checkpoints = Checkpoints(folder.path / "checkpoints", resolved.identity)
    state.resume(checkpoints, ranks)
    batches = make_batches(resolved)
    if ranks.leads:
        folder.open_metrics(state.step)
        if folder.info is None:
            about = origin(resolved, ranks.size)
            folder.create(resolved.identity, config, pairing(resolved, state, batches), about)
    finished = state.step >= config.last_step and not scorer.missing(state.step, final_jobs(config.eval))

    def work() -> None:
        with ranks.lost():
            train_logged(resolved, state, batches, checkpoints, stop, curve(config.eval, scorer), ranks)
            scorer.generator.load(state.ema.profiles[scorer.ema])
            scorer.score(state.step, final_jobs(config.eval))

    if not ranks.leads:
        work()
        return OK
    if finished:
        print(f"{folder.path} is finished; nothing to do.")
    else:
        where = f"{device_text(resolved.device)}, {config.train.precision}"
        print(f"{config.arm_name}, seed {config.seed}, on {where}: {folder.path}", flush=True)
        folder.begin()
    return tracked(resolved, state, scorer, work)


def tracked(resolved: Resolved, state: State, scorer: Scorer, work: Callable[[], None]) -> int:
    """Do the work while it is mirrored into the tracking store; returns the exit code."""
    config, folder = resolved.config, resolved.folder
    mirror = Mirror(folder, config.study)
    mirror.start()
    ending = Ending("FAILED", "error")
    try:
        work()
        scorer.clean()
        paused = state.step < config.train.steps
        ending = Ending("FINISHED", "paused" if paused else "finished")
    except (Stopped, KeyboardInterrupt):
        ending = Ending("KILLED", "stopped")
        raise
    except Exception as error:
        outcome = "diverged" if isinstance(error, Diverged) else "error"
        ending = Ending("FAILED", outcome, one_line(f"{type(error).__name__}: {error}"))
        raise
    finally:
        folder.end(ending)
        mirror.close(ending.status, ending.outcome)
    print(summary(folder, mirror))
    return OK


def train_logged(
    resolved: Resolved,
    state: State,
    batches: Batches,
    checkpoints: Checkpoints,
    stop: StopFlag,
    evaluate: Callable[[State], None],
    ranks: Ranks = ONE,
) -> None:
    """Train with a progress bar and the folder's metric log; `evaluate` is called after every step."""
    config, folder = resolved.config, resolved.folder
    bar = Progress("training", config.last_step, "step", state.step)
    shown = ""

    def log(step: int, values: Mapping[str, float]) -> None:
        nonlocal shown
        shown = f"loss {values['train/loss']:.4f}, {values['train/images_per_second']:.0f} pictures/s"
        if ranks.leads:
            folder.log(step, {**values, "system/peak_memory_mib": peak_memory_mib(resolved.device)})

    def after(state: State) -> None:
        bar.update(state.step, shown)
        evaluate(state)

    try:
        train(
            state,
            batches,
            config.train,
            seed=config.seed,
            until=config.last_step,
            checkpoints=checkpoints,
            log=log,
            after=after,
            stop=stop,
            ranks=ranks,
        )
    finally:
        bar.close()


def curve(config: EvalConfig, scorer: Scorer) -> Callable[[State], None]:
    """What scores the averaged weights every `config.every` steps, and does nothing the second time."""

    def evaluate(state: State) -> None:
        due = config.every and state.step and state.step % config.every == 0
        if due and scorer.missing(state.step, curve_jobs(config)):
            scorer.generator.load(state.ema.profiles[scorer.ema])
            scorer.score(state.step, curve_jobs(config))

    return evaluate


def make_batches(resolved: Resolved) -> Batches:
    """The training pictures on the device."""
    config, images, device = resolved.config, resolved.images, resolved.device
    pictures, labels = (torch.from_numpy(a).to(device) for a in (images.train, images.train_labels))
    return Batches(pictures, labels, batch=config.train.batch, seed=config.seed, flip=config.train.flip)


def make_scorer(resolved: Resolved, stop: StopFlag, ranks: Ranks = ONE) -> Scorer:
    """The scorer of a run. Raises UserError where the extractor is not to be had or does not fit."""
    config, reference = resolved.config, Reference(resolved.images, resolved.extractor, stop, ranks)
    profile, generator = ema.name(config.train.ema_decay), make_generator(resolved, stop)
    info = resolved.folder.info  # a run keeps the name under which it was scored first
    arm = from_json(RunConfig, info["config"]).arm_name if info else config.arm_name
    return Scorer(arm, config.seed, profile, generator, reference, resolved.folder, stop, ranks)


def make_generator(resolved: Resolved, stop: StopFlag) -> Generator:
    """What samples from a run's network; its weights are not loaded yet."""
    images = resolved.images
    return Generator(
        resolved.build_model(), resolved.config, images.train_labels, images.train.shape[1:], stop
    )


def pairing(resolved: Resolved, state: State, batches: Batches) -> dict[str, str]:
    """SHA-256 of the first 100 steps' inputs and of the shared initial weights: paired runs agree in both."""
    config = resolved.config
    inputs, weights = hashlib.sha256(), hashlib.sha256()
    for step in range(min(PAIRED_STEPS, config.train.steps)):
        images, labels = batches(step)
        draw = flow.draws(config.train, config.seed, step, images.shape, images.device)
        for tensor in (images, labels, draw.t_B, draw.noise_BCHW, draw.drop_B):
            inputs.update(tensor.cpu().numpy().tobytes())
    for name, p in sorted(resolved.build_model().named_parameters()):
        if not name.startswith("pos_embed."):
            weights.update(name.encode() + p.detach().cpu().numpy().tobytes())
    return {"inputs_sha256": inputs.hexdigest(), "shared_weights_sha256": weights.hexdigest()}


def origin(resolved: Resolved, ranks: int = 1) -> dict[str, str]:
    """What made a run, and how large it is: tags that never change, whoever scores the run later."""
    config = resolved.config
    with torch.device("meta"):
        model = build_model(config, resolved.images)
    here = os.environ.get("LOCAL_WORLD_SIZE", str(ranks))
    program = ["python"] if ranks == 1 else ["torchrun", "--nproc-per-node", here]
    return {
        **({"ranks": str(ranks)} if ranks > 1 else {}),
        "variant": POS_EMBEDS.slug(config.variant),
        "fingerprint": resolved.fingerprint,
        "device": device_text(resolved.device),
        "git_commit": git_commit(),
        "command": shlex.join([*program, "-m", "experiments.run", *sys.argv[1:]]),
        "torch": str(torch.__version__),
        "parameters": str(sum(p.numel() for p in model.parameters())),
        "parameters_variant": str(sum(p.numel() for p in model.pos_embed.parameters())),
        "flops_per_image": str(forward_flops(resolved)),
    }


def peak_memory_mib(device: torch.device) -> float:
    """Largest memory so far, MiB: of the GPU's allocator, or of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    kilo = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo / 2**20
