"""What of a training may be chosen by time alone, measured on the machine at hand: `mngac tune`."""
