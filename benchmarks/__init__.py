"""What the repository costs, side by side with what one would write by hand: ``make bench``."""
