"""The small convolutional classifier whose pooled features stand in for Inception's on small pictures."""

from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Sequential):
    """Two 3x3 convolutions with batch norm and ReLU; the first halves the picture."""

    def __init__(self, fan_in: int, fan_out: int):
        super().__init__(
            nn.Conv2d(fan_in, fan_out, 3, padding=1, bias=False),
            nn.MaxPool2d(2),
            nn.BatchNorm2d(fan_out),
            nn.ReLU(),
            nn.Conv2d(fan_out, fan_out, 3, padding=1, bias=False),
            nn.BatchNorm2d(fan_out),
            nn.ReLU(),
        )


class Classifier(nn.Module):
    """Stem, two blocks, mean over the picture (the features), and a linear head.

    Args:
        channels: image channels C.
        classes: number of classes.
        width: channels of the stem; the features have 2 * width dimensions.
        stride: of the stem; 2 makes it cheap for pictures of 16 pixels and more.

    Any picture of at least 4 * stride pixels a side fits.
    """

    def __init__(self, *, channels: int, classes: int, width: int, stride: int):
        super().__init__()
        self.options = {"channels": channels, "classes": classes, "width": width, "stride": stride}
        self.stem = nn.Conv2d(channels, width, 3 + (stride > 1), stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.blocks = nn.Sequential(Block(width, 2 * width), Block(2 * width, 2 * width))
        self.head = nn.Linear(2 * width, classes)

    def features(self, images_BCHW: Tensor) -> Tensor:
        """Map pictures in [-1, 1] to features [B, 2 * width]."""
        pool: Tensor = self.blocks(F.relu(self.norm(self.stem(images_BCHW)))).mean((2, 3))
        return pool

    def forward(self, images_u8_BCHW: Tensor) -> tuple[Tensor, Tensor]:
        """Map uint8 pictures to (features [B, 2 * width], logits [B, classes])."""
        pool = self.features(images_u8_BCHW.float() / 127.5 - 1)
        return pool, self.head(pool)
