"""Paint one photo in a built-in style: the shortest program there is."""

import sys

from mien import style

photo, out = sys.argv[1:]
style.transfer(photo, "@night", size=512).save(out)
