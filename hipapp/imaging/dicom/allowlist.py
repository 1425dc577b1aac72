"""What may stay in a stored file. An attribute that is not named here is removed (DICOM PS3.15 Annex E, by allow-list)."""

from collections.abc import Callable

from hipapp.imaging.dicom.words import clean_descriptor, clean_manufacturer, clean_model, clean_sequence_name


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Numbers of the image, its place and its acquisition. They stay as they are.
NUMBERS = _words(
    "SamplesPerPixel Rows Columns BitsAllocated BitsStored HighBit PixelRepresentation NumberOfFrames PixelSpacing "
    "PixelAspectRatio ImagePositionPatient ImageOrientationPatient SliceThickness SpacingBetweenSlices SliceLocation "
    "PixelPaddingValue PixelPaddingRangeLimit SmallestImagePixelValue LargestImagePixelValue RescaleIntercept "
    "RescaleSlope WindowCenter WindowWidth LUTDescriptor RepetitionTime EchoTime EffectiveEchoTime InversionTime "
    "InversionTimes FlipAngle EchoNumbers EchoTrainLength RFEchoTrainLength GradientEchoTrainLength NumberOfAverages "
    "MagneticFieldStrength PixelBandwidth PercentSampling PercentPhaseFieldOfView NumberOfPhaseEncodingSteps "
    "AcquisitionMatrix ReconstructionDiameter DiffusionBValue DiffusionGradientOrientation InstanceNumber SeriesNumber "
    "AcquisitionNumber TemporalPositionIdentifier NumberOfTemporalPositions TemporalPositionIndex TriggerTime "
    "InStackPositionNumber DimensionIndexValues DimensionIndexPointer FunctionalGroupPointer FrameAcquisitionNumber "
    "ImagesInAcquisition MRAcquisitionFrequencyEncodingSteps MRAcquisitionPhaseEncodingStepsInPlane "
    "ParallelReductionFactorInPlane LossyImageCompressionRatio FrameAcquisitionDuration"
)

# Of these numbers small ones only: a larger one is no count of slices but may be a record number.
COUNTERS = _words(
    "InstanceNumber SeriesNumber AcquisitionNumber EchoNumbers TemporalPositionIdentifier NumberOfTemporalPositions "
    "TemporalPositionIndex InStackPositionNumber FrameAcquisitionNumber ImagesInAcquisition DimensionIndexValues NumberOfFrames"
)
MAX_COUNTER = 99_999
MAX_NUMBER = 1e6  # of any number that is no pixel value of 32 bits: a birth date written as digits is larger
PIXEL_VALUES = _words(
    "PixelPaddingValue PixelPaddingRangeLimit SmallestImagePixelValue LargestImagePixelValue RescaleIntercept RescaleSlope "
    "WindowCenter WindowWidth LUTDescriptor"
)

# Private attributes of known creators that hold numbers of the acquisition or the scaling: (group, creator) → element → VR.
# They are among the safe private attributes of PS3.15, table E.3.10-1.
SAFE_PRIVATE: dict[tuple[int, str], dict[int, str]] = {
    (0x0019, "SIEMENS MR HEADER"): {0x0C: "IS", 0x0E: "FD", 0x27: "FD"},  # b-value, gradient direction, b-matrix
    (0x2001, "Philips Imaging DD 001"): {0x03: "FL"},  # b-factor
    (0x2005, "Philips MR Imaging DD 001"): {0x0D: "FL", 0x0E: "FL"},  # scale intercept, scale slope
    (0x0043, "GEMS_PARM_01"): {0x39: "IS"},  # b-values
}

