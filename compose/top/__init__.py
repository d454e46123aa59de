"""`make top`: what happens now, on one screen of 80 by 24, once a second."""
