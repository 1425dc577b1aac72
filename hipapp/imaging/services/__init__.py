"""Writes of imaging, by subject: uploads, studies, scores, reviews."""
