"""What the launchers make on a fresh machine."""

from hipapp.core import embedded


def test_secrets_are_made_once_and_private(tmp_path, monkeypatch):
    monkeypatch.setenv("HIPAPP_VAR", str(tmp_path))
    embedded.prepare(database=False)
    path = tmp_path / "secrets" / "HIPAPP_SECRET_KEY"
    first = path.read_text()
    assert len(first) > 50
    assert path.stat().st_mode & 0o077 == 0
    embedded.prepare(database=False)
    assert path.read_text() == first


def test_production_makes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("HIPAPP_VAR", str(tmp_path / "var"))
    monkeypatch.setenv("HIPAPP_PRODUCTION", "1")
    embedded.prepare()
    assert not (tmp_path / "var").exists()
