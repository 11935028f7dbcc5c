"""imported: a classifier from somebody's file, as one more row; nothing is trained."""

from torch import Tensor, nn

from mngac.methods.base import Base, Batch, Step
from mngac.models.foreign import load_weights


class Method(Base):
    """Takes the weights of `checkpoint` for the entry's `model`: the authors' files, RobustBench's, a state dict."""

    trains = False

    def initialise(self, classifier: nn.Module) -> None:
        """The file's weights in place of random ones, whole or not at all."""
        load_weights(classifier, self.config.checkpoint, self.config.model)

    def loss(self, classifier: nn.Module, batch: Batch, step: Step) -> Tensor:
        """There is none.

        Raises:
            TypeError: always.
        """
        raise TypeError("an imported classifier is not trained")
