"""What a tournament comes to: from sealed verdicts and answers to standings, tables and training data.

`ballots` reads all that rating needs into columns; `standing` rates and `standing_rows` writes it down. `contests`
streams the tables side by side, an instruction at a time; `training` picks the training rows; `tables` holds the
schemas that users see. The stages `rate` and `dataset` join these.
"""
