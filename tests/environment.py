"""Loaded first (`-p tests.environment`): a var/ folder, secrets and an embedded database of this test run's own.

With `HIPAPP_TEST_EXTERNAL=1` the named `DATABASE_URL` and `CELERY_BROKER_URL` are used; without it they are ignored, so that
the suite always runs on the embedded database and broker as well.
"""

import atexit
import os
import shutil
import tempfile
import warnings

IS_EXTERNAL = os.environ.get("HIPAPP_TEST_EXTERNAL") == "1"

worker = os.environ.get("PYTEST_XDIST_WORKER")
if worker and "HIPAPP_TEST_READY" in os.environ and os.environ["HIPAPP_TEST_READY"] != worker:
    # a process of xdist: the database server is the first process's, files and broker are its own
    os.environ["HIPAPP_VAR"] = os.path.join(os.environ["HIPAPP_VAR"], worker)
    os.environ["HIPAPP_TEST_READY"] = worker
    from hipapp.core.embedded import prepare

    prepare()
elif "HIPAPP_TEST_READY" not in os.environ:
    if not IS_EXTERNAL:
        os.environ.pop("DATABASE_URL", None)
        os.environ.pop("CELERY_BROKER_URL", None)
    folder = tempfile.mkdtemp(prefix="hipapp-test-")
    os.chmod(folder, 0o755)  # the embedded server drops root and has to reach its folder
    os.environ["HIPAPP_VAR"] = folder
    os.environ.pop("HIPAPP_PRODUCTION", None)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "hipapp.settings")
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns where XDG_RUNTIME_DIR is unset
        from hipapp.core.embedded import prepare

        prepare()
    os.environ["HIPAPP_TEST_READY"] = "1"
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
