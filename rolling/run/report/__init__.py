"""The report of a run: `page.write_report` writes it, `pictures.poster` draws a figure for documents."""
