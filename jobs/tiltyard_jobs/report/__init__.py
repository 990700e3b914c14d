"""The report: one page that opens without a network, and the run's folder with its manifest.

`inputs` reads what the page shows, the view modules (`headline`, `leaderboard`, `matrix`, `jury`, `instructions`,
`overlap`, `costs`, `samples`) turn it into text and geometry, and `page` draws them with a template that escapes
everything. `run_folder` puts the run's files under names that people know.
"""
