"""Pictures in and out: any file to upright sRGB uint8 (H, W, 3), and back into a file without loss.

    picture = images.load("photo.heic")
    images.save("painting.png", pixels, alpha=picture.alpha, icc=picture.icc, bits=16)

`decoding` reads what a file holds, `loading` makes it upright sRGB, `profiles` converts colours, `pixels` resizes and
meets torch, `png` writes PNG, `saving` writes files whole or not at all.
"""

from mien.images.decoding import ENDINGS
from mien.images.loading import Picture, load, load_mask
from mien.images.pixels import fit, from_tensor, resize, to_tensor, to_uint8
from mien.images.saving import check_writable, read_settings, save, write_whole

__all__ = [
    "ENDINGS",
    "Picture",
    "check_writable",
    "fit",
    "from_tensor",
    "load",
    "load_mask",
    "read_settings",
    "resize",
    "save",
    "to_tensor",
    "to_uint8",
    "write_whole",
]
