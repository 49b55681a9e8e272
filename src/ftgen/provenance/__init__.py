"""Where values come from: their origins in files and overrides, and what depends on them."""
