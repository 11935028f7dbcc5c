"""The section `training` of params.yaml: model, budget, optimizer and attacks of a training, by data set."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from mngac.params.inheritance import Heir, merged
from mngac.params.partial import partial
from mngac.params.types import NORMS, Closed, Name, Norm, Positive, Ratio, Share

AttackKind = Literal["pgd", "apgd"]


class TrainingAttack(Closed):
    """Gradient ascent in one norm's ball, as training uses it."""

    kind: AttackKind | None = None
    """pgd or apgd, in place of `attack.kind`."""
    steps: Positive
    """Gradient steps; apgd takes one gradient more, at its start."""
    step_size: Ratio
    """Length of a step of pgd in the attack's norm, as a share of the radius; apgd finds its own."""


class TrainingAttackL1(TrainingAttack):
    """The l_1 step moves the coordinates with the largest gradients."""

    top: Positive
    """Coordinates moved in one step of pgd (the paper's code: 1 % of them, 31 at 3 x 32 x 32); apgd finds its own."""


class TrainingAttacks(Closed):
    """The training attack of each norm."""

    kind: AttackKind
    """pgd: projected gradient ascent (Madry et al. 2018); apgd: Auto-PGD (Croce and Hein 2020; l_1: 2021), at its point
    of highest loss. msd, trades, eat and ramp bring their own attack."""
    linf: TrainingAttack
    """Steps along the gradient's sign."""
    l1: TrainingAttackL1
    """Steps along the gradient's sign, on the `top` coordinates where it is largest."""
    l2: TrainingAttack
    """Steps along the gradient, normalised in l_2."""

    def kind_in(self, norm: Norm) -> AttackKind:
        """Of a norm's attack."""
        return self.of(norm).kind or self.kind

    def of(self, norm: Norm) -> TrainingAttack:
        """A norm's attack."""
        return getattr(self, norm)

    def resolved(self) -> dict[str, Any]:
        """By norm its values, with its kind."""
        return {norm: {**self.of(norm).model_dump(), "kind": self.kind_in(norm)} for norm in NORMS}


class Schedule(Closed):
    """Learning rate, set per step: linearly from 0 to `peak` until `peak_epoch`, then down to the last epoch."""

    peak: Annotated[float, Field(gt=0)]
    """Highest learning rate, of the classifier and of the noise generator."""
    peak_epoch: Annotated[float, Field(ge=0)]
    """Epoch of the highest learning rate; 0: from the first step on."""
    drops: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)] | None
    """Epochs after each of which it is a tenth of what it was before; null: it falls linearly to 0 instead."""


class Precision(Closed):
    """Precision of the classifier's matrix products, as written, on each device."""

    cpu: Literal["float32", "bfloat16"]
    """bfloat16 is faster on processors with instructions for it (avx512_bf16, AMX), and far slower on others."""
    cuda: Literal["float32", "bfloat16"]
    """bfloat16: autocast."""

    def on(self, device: str) -> str:
        """Of `cpu` or `cuda`."""
        return self.cpu if device == "cpu" else self.cuda


class Monitor(Closed):
    """Robust accuracy on validation images, logged every epoch; it chooses nothing by itself."""

    images: Positive
    """Validation images looked at, the first ones."""
    steps: Positive
    """Steps of the training attack of each norm."""


class Average(Closed):
    """An exponential moving average of the weights over the steps, batch norm's running statistics with them."""

    decay: Annotated[float, Field(gt=0, lt=1)]
    """The most that the average keeps of itself at a step; at its step t no more than (1 + t) / (10 + t)."""


class Select(Closed):
    """Which epoch's classifier is kept."""

    epoch: Literal["last", "best"]
    """best: of those looked at, the one with the best union on validation images, the first of several."""
    suite: Name
    """The union's attacks, at the radii of the training: a name of `evaluation`; not read for the last epoch."""
    every: Positive
    """Epochs from one look to the next; the last epoch is looked at too; not read for the last epoch."""

    @property
    def best(self) -> bool:
        """Whether epochs are compared."""
        return self.epoch == "best"

    def due(self, done: int, epochs: int) -> bool:
        """Whether the classifier is looked at after so many epochs of a training's."""
        return self.best and (done % self.every == 0 or done == epochs)


