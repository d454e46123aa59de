"""From a bundle to judged numbers: guards, statistics, the four answers."""
