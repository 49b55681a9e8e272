"""What the user configures: composition by Hydra, the options without composing, and the file of pins beside them."""
