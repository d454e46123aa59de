"""From the analysis to what people read."""
