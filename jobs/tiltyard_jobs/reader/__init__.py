"""The battle reader: a run's battles as pages in a browser, as static pages, or on a terminal.

`source` finds a run's tables, `index` holds their small columns in memory, `lists` chooses and orders battles by them,
`battle` reads the texts of one, a row group at a time. `pages` draws, `server` and `static` deliver.
"""
