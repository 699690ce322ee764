"""What "99.99 % sure" means at a door: strangers let in as people are added, with a fixed τ and one that follows."""

from mien.faces import load_calibration

calibration = load_calibration("sface")
fixed = calibration.threshold_for_fmr(1e-4)
print(f"τ {fixed:.3f} takes at most one stranger in 10,000 for a given person.")
for people in (1, 10, 100, 1000):
    rate = calibration.fpir(fixed, people)
    follows = calibration.threshold_for_fpir(1e-3, people)
    print(f"{people:>5} people: {100 * rate.value:.3g} % of strangers are let in; for 0.1 %, τ has to be {follows:.3f}")
