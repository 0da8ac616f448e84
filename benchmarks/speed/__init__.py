"""How fast heatpose is beside a plain per-sample, per-joint path, the way the papers' code works."""
