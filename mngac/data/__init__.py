"""Data sets as one verified tensor file each, and batches made from it on the device."""
