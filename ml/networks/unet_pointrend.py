"""U-Net with three-step point rendering: a coarse prediction, made sharp point by point where it is in doubt."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ml.labels import LABELS
from ml.networks.network import RARE_LOGIT, Criterion, Extra, label_head
from ml.networks.unet import UNet

STEPS = 3  # from an eighth of the resolution to the whole
OVERSAMPLING, SURE_SHARE = 3, 0.75  # Kirillov 2020, section 3.1: k and β
FADE = 0.1  # logits; see `_rendered`


class UNetPointRend(UNet):
    """A U-Net whose coarse prediction, at an eighth of the resolution, is rendered in three steps.

    Each step doubles the resolution and asks a point head, a small perceptron, about the points where a label is least
    certain. It sees the decoder's finest features at the point and the coarse logits there. In training it is asked
    about random points, three quarters of them the least certain of three times as many.

    Parameters
    ----------
    base, levels : see `UNet`; at least three levels
    hidden : channels of the point head's three hidden layers; 4 · base if not given (the paper has 256)
    points : a step asks about at most this many points of a slice; a tenth of a crop's pixels by default

    Notes
    -----
    Random points are drawn from torch's default generator: a run that is resumed must restore its state.

    References
    ----------
    Kirillov A, Wu Y, He K, Girshick R. PointRend: image segmentation as rendering. CVPR 2020. arXiv:1912.08193.
    Zheng Y, et al. Front Physiol 2023;14:1132214, Figure 2A: "a three-step point rendering".
    """

    name = "unet_pointrend"

    def __init__(self, base: int = 16, levels: int = 4, hidden: int | None = None, points: int = 2048) -> None:
        super().__init__(base, levels)
        if levels < STEPS + 1:
            raise ValueError(f"levels is {levels}; point rendering in {STEPS} steps needs at least {STEPS + 1}")
        hidden = hidden or 4 * base
        self.settings = {"base": base, "levels": levels, "hidden": hidden, "points": points}
        self.head = label_head(base * 2**STEPS)
        self.points = PointHead(base, hidden)

    def forward(self, images: Tensor) -> Tensor:
        """Logits after rendering, shape (B, 4, H, W)."""
        decoded = self.decoded(images)
        coarse = self.head(decoded[STEPS])
        logits = coarse
        for _ in range(STEPS):
            logits = functional.interpolate(logits, scale_factor=2, mode="bilinear", align_corners=False)
            logits = self._rendered(logits, coarse, decoded[0])
        return logits

    def loss(self, images: Tensor, targets: Tensor, criterion: Criterion, extra: Extra | None = None) -> Tensor:
        """The criterion of the coarse prediction plus the criterion of the points; see `Network.loss`."""
        decoded = self.decoded(images)
        coarse = self.head(decoded[STEPS])
        whole = functional.interpolate(coarse, scale_factor=2**STEPS, mode="bilinear", align_corners=False)
        places = self._training_places(coarse.detach())
        logits = self.points(sample(decoded[0], places), sample(coarse, places))
        at_points = sample(targets, places, mode="nearest")
        loss = criterion(whole, targets) + criterion(logits[..., None], at_points[..., None])  # (B, 4, point, 1)
        return loss if extra is None else loss + extra(decoded[0])

    def output_layers(self) -> "list[nn.Conv1d | nn.Conv2d | nn.Conv3d]":
        """The coarse head and the point head's last layer."""
        assert isinstance(self.head, nn.Conv2d)
        return [self.head, self.points.last]

    def _rendered(self, logits: Tensor, coarse: Tensor, fine: Tensor) -> Tensor:
        """The logits with the least certain points asked anew.

        The most certain of the chosen points, those within 0.1 of the last one, fade in: which point is the last one may
        hang on a rounding error, and the result must not jump with it.
        """
        n_rows, n_columns = logits.shape[2:]
        n_all, n_asked = n_rows * n_columns, int(self.settings["points"])
        doubt, chosen = uncertainty(logits).flatten(1).topk(min(n_asked, n_all), dim=1)  # (B, point)
        rows, columns = torch.div(chosen, n_columns, rounding_mode="floor"), chosen % n_columns
        places = torch.stack([(columns + 0.5) * (2 / n_columns) - 1, (rows + 0.5) * (2 / n_rows) - 1], dim=-1)
        asked = self.points(sample(fine, places), sample(coarse, places))
        flat = logits.flatten(2)
        where = chosen[:, None].expand(-1, len(LABELS), -1)
        before = flat.gather(2, where)
        share = ((doubt - doubt[:, -1:]) / FADE).clamp(max=1) if n_asked < n_all else torch.ones_like(doubt)
        return flat.scatter(2, where, (before + share[:, None] * (asked - before)).to(flat.dtype)).view_as(logits)

    def _training_places(self, coarse: Tensor) -> Tensor:
        """Places of a training step, shape (B, point, 2): mostly where the coarse prediction is in doubt."""
        n_hips, n_points = len(coarse), int(self.settings["points"])
        n_doubtful = int(SURE_SHARE * n_points)
        drawn = torch.rand(n_hips, OVERSAMPLING * n_points, 2, device=coarse.device) * 2 - 1
        doubt = uncertainty(sample(coarse, drawn)[..., None])[..., 0]
        picked = doubt.topk(n_doubtful, dim=1).indices[..., None].expand(-1, -1, 2)
        anywhere = torch.rand(n_hips, n_points - n_doubtful, 2, device=coarse.device) * 2 - 1
        return torch.cat([drawn.gather(1, picked), anywhere], dim=1)


class PointHead(nn.Module):
    """Three hidden layers with the coarse logits put to each, shared by all points."""

    def __init__(self, n_fine: int, hidden: int) -> None:
        super().__init__()
        n_labels = len(LABELS)
        widths = (n_fine, hidden, hidden)
        self.hidden = nn.ModuleList(nn.Conv1d(width + n_labels, hidden, 1) for width in widths)
        self.last = nn.Conv1d(hidden + n_labels, n_labels, 1)
        assert self.last.bias is not None
        nn.init.constant_(self.last.bias, RARE_LOGIT)

    def forward(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """Logits of points, shape (B, 4, point), from features (B, C, point) and coarse logits (B, 4, point)."""
        features = fine
        for layer in self.hidden:
            features = functional.relu(layer(torch.cat([features, coarse], dim=1)))
        logits: Tensor = self.last(torch.cat([features, coarse], dim=1))
        return logits


def uncertainty(logits: Tensor) -> Tensor:
    """How near the least certain label is to 0.5, shape (B, H, W), always negative: labels overlap, each may be in doubt."""
    return -logits.float().abs().amin(dim=1)


def sample(planes: Tensor, places: Tensor, mode: str = "bilinear") -> Tensor:
    """Values at places (B, point, 2), in (column, row) from -1 to 1 between the outer edges; shape (B, C, point)."""
    grid = places[:, :, None].to(planes.dtype)
    found = functional.grid_sample(planes, grid, mode=mode, padding_mode="border", align_corners=False)
    return found[..., 0]
