"""ftgen: declarative fine-tuning jobs for Volcano."""
