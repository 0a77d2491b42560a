"""Lightning: a module, data loaders, and its Trainer with what it logs and keeps by default."""

from __future__ import annotations

import lightning
import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Adam, Optimizer
from torch.utils.data import DataLoader, TensorDataset

from benchmarks.peers.session import Clock, Session, begin, finish
from benchmarks.peers.torch_model import Autoencoder, alpha
from benchmarks.workloads import BATCH, EVALUATED, LEARNING_RATE


class Saturated(LightningModule):
    """The autoencoder with its loss."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.model = Autoencoder(session)

    def training_step(self, batch: list[Tensor], index: int) -> Tensor:
        """The loss of a batch."""
        losses = self.model.losses(batch[0])
        weight = alpha(self.global_step, int(self.trainer.estimated_stepping_batches))
        total = losses.reconstruction + weight * losses.saturation
        self.log("train/total", total)
        return total

    def validation_step(self, batch: list[Tensor], index: int) -> None:
        """Log the losses of a batch."""
        losses = self.model.losses(batch[0])
        self.log_dict({"valid/reconstruction": losses.reconstruction, "valid/saturation": losses.saturation})

    def configure_optimizers(self) -> Optimizer:
        """Adam."""
        return Adam(self.parameters(), lr=LEARNING_RATE)


class Timed(Callback):
    """Times the training pass of each epoch."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_epoch_start(self, *_: object) -> None:
        """Before the first batch is fetched."""
        self.clock.start()

    def on_train_batch_end(self, trainer: Trainer, module: LightningModule, *_: object) -> None:
        """After a step: validation comes before the end of the epoch, so the last step is looked for here."""
        if trainer.is_last_batch:
            self.clock.stop()


def loader(x: Tensor, *, batch_size: int, shuffle: bool) -> DataLoader:
    """Batches of images."""
    return DataLoader(TensorDataset(x), batch_size=batch_size, shuffle=shuffle)


def main() -> None:
    """Train."""
    session = begin()
    lightning.seed_everything(session.seed, verbose=False)
    clock = Clock(len(session.train))
    trainer = Trainer(
        max_epochs=session.epochs,
        accelerator="cpu",
        default_root_dir=session.folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Timed(clock)],
    )
    train = loader(torch.from_numpy(session.train), batch_size=BATCH, shuffle=True)
    valid = loader(torch.from_numpy(session.valid), batch_size=EVALUATED, shuffle=False)
    trainer.fit(Saturated(session), train, valid)
    found = trainer.callback_metrics
    losses = (found[f"valid/{name}"].item() for name in ("reconstruction", "saturation"))
    finish(clock, *losses, ["lightning", "torch"])


if __name__ == "__main__":
    main()
