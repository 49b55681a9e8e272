"""What the user configures: composition by Hydra, the options without composing, and who set what."""
