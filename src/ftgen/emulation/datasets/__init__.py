"""Data sets, read as a training would read them: what is dropped, fails or is cut, before a card is held.

    source (files and entry) → rows → columns (the table's types) → forms (an example) → stages (kept, dropped, failed)
            → shards (what order and processes make of it) → verdict

LLaMA-Factory's own loader is the law (its release in conf/trainer/base/llamafactory.yaml): `tests/trainers` compares
verdicts with it on generated data sets.
"""
