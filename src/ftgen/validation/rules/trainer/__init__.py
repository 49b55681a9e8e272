"""Rules about the trainer's arguments: against each other, the hardware and the job around them."""
