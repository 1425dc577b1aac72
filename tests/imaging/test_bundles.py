"""Bundles from outside: only JSON and safetensors with the named hashes and finite numbers get in."""

import pickle
import struct
import warnings
import zipfile
from io import BytesIO

import numpy as np
import pytest

from hipapp.imaging import bundles
from hipapp.imaging.bundles import BundleRefusedError, read_bundle
from tests.imaging.bundles import calibrated, contents, weights, write_bundle, zipped


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (pytest.fail, ("a pickle was loaded",))


def refused(source, match):
    with pytest.raises(BundleRefusedError, match=match) as caught:
        read_bundle(source)
    assert len(caught.value.message) < 400
    return caught.value.message


def test_the_hash_is_the_one_that_the_bundle_gives_itself():
    from ml.bundle import bundle_hash

    description = {"files": {"unet.safetensors": "a" * 64, "hips.json": "b" * 64}}
    assert bundles.description_hash(description) == bundle_hash(description)


def test_a_folder_a_zip_and_a_zip_of_the_folder_are_the_same_bundle(tmp_path):
    found = [
        read_bundle(write_bundle(tmp_path / "bundle")),
        read_bundle(zipped(contents())),
        read_bundle(zipped(contents(), "bundle/")),
        read_bundle(zipped({**contents(), "__MACOSX/._bundle.json": b"x"})),
    ]
    assert len({bundle.sha256 for bundle in found}) == 1
    assert (found[0].name, found[0].version) == ("unet", "test")
    assert sorted(found[1].files) == ["hips.json", "hips.safetensors", "unet.safetensors"]


def test_the_shipped_bundle_passes():
    from hipapp.imaging.registry import bundle_folder

    assert read_bundle(bundle_folder()).n_bytes < 16_000_000


def test_a_calibration_of_these_weights_is_found():
    assert bundles.calibration_of(read_bundle(zipped(calibrated(contents()))).description)["n_hips"] == 77
    assert bundles.calibration_of(read_bundle(zipped(contents())).description) is None
    assert bundles.calibration_of(read_bundle(zipped(calibrated(contents(), unet_sha256="0" * 64))).description) is None


@pytest.mark.parametrize(
    "changes",
    [
        *({"weights": [1, 2]}, {"weights": [1, 2, 3, "4"]}, {"weights": 4}, {"factor": None}, {"factor": -1}),
        *({"factor": 10**400}, {"level": 1.5}, {"n_hips": "many"}, {"more": 1}),
    ],
)
def test_a_calibration_that_no_interval_could_be_made_with_is_refused(changes):
    refused(zipped(calibrated(contents(), **changes)), "calibration.*ml interval")


@pytest.mark.parametrize("interval", [None, 5, [], {}, {"calibration": 5}, {"calibration": {}}])
def test_an_interval_that_says_nothing_is_no_calibration(interval):
    assert bundles.calibration_of(read_bundle(zipped(contents(interval=interval))).description) is None


@pytest.mark.parametrize("name", ["weights.pt", "weights.pkl", "pytorch_model.bin", "run.py", "bundle.json.exe"])
def test_other_files_are_not_taken(name):
    refused(zipped({**contents(), name: pickle.dumps(Bomb())}), f"{name} is neither")


def test_a_pickle_called_safetensors_is_refused_unread():
    refused(zipped(contents(**{"unet.safetensors": pickle.dumps(Bomb())})), "not in the safetensors format")


@pytest.mark.parametrize("name", ["../evil.json", "/etc/evil.json", "sub/evil.json", "..\\evil.json", ".hidden.json"])
def test_no_file_lies_outside_the_folder(name):
    refused(zipped({**contents(), name: b"{}"}), "lies outside the bundle's one folder")


def test_a_zip_whose_one_folder_is_the_parent_is_refused():
    refused(zipped(contents(), "../"), "lies outside")


def test_a_link_is_refused():
    buffer = zipped(contents())
    with zipfile.ZipFile(buffer, "a") as archive:
        entry = zipfile.ZipInfo("link.json")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    buffer.seek(0)
    refused(buffer, "is a link")


def test_a_name_that_is_there_twice_is_refused():
    buffer = zipped(contents())
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("hips.json", b"{}")
    buffer.seek(0)
    refused(buffer, "twice")


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + b"\0" * 40])
def test_what_is_no_zip_is_refused(content):
    refused(BytesIO(content), "no zip file")


