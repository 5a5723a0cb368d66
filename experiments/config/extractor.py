"""How an extractor of one's own is trained, as asked for on the command line."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from experiments.cli.arguments import words_for
from experiments.cli.commands import python
from experiments.config.run import DataConfig, PathOrNone
from experiments.config.text import flatten
from rope_dit.config import check_finite, option
from rope_dit.errors import check

MODULE = "experiments.train_extractor"
PROGRAM = python(MODULE)


@dataclass(frozen=True, kw_only=True)
class ExtractorConfig:
    """The classifier and its training: SGD with Nesterov momentum; the rate rises, then falls to 0."""

    out: Path
    """the .safetensors file to write; a .json with its SHA-256 and accuracy comes beside it"""
    epochs: int = 12
    """passes over the training pictures"""
    width: int = 32
    """channels of the first layer; the features have twice as many dimensions"""
    stride: int = 1
    """of the first layer; 2 is cheaper, for pictures of 16 pixels and more"""
    batch: int = 128
    """pictures per step"""
    lr: float = 0.1
    """highest learning rate"""
    weight_decay: float = 5e-4
    """L2 penalty on all weights"""
    shift: int = 1
    """training pictures are moved by up to so many pixels each way, at random"""
    flip: bool = False
    """mirror half of the training pictures"""
    bf16: bool = False
    """train in bf16 autocast: about twice as fast on CPUs with bf16 instructions"""
    seed: int = 0
    """weights, order and augmentation"""
    device: Literal["auto", "cuda", "mps", "cpu"] = "auto"
    """auto: the first of cuda, mps, cpu that is there"""
    plugins: PathOrNone = None
    """folder of your own files that register data sets"""
    data: DataConfig = field(default_factory=DataConfig)

    def __post_init__(self) -> None:
        check_finite(self, "extractor")
        check(self.out.suffix == ".safetensors", "out", str(self.out), "a name that ends in .safetensors")
        for name in ("epochs", "width", "stride", "batch"):
            check(getattr(self, name) >= 1, name, getattr(self, name), "a whole number of at least 1")
        for name in ("weight_decay", "shift", "seed"):
            check(getattr(self, name) >= 0, option(name), getattr(self, name), "0 or more")
        check(self.lr > 0, "lr", self.lr, "a number above 0")

    def options(self) -> dict[str, str]:
        """Every field that changes the weights, as text; of paths only the last part is kept."""
        kind, colon, argument = self.data.name.partition(":")
        flat = flatten(self) | {"data.name": kind + colon + Path(argument).name, "out": self.out.name}
        if self.plugins:
            flat["plugins"] = self.plugins.name
        left_out = {"device", "data.root", *(() if self.plugins else ("plugins",))}
        return {key: text for key, text in flat.items() if key not in left_out}

    def command(self) -> str:
        """The command that does this again, from the folder in which its data, plug-ins and `out` lie."""
        words: list[str] = []
        for key, text in self.options().items():
            value = {"True": True, "False": False}.get(text, text)
            words += words_for("data" if key == "data.name" else key, value)
        return python(MODULE, *words)
