"""Trainings that somebody stops at a step."""

import contextlib
import signal

from mngac.training import trainer


@contextlib.contextmanager
def stopped_at(monkeypatch, epoch, step, by=signal.SIGTERM):
    """Within the block every training is asked to stop when it has done so many epochs, and steps of the next."""
    save = trainer.Trainer._save

    def asked(self):
        with monkeypatch.context() as now:
            if (self.progress.epoch, self.progress.step) == (epoch, step):
                now.setattr(trainer, "wanted", lambda: by)
            save(self)

    with monkeypatch.context() as patched:
        patched.setattr(trainer.Trainer, "_save", asked)
        yield
