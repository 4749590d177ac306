"""The report of a run: `page.write_report` writes it, `pictures.poster` draws it for a document."""
