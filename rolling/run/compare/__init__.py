"""Runs side by side: same training, same forecast starts, scores with intervals, on one page."""
