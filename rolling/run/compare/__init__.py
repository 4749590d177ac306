"""Runs side by side: trained alike, forecast from the same starts, scored with intervals, on one page."""
