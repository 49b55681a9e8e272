"""ftgen: declarative fine-tuning jobs for Volcano."""

__version__ = "0.1.0"