# Byte values that are the image itself.
BYTES = frozenset(["PixelData", "LUTData", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"])

# UIDs that name a thing of this patient: replaced, the same way everywhere. UIDs of the standard itself stay.
UIDS = _words(
    "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID DimensionOrganizationUID "
    "ConcatenationUID SOPInstanceUIDOfConcatenationSource"
)

# Sequences that are looked through by the same rules: the functional groups that say where a frame lies and how it was
# made.
SEQUENCES = _words(
    "SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence PlanePositionSequence PlaneOrientationSequence "
    "PixelMeasuresSequence PixelValueTransformationSequence FrameContentSequence FrameVOILUTSequence "
    "FrameAnatomySequence MRImageFrameTypeSequence MRTimingAndRelatedParametersSequence MREchoSequence "
    "MRModifierSequence MRDiffusionSequence DiffusionGradientDirectionSequence MRAveragesSequence "
    "MRFOVGeometrySequence MRImagingModifierSequence TemporalPositionSequence DimensionOrganizationSequence "
    "DimensionIndexSequence ModalityLUTSequence"
)

_YES_NO = frozenset(["YES", "NO"])
_SIDES = frozenset(["R", "L", "B", "U"])
_IMAGE_TYPES = _words(
    "ORIGINAL DERIVED PRIMARY SECONDARY OTHER NONE MIXED M P R I ND NORM DIS2D DIS3D FM FIL MFSPLIT MPR CSAPARALLEL MIP "
    "MNIP SE FFE TSE IR TIR M_SE M_FFE M_IR M_TSE P_SE P_FFE T1 T2 PD STIR W WATER F FAT IP OP IN_PHASE OUT_PHASE OPP_PHASE "
    "FF FAT_FRACTION ADC EPI DIFFUSION TRACEW FA AXIAL CORONAL SAGITTAL LOCALIZER PROTON_DENSITY T2_STAR ADD ADDITION "
    "SUB SUBTRACTION MOCO MEAN COMPOSED COMP_SP FSE GR VFRAME SYNTHETIC"
) | {"CSA MPR", "PROJECTION IMAGE", "T1 MAP", "T2 MAP", "PHASE MAP", "MIN IP", "SCREEN SAVE"}

# Coded strings: values outside the list are dropped (of Image Type: become OTHER, since its places have a meaning).
VOCABULARY: dict[str, frozenset[str]] = {
    "Modality": frozenset(["MR"]),
    "ImageType": _IMAGE_TYPES,
    "FrameType": _IMAGE_TYPES,
    "PhotometricInterpretation": frozenset(["MONOCHROME1", "MONOCHROME2"]),
    "PatientSex": frozenset(["M", "F", "O"]),
    "PatientPosition": _words("HFS HFP HFDR HFDL FFS FFP FFDR FFDL"),
    "BodyPartExamined": _words(
        "HIP PELVIS HIPJOINT FEMUR ABDOMEN ABDOMENPELVIS SIJOINT SPINE LSPINE SSPINE THIGH LEG KNEE PROSTATE BRAIN HEAD "
        "EXTREMITY WHOLEBODY PHANTOM"
    ),
    "Laterality": _SIDES,
    "ImageLaterality": _SIDES,
    "FrameLaterality": _SIDES,
    "ScanningSequence": _words("SE IR GR EP RM"),
    "SequenceVariant": _words("SK MTC SS TRSS SP MP OSP NONE"),
    "ScanOptions": _words(
        "PER RG CG PPG FC PFF PFP SP FS SFS FATSAT FAT_SAT FATSUP SPIR SPAIR PASTA CHESS WE WATER_EXC SAT1 SAT2 SAT IR "
        "FR_GEMS FAST_GEMS FILTERED_GEMS EDR_GEMS ACC_GEMS VB_GEMS SS_GEMS TRF_GEMS IRPREP_GEMS SEQ_GEMS FLEX_GEMS "
        "PROP_GEMS ARC_GEMS ASSET NPW OTHER NONE"
    ),
    "MRAcquisitionType": frozenset(["2D", "3D"]),
    "InPlanePhaseEncodingDirection": _words("ROW COL COLUMN OTHER"),
    "ComplexImageComponent": _words("MAGNITUDE PHASE REAL IMAGINARY MIXED"),
    "AcquisitionContrast": _words(
        "DIFFUSION FLOW_ENCODED FLUID_ATTENUATED PERFUSION PROTON_DENSITY STIR TAGGING T1 T2 T2_STAR TOF UNKNOWN"
    ),
    "PixelPresentation": frozenset(["MONOCHROME", "COLOR", "MIXED", "TRUE_COLOR"]),
    "VolumetricProperties": frozenset(["VOLUME", "SAMPLED", "DISTORTED", "MIXED"]),
    "VolumeBasedCalculationTechnique": _words("NONE MAX_IP MIN_IP VOLUME_RENDER SURFACE_RENDER MPR CURVED_MPR"),
    "EchoPulseSequence": frozenset(["SPIN", "GRADIENT", "BOTH"]),
    "InversionRecovery": _YES_NO,
    "MultipleSpinEcho": _YES_NO,
    "EchoPlanarPulseSequence": _YES_NO,
    "ParallelAcquisition": _YES_NO,
    "SpectrallySelectedSuppression": _words("FAT WATER FAT_AND_WATER SILICON_GEL NONE"),
    "SpectrallySelectedExcitation": frozenset(["WATER", "FAT", "NONE"]),
    "DiffusionDirectionality": _words("DIRECTIONAL BMATRIX ISOTROPIC NONE"),
    "LossyImageCompression": frozenset(["00", "01"]),
    "PresentationLUTShape": frozenset(["IDENTITY", "INVERSE"]),
    "RescaleType": frozenset(["US", "HU", "OD"]),
    "ModalityLUTType": frozenset(["US", "HU", "OD"]),
    "BurnedInAnnotation": _YES_NO,
}

# Free text kept only as known words.
CLEANED: dict[str, Callable[[str], str]] = {
    "SeriesDescription": clean_descriptor,
    "StudyDescription": clean_descriptor,
    "ProtocolName": clean_descriptor,
    "SequenceName": clean_sequence_name,
    "PulseSequenceName": clean_sequence_name,
    "Manufacturer": clean_manufacturer,
    "ManufacturerModelName": clean_model,
    # whether contrast was given decides about fluid; with what is nobody's business here
    "ContrastBolusAgent": lambda text: "" if text.upper() in ("", "NO", "NONE") else "CONTRAST",
    "StackID": lambda text: text if text.isdigit() and len(text) <= 4 else "",
}

# Attributes that an MR image must have, left empty.
EMPTIED = ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID", "PatientBirthDate")

# (code, meaning) of PS3.16 CID 7050 for what is done here. Modified dates are not claimed: stored files have none.
METHODS = (
    ("113100", "Basic Application Confidentiality Profile"),
    ("113105", "Clean Descriptors Option"),
    ("113108", "Retain Patient Characteristics Option"),
)
SAFE_PRIVATE_METHOD = ("113111", "Retain Safe Private Option")  # written where such an attribute was there
METHOD_TEXT = "Allow-list of the hip inflammation application, version 2"
