"""BENCH: what training through attributions costs here, beside what it costs with the code of others.

    python -m attrpriors.bench [--quick] [--grow] [--device cuda] [--authors CHECKOUT]      (make bench)

case: networks and random rows. clock: interleaved timing. steps, attribution, estimators, ensemble, ceiling, growth:
each measures one results/bench/*.csv; formulation, compiled and memory belong to the first two. page: the tables.
"""
