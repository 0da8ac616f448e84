"""heatpose beside the papers' own code, link by link: reference arrays, what heatpose gives, how far they are apart.

`python -m benchmarks.parity` prints the table; `reference/` holds a small set of reference arrays, and a folder of
more can be given. One module a link: geometry, crops, targets,
decode, losses, scores, networks, whole_runs.
"""
