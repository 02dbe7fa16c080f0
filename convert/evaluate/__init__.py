"""Evaluates a bundle on a hospital's own labelled crops: tables, plots and one page, research use."""
