"""The report: one page that opens without a network.

`inputs` reads what the page shows. The views (`headline`, `leaderboard`, `matrix`, `jury`, `instructions`,
`benchmarks`, `training`, `costs`) turn it into text (`formats`) and geometry (`charts`), and `page` draws them with a
template that escapes everything.
"""
