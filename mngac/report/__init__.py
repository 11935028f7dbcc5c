"""The report: one self-contained page of tables, figures, parameters and provenance."""
