"""Where a run comes from, what it is paired by, and how large it is: written once, into its config.json."""

import hashlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import torch

from experiments.cli.commands import typed
from experiments.config.overrides import command_line
from experiments.datasets.batches import Batches
from experiments.runner.dry_run import forward_flops
from experiments.runner.resolve import Resolved, build_model, device_text
from rope_dit.draws import Inputs
from rope_dit.registry import POS_EMBEDS

PAIRED_STEPS = 100


def pairing(resolved: Resolved, batches: Batches) -> dict[str, str]:
    """SHA-256 of the first 100 steps' inputs and of the shared initial weights: paired runs agree in both."""
    config = resolved.config
    inputs, weights = hashlib.sha256(), hashlib.sha256()
    model = resolved.build_model()
    given = Inputs(config.train, batches, config.seed, model.num_moves)
    for step in range(min(PAIRED_STEPS, config.train.steps)):
        images, labels, draw = given(step)
        for tensor in (images, labels, draw.t_B, draw.noise_BCHW, draw.drop_B):  # not what moves positions
            inputs.update(tensor.cpu().numpy().tobytes())
    for name, p in sorted(model.named_parameters()):
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
        "command": typed(*program, "-m", "experiments.run", *command_line(resolved.asked)),
        "torch": str(torch.__version__),
        "parameters": str(sum(p.numel() for p in model.parameters())),
        "parameters_variant": str(sum(p.numel() for p in model.pos_embed.parameters())),
        "flops_per_image": str(forward_flops(resolved)),
    }


def git_commit() -> str:
    """Commit of the source tree, with '+changes' where it has any; empty outside its own repository."""

    def git(*words: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # installed below somebody else's repository?
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def peak_memory_mib(device: torch.device) -> float:
    """Largest memory so far, MiB: of the GPU's allocator, or of the process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    kilo = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kilo / 2**20
