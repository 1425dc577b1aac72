"""Pages of imaging, by subject: uploads, lists, studies, images."""
