"""Learning rates: the usual ones, ranges to search in, and a warning about unusual ones."""

# For Adam and its relatives, by whether the base is frozen. A new head has far to go; pretrained layers should move little
# (Devlin et al. 2019, app. A.3: 2e-5 to 5e-5). The head over the means of every layer has few weights per feature, all of
# which move from the first step: 3e-4 rather than 1e-3.
USUAL = {True: 1e-3, False: 5e-5}
USUAL_LAYER_MEANS = 3e-4
RANGES = {True: (1e-4, 1e-2), False: (1e-5, 3e-4)}
UNUSUAL = {True: (5e-5, 5e-2), False: (2e-6, 1e-3)}  # outside of these `warning` speaks
LIKE_ADAM = ("adam", "adamw", "nadam", "adamax", "rmsprop", "lamb")


def usual_learning_rate(unfreeze: int | str, pooling: str = "first_token") -> float:
    """Returns the usual learning rate for a freeze depth and the kind of head."""
    return USUAL_LAYER_MEANS if unfreeze == 0 and pooling == "layer_means" else USUAL[unfreeze == 0]


def warning(learning_rate: float, optimizer: str, unfreeze: int | str) -> str | None:
    """Returns why a learning rate may not work, if it is far from the usual for that freeze depth."""
    frozen = unfreeze == 0
    low, high = UNUSUAL[frozen]
    if low <= learning_rate <= high or optimizer not in LIKE_ADAM:
        return None
    small = learning_rate < low
    why = {
        (True, True): "a randomly initialised head moves by about this much per step and barely learns",
        (True, False): "the head's steps are larger than its weights; the loss may oscillate or become NaN",
        (False, True): "the pretrained layers will hardly change",
        (False, False): "the pretrained layers may forget what they know, and accuracy stay at chance",
    }[frozen, small]
    usual = "about 1e-3 is usual for a frozen base" if frozen else "2e-5 to 1e-4 is usual with unfrozen layers"
    return f"A learning rate of {learning_rate:.3g} is very {'small' if small else 'large'} here: {why}; {usual}."
