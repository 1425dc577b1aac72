"""Label maps of the pelvis, and of things that are no hips, painted in random contrast: what the hip finder trains on."""
