"""Enrol colleagues from one photo each, and ask who is at the door.

python examples/office.py door.jpg Danielle=danielle.jpg Khan=khan.jpg
"""

import sys
import tempfile
from pathlib import Path

from mien.faces import FacePipeline, Recognizer, load_calibration, open_gallery


def main(door: str, *people: str) -> None:
    pipeline, calibration = FacePipeline(), load_calibration("sface")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "office.db"
        # A key of one's own: nothing is left in the user's config folder.
        key = bytes(range(32))
        with open_gallery(place, encoder=pipeline.encoder.name, dimension=128, key=key) as gallery:
            office = Recognizer(gallery, pipeline, calibration, audited=False)
            for person in people:
                name, _, photo = person.partition("=")
                office.enrol(name, photo)
            decision = office.identify(door)
    print(f"Welcome, {decision.match.person}" if decision.match else decision.verdict)
    print(f"τ {decision.threshold:.3f} for {decision.people} people: one stranger in 1,000 at most is let in")


if __name__ == "__main__":
    main(*sys.argv[1:])
