"""Enrol colleagues from one photo each, and ask who is at the door.

    python examples/office.py door.jpg Danielle=danielle.jpg Khan=khan.jpg

The gallery lives in a temporary folder, under a key that nobody keeps.
"""

import secrets
import sys
import tempfile
from pathlib import Path

from mien.faces import FacePipeline, Recognizer, load_calibration, open_gallery

door, *people = sys.argv[1:]
pipeline = FacePipeline()
place = Path(tempfile.mkdtemp()) / "office.db"
with open_gallery(place, encoder=pipeline.encoder.name, dimension=128, key=secrets.token_bytes(32)) as gallery:
    office = Recognizer(gallery, pipeline, load_calibration("sface"), audited=False)
    for person in people:
        name, _, photo = person.partition("=")
        office.enrol(name, photo)
    decision = office.identify(door)
print(f"Welcome, {decision.match.person}" if decision.match else f"{decision.verdict}")
print(f"τ {decision.threshold:.3f} for {decision.people} people: at most one stranger in 1,000 is let in")