def test_a_damaged_zip_is_refused():
    whole = zipped(contents()).getvalue()
    damaged = bytearray(whole)
    damaged[60:90] = bytes(30)
    refused(BytesIO(bytes(damaged)), "no zip file|SHA-256 differs|not valid JSON")


def test_a_bundle_that_unpacks_to_more_than_may_be_is_refused(monkeypatch):
    monkeypatch.setattr(bundles, "MAX_BYTES", 100_000)
    refused(zipped({**contents(), "zeros.safetensors": bytes(200_000)}), "MB together")


def test_a_zip_that_lies_about_its_sizes_is_refused(monkeypatch):
    monkeypatch.setattr(bundles, "MAX_BYTES", 100_000)
    content = zipped({**contents(), "zeros.safetensors": bytes(200_000)}).getvalue()
    lying = content.replace(struct.pack("<L", 200_000), struct.pack("<L", 10))
    assert lying != content
    refused(BytesIO(lying), "MB together|no zip file|SHA-256 differs|not named")


def test_too_many_files_are_refused():
    refused(zipped({**contents(), **{f"part{n}.json": b"{}" for n in range(40)}}), "more than 32 files")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_weights_that_are_no_numbers_are_refused(value, kind):
    broken = weights(**{"head.weight": np.array([[1.0, value]], kind)})
    refused(zipped(contents(**{"unet.safetensors": broken})), "no finite numbers, in head.weight")


def test_bfloat16_weights_that_are_no_numbers_are_refused():
    def file_of(bits):
        header = b'{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'
        return struct.pack("<Q", len(header)) + header + struct.pack("<2H", 0x3F80, bits)

    assert read_bundle(zipped(contents(**{"unet.safetensors": file_of(0x3F80)})))
    refused(zipped(contents(**{"unet.safetensors": file_of(0x7FC0)})), "no finite numbers")


@pytest.mark.parametrize("header", [2**63, 2**40, 10**6])
def test_a_header_longer_than_its_file_is_refused(header):
    refused(zipped(contents(**{"unet.safetensors": struct.pack("<Q", header) + b"{}"})), "not in the safetensors format")


def test_a_file_that_is_not_the_one_described_is_refused():
    refused(zipped({**contents(), "unet.safetensors": weights(9)}), "SHA-256 differs")


def test_files_and_description_must_name_the_same():
    files = contents()
    refused(zipped({**files, "more.json": b"{}"}), "more.json is not named")
    refused(zipped({name: files[name] for name in files if name != "hips.json"}), "hips.json is named")
    refused(zipped({name: files[name] for name in files if name != "bundle.json"}), "no bundle.json")
    refused(zipped(contents(files={})), "names no files")
    refused(zipped(contents(files={"hips.json": "x", "hips.safetensors": "x", "unet.safetensors": "x"})), "no SHA-256")


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": 5},
        {"name": "<script>"},
        {"name": "a" * 41},
        {"version": None},
        {"version": "1\n2"},
        {"version": ["1"]},
    ],
)
def test_a_name_that_could_not_be_shown_is_refused(values):
    refused(zipped(contents(**values)), "at most 40 letters")


@pytest.mark.parametrize(
    "text", [b"", b"[]", b"{", b'{"a": NaN}', b'{"a": 1e999}', b"\xff\xfe", b"[" * 100_000, b'{"a": "\\u0000"}']
)
def test_a_description_that_is_no_plain_json_is_refused(text):
    refused(zipped({**contents(), "bundle.json": text}), "JSON|null character")
    refused(zipped(contents(**{"hips.json": text})), "JSON|null character")


def test_a_description_of_many_megabytes_is_refused():
    refused(zipped({**contents(), "bundle.json": b" " * (5 * 2**20)}), "larger than")


@pytest.mark.parametrize("chosen", [{"base": 10**9}, {"base": -(10**6)}, {"widths": [16, [10**7]]}, {"deep": {"er": 1e9}}])
def test_settings_that_would_take_all_memory_are_refused(chosen):
    refused(zipped(contents(unet={"settings": chosen})), "more than 4096")


def test_a_folder_may_hold_subfolders_which_are_left_alone(tmp_path):
    folder = write_bundle(tmp_path / "bundle")
    (folder / "curves").mkdir()
    assert read_bundle(folder).version == "test"
    (folder / "last.pt").write_bytes(pickle.dumps(Bomb()))
    refused(folder, "last.pt is neither")
