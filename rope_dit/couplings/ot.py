"""Minibatch optimal transport."""

import torch
from torch import Tensor

from rope_dit.couplings.base import Coupling
from rope_dit.randomness import Numbers
from rope_dit.registry import COUPLINGS


@COUPLINGS.register("ot")
class OptimalTransport(Coupling):
    """Noise goes with the pictures it is closest to, so that paths cross less (arXiv:2302.00482, 2304.14772).

    The assignment of least total squared distance over the batch, in float64. By default within each class:
    over all classes noise would depend on the class, and sampling, where it does not, would be another thing.
    Where the model knows no classes (`model.conditional` false) there is no such reason: set it to false.

    Source: OT-CFM (arXiv:2302.00482); multisample flow matching (arXiv:2304.14772).

    >>> images, noise = (torch.tensor(x).view(3, 1, 1, 1) for x in ([0.0, 1.0, 2.0], [3.0, -1.0, 0.5]))
    >>> classes, made = torch.tensor([0, 0, 1]), OptimalTransport(within_class=False)
    >>> made.pair(images, classes, noise, None).tolist()  # sorted noise to sorted pictures: -1, 0.5, 3
    [1, 2, 0]
    >>> OptimalTransport().pair(images, classes, noise, None).tolist()  # the last is alone in its class
    [1, 0, 2]
    """

    def __init__(self, *, within_class: bool = True):
        self.within_class = within_class

    def pair(
        self, images_BCHW: Tensor, labels_B: Tensor, noise_BCHW: Tensor, numbers: Numbers
    ) -> Tensor | None:
        """Return the noise of each picture, [B]."""
        from scipy.optimize import linear_sum_assignment

        groups = labels_B if self.within_class else torch.zeros_like(labels_B)
        order_B = torch.arange(len(labels_B))
        for group in groups.unique():
            (rows,) = torch.where(groups == group)
            x1, x0 = (a[rows].flatten(1).double() for a in (images_BCHW, noise_BCHW))
            # |x1 - x0|^2 but for terms of one picture or one noise alone, which every assignment has
            _, columns = linear_sum_assignment((-x1 @ x0.T).numpy())
            order_B[rows] = rows[torch.from_numpy(columns)]
        return order_B
