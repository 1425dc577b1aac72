"""What each kind of job does, in words, and the page of what it works on."""

TITLES = {
    "imaging.receive": "Read an upload",
    "imaging.settle_study": "Sort a study",
    "imaging.segment_series": "Outline and score a study",
    "imaging.erase": "Erase",
    "imaging.check_model": "Try an imported model",
    "imaging.rescore": "Score a cohort again",
    "jobs.sweep": "Look for lost jobs",
}
PAGES = {
    "study": "imaging:study",
    "upload": "imaging:upload-result",
    "model": "imaging:model",
    "rescoring": "imaging:rescoring",
}
