"""What comes out of a tournament: tables, standings, training rows, cards, and the run's folder.

Schemas: `stage_tables` (what stages seal for one another), `run_tables` (what a run's folder has), `columns` (what both
are made of). Documents that the last stages pass on: `documents`.

From verdicts to standings: `ballots` reads all that rating needs into columns, `rated` rates, `standings` writes it
down. From answers to data: `answered` streams the tables side by side, an instruction at a time, `contamination` finds
benchmarks in them, `training_rows` picks what is trained on, `dataset_tables` writes. `funnels` and `benchmarks` count;
`dataset_card` and `model_card` describe; `run_folder` puts it all under names that people know. The stages `rate`,
`dataset`, `train` and `report` join these.
"""