class Semi(Closed):
    """How labelled and pseudo-labelled images are mixed."""

    fraction: Annotated[float, Field(gt=0, lt=1)]
    """Share of pseudo-labelled images in a batch (Carmon et al.: one half)."""
    steps_per_epoch: Positive | None
    """Steps of an epoch; null: as many as with the labelled images alone."""


class Training(Closed):
    """One training: model, budget, optimizer, attacks."""

    model: str
    """Classifier, such as wrn_28_10 (depth 28, width 10), or package.module:function of one's own."""
    epochs: Positive
    """Passes over the labelled training images."""
    steps_per_epoch: Positive | None
    """Steps of an epoch; null: images / batch_size, rounded up."""
    batch_size: Positive
    """Images in a batch; every batch is full."""
    schedule: Schedule
    """Learning rate over the epochs."""
    momentum: Annotated[float, Field(ge=0, lt=1)]
    """Momentum of SGD."""
    weight_decay: Annotated[float, Field(ge=0)]
    """Weight decay of SGD."""
    weight_decay_on: Literal["all", "weights"]
    """all: on every parameter; weights: on those of convolutions and matrices, not on batch norms and biases."""
    additional_share: Share
    """Share of a batch that comes from `data.<data set>.additional`, the rest from its own images; 0: none."""
    augment: list[Literal["crop", "flip"]]
    """crop: random crop after zero-padding by `pad`; flip: horizontal, with probability one half."""
    pad: Annotated[int, Field(ge=0)]
    """Pixels of padding for `crop`."""
    precision: Precision
    """Of the classifier's matrix products, by device; weights, losses and attacks' arithmetic are float32."""
    layout: Literal["channels_last", "contiguous"]
    """Memory format of images and weights: what is faster depends on the machine; `mngac tune` measures."""
    compile: bool
    """true: the forward pass goes through torch.compile, if there is a compiler; `mngac tune` measures."""
    profile: Name
    """Radii that training attacks use: a name of `radii`."""
    attack: TrainingAttacks
    """What adversarial images are made with, unless a method's entry states `step_sizes` of its own."""
    average: Average | None
    """Averaged weights, which are then monitored, selected and kept in the classifier's place; null: none."""
    select: Select
    """The last epoch's classifier is kept, or the best one's."""
    monitor: Monitor
    """What the log of each epoch measures."""
    semi: Semi
    """Batches of `run.semi_methods`; not read by the others."""

    def parts(self, *, semi: bool) -> dict[str, int]:
        """Images of a batch by their source: `train`, and those beside it, `unlabelled` where `semi`, `additional`."""
        beside = {"unlabelled": self.semi.fraction if semi else 0.0, "additional": self.additional_share}
        counts = {name: round(self.batch_size * share) for name, share in beside.items()}
        return {"train": self.batch_size - sum(counts.values()), **counts}

    def read_on(self, device: str) -> dict[str, Any]:
        """The values that a training reads: of precisions the device's own alone, but where that is still `auto`."""
        stated = {**self.model_dump(), "attack": self.attack.resolved()}
        if not self.select.best:
            del stated["select"]
        return stated if device == "auto" else {**stated, "precision": self.precision.on(device)}


TrainingOverride = partial(Training, base=Heir)
"""What a data set states in place of `training.default`."""
OwnTraining = partial(Training, "OwnTraining")
"""What a method's entry states in place of its data set's training."""


class Trainings(BaseModel):
    """`default`, and what each data set overrides."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, use_attribute_docstrings=True)
    default: Training
    """What holds for every data set without an override."""
    __pydantic_extra__: dict[str, TrainingOverride]  # type: ignore[valid-type]

    def of(self, dataset: str, own: BaseModel | None = None) -> Training:
        """`default`, over it what the data set states, over that what a method's entry does."""
        values = self.default.model_dump()
        for over in ((self.__pydantic_extra__ or {}).get(dataset), own):
            if over is not None:
                values = merged(values, over.model_dump(exclude_unset=True))
        return Training.model_validate(values)
