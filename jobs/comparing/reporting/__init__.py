"""The report of a study: one page that holds its tables, figures, answers and traces."""
