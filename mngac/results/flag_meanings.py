"""What each red flag means for the numbers beside it, in a sentence. Loads without torch."""

from __future__ import annotations

MEANINGS = {
    "the classifier is in train mode": "Batch statistics or dropout are at work: this is not the classifier as it is "
    "used.",
    "the classifier is stochastic": "Noise at test time: an attack follows gradients of other draws than it is judged "
    "by. An image counts as correct only where all of several answers agree.",
    "the classifier keeps a state": "It remembers what it was asked before, as one does that counts the test images to "
    "know their labels. An image counts as correct only where all of several answers agree.",
    "the logits of an image depend on its place in the batch": "The order of the images decides, as for one that "
    "remembers labels by index. An image counts as correct only where all of several answers agree.",
    "the logits of an image depend on the other images of its batch": "Nobody knows what one image would get: batch "
    "statistics, or a trick. An image counts as correct only where all of several answers agree.",
    "an image asked for alone gets other logits than in a batch": "It behaves otherwise where it is evaluated in "
    "batches. An image counts as correct only where all of several answers agree.",
    "the logits differ where gradients are asked for": "Attacks ask another classifier than the one that is judged. An "
    "image counts as correct only where all of several answers agree.",
    "the outputs look like probabilities": "A softmax was applied already: losses on logits saturate, and attacks are "
    "weaker than they should be.",
    "some logits are not finite": "An image with such logits counts as wrong.",
    "the logits have no gradient": "Something detaches the logits from the image: attacks with gradients find nothing, "
    "and robust accuracy is overstated.",
    "the gradient to the image is zero": "Something rounds, saturates or detaches: attacks with gradients find nothing "
    "on these images, and robust accuracy is overstated.",
    "the gradient is not that of the logits": "Gradients lead elsewhere than the logits go, as for a detached branch: "
    "attacks with gradients are led astray, and robust accuracy is overstated.",
    "the softmax underflows": "The logits are so far apart, by a temperature or a bonus, that attacks on cross-entropy "
    "stand still. Attacks on logit differences, which the suites have beside it, do not.",
    "the outputs are saturated": "A dead softmax, or answers that are looked up: nothing can be followed from one "
    "image to the next, and robust accuracy is overstated.",
    "the logits do not change with the image's last bits": "The image or the logits are rounded, so that gradients are "
    "masked; attacks that use them find less than there is. Half precision inside, with logits in float32, looks "
    "the same.",
    "the logits jump under a change": "Test images are looked up by exact equality, or noise is drawn from the image: "
    "the clean accuracy is not that of images that nobody has seen.",
    "the logits jump when an image changes by a grey level": "Test images are looked up by their grey levels: the "
    "clean accuracy is not that of images that nobody has seen.",
    "test images withstand": "Test images are remembered with all that lies around them: on images that nobody has "
    "seen, the classifier is as robust as on the held-out ones.",
    "clean accuracy is stated": "What was evaluated is not what the stated number is of; read no other number before "
    "that is explained.",
    "clean accuracy is": "It does not tell the classes apart; robust accuracy means nothing then.",
    "not re-evaluated": "The suite is known to break fewer images than AutoAttack does.",
    "catastrophic overfitting": "The training lost its robustness at some time; its numbers say little of the method.",
    "pgd is": "An attack that watches a training is no measurement.",
}
"""By how a flag begins."""
ELSEWHERE = {
    " broke ": "An attack without gradients did better than those with: a sign of masked gradients, and of a robust "
    "accuracy that is overstated.",
    " broken without gradients only": "An attack without gradients did better than those with: a sign of masked "
    "gradients, and of a robust accuracy that is overstated.",
    " is not standard": "Fewer classes than the attack aims at elsewhere: the number is not comparable to a standard "
    "one.",
    " points more than ": "A stronger attack left more images: its number is overstated.",
}
"""By what a flag holds, where it begins with a name or a number."""


def meaning(flag: str) -> str:
    """What a red flag means; empty for one that is not known, as an older record may hold.

    Args:
        flag: as records have it.
    """
    starts = (text for start, text in MEANINGS.items() if flag.startswith(start))
    return next(starts, next((text for part, text in ELSEWHERE.items() if part in flag), ""))
