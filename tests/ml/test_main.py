"""`python -m ml`: every command that is named is there, and imports nothing before it is asked for."""

import subprocess
import sys
from importlib import import_module

import pytest

from ml import __main__ as entry
from ml import bundle


@pytest.mark.parametrize("name", entry.COMMANDS)
def test_each_command_has_a_module_with_help(name, capsys):
    with pytest.raises(SystemExit) as ended:
        import_module(entry.COMMANDS[name][0]).command(["--help"])
    assert ended.value.code == 0
    assert "usage" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["nonsense"]])
def test_an_unknown_command_is_answered_with_the_known_ones(arguments, capsys):
    assert entry.main(arguments) == 2
    assert "score" in capsys.readouterr().err


def test_naming_the_commands_imports_no_torch():
    code = "import sys, ml.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_seal_prints_the_hash_of_the_bundle(tmp_path, capsys):
    (tmp_path / "bundle.json").write_text('{"name": "unet", "version": "1"}')
    (tmp_path / "hips.json").write_text("{}")
    assert entry.main(["seal", str(tmp_path)]) == 0
    assert capsys.readouterr().out.strip() == bundle.bundle_hash(bundle.describe(tmp_path))


def test_seal_names_a_bundle(tmp_path, capsys):
    (tmp_path / "bundle.json").write_text('{"name": "ensemble", "version": "1", "other": 2}')
    assert entry.main(["seal", str(tmp_path), "--name", "unet", "--version", "4"]) == 0
    about = bundle.describe(tmp_path)
    assert (about["name"], about["version"], about["other"]) == ("unet", "4", 2)
    assert entry.main(["seal", str(tmp_path), "--version", " "]) == 2
    assert entry.main(["seal", str(tmp_path / "nothing")]) == 2
    assert "is no bundle" in capsys.readouterr().err
    assert bundle.describe(tmp_path) == about
