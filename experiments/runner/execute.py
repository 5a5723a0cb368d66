"""One run, from wherever an earlier process left it to its last score."""

import contextlib
import time
from collections.abc import Iterator

import torch

from experiments.cli.main import OK, StopFlag
from experiments.cli.plugins import plugin_errors
from experiments.cli.progress import Progress
from experiments.config.identity import read_identity
from experiments.datasets.batches import Batches
from experiments.records.mlflow_store import check_experiment
from experiments.runner.preflight import try_items
from experiments.runner.provenance import origin, pairing, peak_memory_mib
from experiments.runner.record import NoRecord, Record
from experiments.runner.resolve import Resolved, device_text
from experiments.runner.room import bytes_of_samples, check_room
from experiments.scoring.generate import Generator
from experiments.scoring.jobs import curve_jobs, final_work, said_left_out
from experiments.scoring.reference import Reference
from experiments.scoring.score import Scorer
from rope_dit.checkpoint import Checkpoints
from rope_dit.errors import Stopped
from rope_dit.ranks import ONE, Ranks
from rope_dit.trainer import Training, train


def execute(resolved: Resolved, stop: StopFlag, ranks: Ranks = ONE) -> int:
    """Train, score and track a checked run whose folder is locked; returns the exit code.

    All ranks of a run must call this. They train and sample together; the leading one alone does the rest.

    Raises:
        Stopped, Diverged, OSError: after the run was marked accordingly in the tracking store.
    """
    config = resolved.config
    ranks.leading(lambda: check_experiment(config.study, join=config.join), None)
    batches, scorer = make_batches(resolved), make_scorer(resolved, stop, ranks)
    checkpoints = run_checkpoints(resolved)
    try_all(resolved, checkpoints, scorer, ranks)
    training = Training.fresh(resolved.build_model(), config.train)
    training.resume(checkpoints, ranks)
    nobody: Record = NoRecord(resolved.folder, config)
    record = ranks.leading(lambda: begin(resolved, training, batches, scorer, ranks), nobody)
    with record.kept(training), ranks.lost(), plugin_errors():
        train_and_score(resolved, training, batches, checkpoints, record, scorer, stop, ranks)
        scorer.finish(training.step, final_work(config), training.profiles())
    return OK


def try_all(resolved: Resolved, checkpoints: Checkpoints, scorer: Scorer, ranks: Ranks) -> None:
    """Try all that the rest of a run will need, where something of it is left to do; write nothing of it.

    Raises UserError on all ranks for what would fail later: an item, a metric, too full a disk.
    """
    work, newest = final_work(resolved.config), ranks.first(checkpoints.newest_step)
    if newest >= resolved.config.last_step and not ranks.first(lambda: scorer.undone(newest, work)):
        return
    size, features = try_items(resolved)
    samples = bytes_of_samples(scorer.generator, [*work.jobs, *curve_jobs(resolved.config)], features)
    ranks.leading(lambda: check_room(resolved.folder, checkpoints, size, samples), None)
    if not newest:  # else it was done at the run's first start, or the scores come now
        scorer.prepare()


def begin(resolved: Resolved, training: Training, batches: Batches, scorer: Scorer, ranks: Ranks) -> Record:
    """Take up the run's folder, made new where there was none, and say what is going to happen."""
    config, folder = resolved.config, resolved.folder
    folder.check_free_for(resolved.identity)  # another run may have begun there before the folder was held
    folder.open_metrics(training.step, training.logged)
    if folder.record is None:
        folder.create(resolved.identity, config, pairing(resolved, batches), origin(resolved, ranks.size))
    if training.step >= config.last_step and not scorer.undone(training.step, final_work(config)):
        print(f"{folder.path} is finished; nothing to do.")
    else:
        where = f"{device_text(resolved.device)}, {config.train.precision}"
        print(f"{config.arm_name}, seed {config.seed}, on {where}: {folder.path}", flush=True)
        for line in said_left_out(config):
            print(line, flush=True)
        folder.begin()
    return Record(folder, config)


