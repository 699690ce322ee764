"""See every step of a painting: size, costs, and a picture now and then."""

import sys

from mien import images, style

photo, out = sys.argv[1:]


def tell(step: style.Iterate) -> None:
    """Print the costs, and keep the picture at the end of each scale."""
    print(f"{step.size} px, step {step.step}: J = {step.total:.4f}, {step.remaining:.0f} s left")
    if step.step == step.steps:
        images.save(f"{out}-{step.size}.png", step.snapshot(), force=True)


style.transfer(photo, "@waves", size=256, callback=tell).save(f"{out}.png", force=True)
