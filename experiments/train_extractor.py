"""Train the small classifier whose features score pictures: python -m experiments.train_extractor --out FILE.

Use the file with --eval.extractor FILE. digits and cifar10 come with the project; the .json beside each has
the command that made it, and the held-out accuracy.
"""

from pathlib import Path

from experiments.cli.arguments import parse
from experiments.cli.main import OK, StopFlag, main
from experiments.cli.outputs import check_folder
from experiments.cli.plugins import plugin_errors
from experiments.config.extractor import PROGRAM, ExtractorConfig
from experiments.records.paths import located
from rope_dit.errors import check


def command(args: list[str], stop: StopFlag) -> int:
    """Read the command line, train, write, and say how good it is."""
    default = ExtractorConfig(out=Path("extractor.safetensors"))
    config = located(parse(ExtractorConfig, default, args, PROGRAM, __doc__ or ""))
    from experiments.datasets import load
    from experiments.runner.resolve import choose_device
    from experiments.scoring.extractors.training import check_learnable, train, write

    check_folder(config.out.parent, "--out")
    for file in (config.out, config.out.with_suffix(".json")):
        check(not file.is_dir(), "out", str(file), "the name of a file; that is a folder")
    device = choose_device(config.device)
    with plugin_errors():
        images = load(config.data)
    check_learnable(images)
    count, size = len(images.train), images.train.shape[2:]
    check(config.batch <= count, "batch", config.batch, f"at most the {count} training pictures")
    fits = min(size) >= 4 * config.stride
    check(fits, "stride", config.stride, f"at most a quarter of the pictures' {min(size)} pixels")
    score = write(config, images, train(config, images, device, stop))
    print(f"{config.out}: {100 * score:.2f} % of the {len(images.held_out)} held-out pictures are recognised")
    return OK


if __name__ == "__main__":
    main(command)
