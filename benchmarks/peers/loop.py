"""The loop of a tutorial: Dataset, DataLoader, Adam, TensorBoard, a checkpoint."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.utils.data import DataLoader, Dataset
from torch.utils.tensorboard import SummaryWriter

from benchmarks.peers.session import Clock, begin, finish
from benchmarks.peers.torch_model import Autoencoder, Losses, alpha
from benchmarks.workloads import ALPHA, BATCH, EVALUATED, LEARNING_RATE


class Images(Dataset):
    """Images, one by one."""

    def __init__(self, x: np.ndarray) -> None:
        self.x = torch.from_numpy(x)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> Tensor:
        return self.x[index]


def train(model: Autoencoder, loader: DataLoader, optimiser: Optimizer, epoch: int, epochs: int) -> None:
    """One pass over the images."""
    model.train()
    for number, x in enumerate(loader, start=epoch * len(loader)):
        losses = model.losses(x)
        loss = losses.reconstruction + alpha(number, epochs * len(loader)) * losses.saturation
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


@torch.no_grad()
def evaluate(model: Autoencoder, loader: DataLoader) -> Losses:
    """The losses of all images."""
    model.eval()
    sums, count = torch.zeros(2), 0
    for x in loader:
        sums += len(x) * torch.stack(model.losses(x))
        count += len(x)
    return Losses(*(sums / count))


def main() -> None:
    """Train, log, keep."""
    session = begin()
    torch.manual_seed(session.seed)
    loader = DataLoader(Images(session.train), batch_size=BATCH, shuffle=True)
    valid = DataLoader(Images(session.valid), batch_size=EVALUATED)
    model = Autoencoder(session)
    optimiser = Adam(model.parameters(), lr=LEARNING_RATE)
    writer, clock = SummaryWriter(session.folder), Clock(len(session.train))
    for epoch in range(session.epochs):
        clock.start()
        train(model, loader, optimiser, epoch, session.epochs)
        clock.stop()
        losses = evaluate(model, valid)
        writer.add_scalar("valid/reconstruction", losses.reconstruction, epoch)
        writer.add_scalar("valid/saturation", losses.saturation, epoch)
        writer.add_scalar("valid/total", losses.reconstruction + ALPHA * losses.saturation, epoch)
        torch.save({"model": model.state_dict(), "optimiser": optimiser.state_dict()}, session.folder / "last.pt")
    writer.close()
    finish(clock, losses.reconstruction.item(), losses.saturation.item(), ["torch"])


if __name__ == "__main__":
    main()
