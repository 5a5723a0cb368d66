"""A plug-in of each kind whose method does what a test says, and the command line that uses it."""

from dataclasses import dataclass
from textwrap import indent

NAN = "float('nan')"


@dataclass(frozen=True)
class Kind:
    """A kind of item.

    Args:
        name: as messages call it.
        text: of the file; BODY is what its method does.
        args: that use it.
        wrong: bodies that return what cannot be used.
    """

    name: str
    text: str
    args: tuple[str, ...]
    wrong: tuple[str, ...]


def _head(registry: str, module: str, base: str) -> str:
    room = "experiments.config.registries" if module.startswith("experiments") else "rope_dit.registry"
    taken = f"from {module} import {base}\n" if base else ""
    return f'import torch\nfrom {room} import {registry}\n{taken}\n@{registry}.register("mine")\n'


def _class(registry: str, module: str, base: str, method: str, rest: str = "") -> str:
    inside = f'"Mine."\n{rest}\ndef {method}:\n    BODY\n'
    return _head(registry, module, base) + f"class Mine({base or 'object'}):\n{indent(inside, '    ')}"


def _function(registry: str, module: str, signature: str) -> str:
    return _head(registry, module, "") + f'def mine({signature}):\n    "Mine."\n    BODY\n'


VARIANT = "POS_EMBEDS", "rope_dit.pos_embed.base", "PosEmbed"
OPTIMIZER = "OPTIMIZERS", "rope_dit.optimizers.base", "Optimizer"
ADD = _class(*VARIANT, "add(self, site, x)")
ROTATE = _class(*VARIANT, "rotate(self, site, q, k)")
PLACE = _class("POSITIONS", "rope_dit.positions.base", "Position", "place(self, places)",
               "modifies = True\nstage = 10\n")  # fmt: skip
STEP = _class("SOLVERS", "rope_dit.samplers.base", "Solver", "step(self, state, v, t0, t1, noise)",
              "evals_per_step = 1\n")  # fmt: skip
TIMES = _function("GRIDS", "rope_dit.grids", "steps")
VELOCITY = _class("GUIDANCES", "rope_dit.guidance.base", "Guidance", "velocity(self, network, labels, null)")
TRUTH = _class("OBJECTIVES", "rope_dit.objectives.base", "Objective", "truth(self, x0, x1)", """
def __init__(self):
    super().__init__("velocity", 0.0)

def scale(self, t):
    return 1.0

def velocity(self, out, x, t):
    return out
""")  # fmt: skip
QUANTILE = _class("DENSITIES", "rope_dit.densities.base", "Density", "quantile(self, u)")
PAIR = _class(
    "COUPLINGS", "rope_dit.couplings.base", "Coupling", "pair(self, images, labels, noise, numbers)"
)
MADE = """
def __init__(self, weights, config):
    self.weights = weights
"""
STATE = _class(*OPTIMIZER, "tensors(self)", MADE + "\ndef step(self, rate, skip):\n    pass\n")
MOVE = _class(*OPTIMIZER, "step(self, rate, skip)", MADE + "\ndef tensors(self):\n    return {}\n")
RATE = _function("SCHEDULES", "rope_dit.schedules", "done")
SHARE = _function("AVERAGES", "rope_dit.averages", "step")
LOAD = _function("DATASETS", "experiments.datasets", "argument, config")
MEASURE = _class("METRICS", "experiments.scoring", "", "measure(self, generated, real)",
                 "values = {'mine': 'lower'}\nmin_images = 2\n")  # fmt: skip
FEATURES = """
import torch
from experiments.config.registries import EXTRACTORS
from experiments.scoring.extractors.base import Extractor


class Net(torch.nn.Module):
    def forward(self, x):
        BODY


@EXTRACTORS.register("mine")
def mine(argument, device):
    "Mine."
    return Extractor.of("mine", Net(), device, dim=4)
"""

KINDS = [
    Kind("variant", ADD, ("--variant", "mine"),
         ("return None", "return 3", "return x[:, :1]", "return x.long()", f"return x * {NAN}")),
    Kind("variant", ROTATE, ("--variant", "mine"),
         ("return None", "return q", "return q, k[..., :1]", f"return q, k * {NAN}")),
    Kind("position", PLACE, ("--model.positions", "mine"),
         ("return None", "return 3", "return type(places)(places.grid, places.rows[:3], 1)")),
    Kind("sampler", STEP, ("--eval.samplers", "mine:steps=7"),
         ("return None", "return ()", "return (state[0][:1],)", "return (state[0].long(),)",
          f"return (state[0] * {NAN},)")),
    Kind("grid", TIMES, ("--eval.samplers", "euler:grid=mine"),
         ("return None", "return [0, 1]", "return torch.linspace(0, 1, steps + 1)",
          "return torch.linspace(0, 1, steps, dtype=torch.float64)")),
    Kind("guidance", VELOCITY, ("--eval.guidances", "1", "mine"),
         ("return None", "return lambda x, t: None", "return lambda x, t: x[:1]",
          f"return lambda x, t: x * {NAN}")),
    Kind("objective", TRUTH, ("--train.objective", "mine"),
         ("return None", "return 3", "return x0[:1]", f"return x0 * {NAN}")),
    Kind("density", QUANTILE, ("--train.density", "mine"),
         ("return None", "return u[:1]", "return u[:, :1]", "return u + 1", f"return u * {NAN}")),
    Kind("coupling", PAIR, ("--train.coupling", "mine"),
         ("return 3", "return torch.zeros(1, dtype=torch.int64)")),
    Kind("optimizer", STATE, ("--train.optimizer", "mine"), ("return None", "return {'a': 3}")),
    Kind("optimizer", MOVE, ("--train.optimizer", "mine"),
         (f"[weight.data.fill_({NAN}) for weight in self.weights.values()]",)),
    Kind("schedule", RATE, ("--train.schedule", "mine"), ("return None", "return 'x'", f"return {NAN}")),
    Kind("average", SHARE, ("--train.averages", "warmup", "mine"),
         ("return None", "return 'x'", f"return {NAN}")),
    Kind("dataset", LOAD, ("--data", "mine"), ("return None", "return 3")),
    Kind("metric", MEASURE, (),
         ("return None", "return {}", "return {'mine': None}", "return {'mine': torch.ones(())}")),
    Kind("extractor", FEATURES, ("--eval.extractor", "mine"),
         ("return None", "return x.flatten(1)[:, :4]", "return x.flatten(1)[:, :3], x.flatten(1)",
          "return x.flatten(1)[:, :4], x.float().mean()", "return x.flatten(1)[:, :4] / 0.0, x.flatten(1)")),
]  # fmt: skip
