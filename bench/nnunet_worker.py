"""nnU-Net's side of `bench.nnunet`; runs in its own environment: `python bench/nnunet_worker.py FOLDER STEPS BATCH SLICES`.

FOLDER holds `hips.npz`: `train0`, `test0` … float32 (slice, row, column) and `train0_mask` … uint8 bit planes. Writes
`result.json` and, for each test hip, `test0_found` uint8 bit planes into `found.npz`.
"""

import json
import os
import sys
import time
from pathlib import Path

FOLDER, STEPS, BATCH, N_SPEED = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
for part in ("raw", "preprocessed", "results"):
    os.environ[f"nnUNet_{part}"] = str(FOLDER / part)
    (FOLDER / part).mkdir(exist_ok=True)
os.environ |= {"nnUNet_n_proc_DA": "1", "nnUNet_compile": "f", "nnUNet_def_n_proc": "1"}

import numpy as np  # noqa: E402
import SimpleITK as sitk  # noqa: E402
import torch  # noqa: E402
from nnunetv2.experiment_planning.plan_and_preprocess_api import (  # noqa: E402
    extract_fingerprints,
    plan_experiments,
    preprocess,
)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # noqa: E402
from nnunetv2.training.nnUNetTrainer.variants.data_augmentation.nnUNetTrainerNoMirroring import (  # noqa: E402
    nnUNetTrainerNoMirroring,
)

LEARNING_RATE, DECAY = 1e-2, 0.9  # nnU-Net's own
DATASET, NAME = 1, "Dataset001_hips"
SPACING_MM = (4.0, 0.78125, 0.78125)  # slice, row, column
BITS = {"femur": 1, "femoral_head": 2, "bme": 4, "synovitis": 8}
KINDS = [0, 1, 3, 5, 7, 4, 8, 9, 11]  # the bit patterns that the rules of the labels allow; their places are nnU-Net's integers


class Trainer(nnUNetTrainerNoMirroring):
    """Its trainer; its scheduler class, which PyTorch 2.13 refuses, is replaced by the same rule in `train`."""

    def configure_optimizers(self):
        weights = self.network.parameters()
        return torch.optim.SGD(weights, LEARNING_RATE, weight_decay=self.weight_decay, momentum=0.99, nesterov=True), None


def main() -> None:
    with np.load(FOLDER / "hips.npz") as file:
        hips = {key: file[key] for key in file.files}
    write_raw(hips)
    extract_fingerprints([DATASET], num_processes=1, verbose=False)
    plan_experiments([DATASET])
    plans_path = FOLDER / "preprocessed" / NAME / "nnUNetPlans.json"
    plans = json.loads(plans_path.read_text())
    planned = plans["configurations"]["2d"]["batch_size"]
    plans["configurations"]["2d"]["batch_size"] = BATCH
    plans_path.write_text(json.dumps(plans))
    dataset = json.loads((FOLDER / "raw" / NAME / "dataset.json").read_text())
    if STEPS:
        preprocess([DATASET], configurations=("2d",), num_processes=(1,))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trainer = Trainer(plans, "2d", 0, dataset, device=device)
    trainer.initialize()
    train_s = train(trainer) if STEPS else 0.0
    predictor = predictor_of(trainer, plans, dataset, device)
    speed = speed_of(predictor, hips)
    found = {key: outlines(predictor, hips[key]) for key in hips if key.startswith("test") and not key.endswith("_mask")}
    np.savez(FOLDER / "found.npz", **found)
    result = {
        "patch": plans["configurations"]["2d"]["patch_size"],
        "features": plans["configurations"]["2d"]["architecture"]["arch_kwargs"]["features_per_stage"],
        "planned_batch": planned,
        "parameters": sum(weight.numel() for weight in trainer.network.parameters()),
        "slices_per_s": speed,
        "train_s": train_s,
        "device": str(device),
        "threads": torch.get_num_threads(),
    }
    (FOLDER / "result.json").write_text(json.dumps(result))


def write_raw(hips: dict) -> None:
    """The training hips as nnU-Net's raw data set, with overlapping labels as regions."""
    root = FOLDER / "raw" / NAME
    for sub in ("imagesTr", "labelsTr"):
        (root / sub).mkdir(parents=True, exist_ok=True)
    names = [key for key in hips if key.startswith("train") and not key.endswith("_mask")]
    for name in names:
        integers = np.argmax(hips[f"{name}_mask"][None] == np.array(KINDS)[:, None, None, None], axis=0).astype(np.uint8)
        for array, path in ((hips[name], f"imagesTr/{name}_0000.nii.gz"), (integers, f"labelsTr/{name}.nii.gz")):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing(SPACING_MM[::-1])
            sitk.WriteImage(image, str(root / path))
    regions = {label: [place for place, kind in enumerate(KINDS) if kind & bit] for label, bit in BITS.items()}
    description = {
        "channel_names": {"0": "STIR"},
        "labels": {"background": 0, **regions},
        "regions_class_order": [1, 2, 3, 4],
        "numTraining": len(names),
        "file_ending": ".nii.gz",
    }
    (root / "dataset.json").write_text(json.dumps(description))


def train(trainer: Trainer) -> float:
    """Its data loaders, augmentation and step, STEPS times, with its learning rate's fall; seconds."""
    trainer.do_split = lambda: (keys := sorted(p.stem for p in Path(trainer.preprocessed_dataset_folder).glob("*.npz")), keys[:1])
    trainer.plot_network_architecture = lambda: None
    trainer.on_train_start()
    started = time.perf_counter()
    trainer.network.train()
    for step in range(STEPS):
        trainer.optimizer.param_groups[0]["lr"] = LEARNING_RATE * (1 - step / STEPS) ** DECAY
        trainer.train_step(next(trainer.dataloader_train))
    seconds = time.perf_counter() - started
    for loader in (trainer.dataloader_train, trainer.dataloader_val):
        if hasattr(loader, "_finish"):
            loader._finish()
    trainer.set_deep_supervision_enabled(False)
    return seconds


def predictor_of(trainer: Trainer, plans: dict, dataset: dict, device: torch.device) -> nnUNetPredictor:
    trainer.set_deep_supervision_enabled(False)
    predictor = nnUNetPredictor(use_mirroring=False, device=device, allow_tqdm=False)
    predictor.manual_initialization(
        trainer.network.eval(),
        trainer.plans_manager,
        trainer.configuration_manager,
        [trainer.network.state_dict()],
        dataset,
        "nnUNetTrainerNoMirroring",
        None,
    )
    return predictor


def speed_of(predictor: nnUNetPredictor, hips: dict) -> float:
    """Slices a second from normalised slices to logits, the best of three; reading, cropping and export left out."""
    slices = np.concatenate([value for key, value in hips.items() if not key.endswith("_mask")])[:N_SPEED]
    data = torch.from_numpy((slices - slices.mean()) / slices.std())[None]
    times = []
    for _ in range(3):
        started = time.perf_counter()
        predictor.predict_logits_from_preprocessed_data(data)
        times.append(time.perf_counter() - started)
    return len(slices) / min(times)


def outlines(predictor: nnUNetPredictor, image: np.ndarray) -> np.ndarray:
    """Bit planes of a hip by the whole of its predictor: normalised, cut, predicted, put back."""
    _, shares = predictor.predict_single_npy_array(image[None], {"spacing": list(SPACING_MM)}, None, None, True)
    bits = np.array(list(BITS.values()), np.uint8)[:, None, None, None]
    return ((np.asarray(shares) > 0.5) * bits).sum(axis=0).astype(np.uint8)


if __name__ == "__main__":
    main()
