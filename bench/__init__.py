"""How fast, how large, how many: in a lab of its own, contenders interleaved, everything counted afterwards."""