def train_and_score(
    resolved: Resolved,
    training: Training,
    batches: Batches,
    checkpoints: Checkpoints,
    record: Record,
    scorer: Scorer | None,
    stop: StopFlag,
    ranks: Ranks = ONE,
) -> None:
    """Train to the run's last step with curves, checkpoints, a progress bar, and scores on the way.

    Raises:
        Stopped: a signal came; a checkpoint has been saved.
        Diverged: a loss, a gradient or a picture was not finite; no checkpoint has such a loss behind it.
    """
    config, until, shown, saved_step = resolved.config.train, resolved.config.last_step, "", training.step
    bar = Progress("training", until, "step", training.step)
    try:
        score_curve(resolved, training, scorer)  # a kill may have come between a checkpoint and its scores
        clock, saved_at = Clock(training.step), time.monotonic()
        for step in train(training, batches, seed=resolved.config.seed, until=until, ranks=ranks):
            if step.number == config.steps or step.number % config.log_every == 0:
                losses = training.curves()
                speed = clock.steps_per_second(step.number) * config.batch
                shown = f"loss {losses['train/loss']:.4f}, {speed:.0f} pictures/s"
                values = {"train/lr": step.lr, "train/grad_norm": step.norm.item(), **losses}
                values["train/images_per_second"] = speed
                values["system/peak_memory_mib"] = peak_memory_mib(resolved.device)
                with clock.paused():
                    record.log(step.number, values)
            with clock.paused():
                late = time.monotonic() - saved_at >= config.save_seconds
                if step.number == until or ranks.any_at(step.number, late):
                    save(training, checkpoints, ranks)
                    saved_step, saved_at = step.number, time.monotonic()
                bar.update(step.number, shown)
                score_curve(resolved, training, scorer)
            if step.number < until and ranks.any_at(step.number, stop()):
                raise Stopped
    except Stopped:
        if training.step != saved_step:
            save(training, checkpoints, ranks)
        raise
    finally:
        bar.close()


def score_curve(resolved: Resolved, training: Training, scorer: Scorer | None) -> None:
    """Score the averaged weights where this step is due, and has no scores yet."""
    every, step = resolved.config.eval.every, training.step
    if scorer and every and step and step % every == 0:
        scorer.score(step, curve_jobs(resolved.config), training.profiles())


def save(training: Training, checkpoints: Checkpoints, ranks: Ranks) -> None:
    """Save a checkpoint, once for all ranks."""
    training.guard.check(training.config)
    if ranks.leads:
        training.save(checkpoints)


class Clock:
    """Steps a second since it was last asked; neither logging, saving nor scoring is training."""

    def __init__(self, step: int):
        self._step, self._since = step, time.monotonic()

    def steps_per_second(self, step: int) -> float:
        """Since the last call, at this step."""
        steps, seconds = step - self._step, max(time.monotonic() - self._since, 1e-9)
        self._step, self._since = step, time.monotonic()
        return steps / seconds

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out what the block takes."""
        begun = time.monotonic()
        yield
        self._since += time.monotonic() - begun


def run_checkpoints(resolved: Resolved) -> Checkpoints:
    """The run's checkpoints; those of earlier versions count where their identity is the same."""
    return Checkpoints(resolved.folder.path / "checkpoints", resolved.identity, read=read_identity)


def make_batches(resolved: Resolved) -> Batches:
    """The training pictures on the device."""
    config, images, device = resolved.config, resolved.images, resolved.device
    pictures, labels = (torch.from_numpy(a).to(device) for a in (images.train, images.train_labels))
    return Batches(pictures, labels, batch=config.train.batch, seed=config.seed, flip=config.train.flip)


def make_scorer(resolved: Resolved, stop: StopFlag, ranks: Ranks = ONE) -> Scorer:
    """The scorer of a run. Raises UserError where the extractor is not to be had or does not fit."""
    config, reference = resolved.config, Reference(resolved.images, resolved.extractor, stop, ranks)
    generator = make_generator(resolved, stop)
    record = resolved.folder.record  # a run keeps the name under which it was scored first
    arm = record.settings.arm_name if record else config.arm_name
    return Scorer(arm, config.seed, generator, reference, resolved.folder, stop, ranks)


def make_generator(resolved: Resolved, stop: StopFlag) -> Generator:
    """What samples from a run's network; its weights are not loaded yet."""
    images = resolved.images
    return Generator(
        resolved.build_model(), resolved.config, images.train_labels, images.train.shape[1:], stop
    )
