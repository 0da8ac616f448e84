"""Losses between heatmaps and their targets, one idea a file; core/loss.py builds the one of an experiment."""
