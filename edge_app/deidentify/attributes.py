"""Which DICOM attributes a copy keeps: what a viewer needs to show the picture and to measure in it, and no more.

DICOM PS3.15 annex E names what must go (table E.1-1, edition 2026c). A list of what may stay is safer: what nobody
thought of, private or of an edition to come, goes. None of what is kept here has an entry in that table.
"""

from __future__ import annotations

NUMBERS = frozenset(
    """
    SeriesNumber AcquisitionNumber InstanceNumber NumberOfFrames FrameTime FrameTimeVector CineRate
    RecommendedDisplayFrameRate StartTrim StopTrim EffectiveDuration ActualFrameDuration FrameDelay
    PreferredPlaybackSequencing FrameIncrementPointer
    SamplesPerPixel PlanarConfiguration Rows Columns PixelAspectRatio BitsAllocated BitsStored HighBit
    PixelRepresentation SmallestImagePixelValue LargestImagePixelValue UltrasoundColorDataPresent
    RedPaletteColorLookupTableDescriptor GreenPaletteColorLookupTableDescriptor BluePaletteColorLookupTableDescriptor
    PixelSpacing NominalScannedPixelSpacing WindowCenter WindowWidth RescaleIntercept RescaleSlope
    LossyImageCompressionRatio MechanicalIndex BoneThermalIndex CranialThermalIndex SoftTissueThermalIndex
    DepthOfScanField FocusDepth
    RegionSpatialFormat RegionDataType RegionFlags RegionLocationMinX0 RegionLocationMinY0 RegionLocationMaxX1
    RegionLocationMaxY1 ReferencePixelX0 ReferencePixelY0 PhysicalUnitsXDirection PhysicalUnitsYDirection
    ReferencePixelPhysicalValueX ReferencePixelPhysicalValueY PhysicalDeltaX PhysicalDeltaY TransducerFrequency
    PulseRepetitionFrequency DopplerCorrectionAngle SteeringAngle DopplerSampleVolumeXPosition
    DopplerSampleVolumeYPosition TMLinePositionX0 TMLinePositionY0 TMLinePositionX1 TMLinePositionY1
    PixelComponentOrganization PixelComponentMask PixelComponentRangeStart PixelComponentRangeStop
    PixelComponentPhysicalUnits PixelComponentDataType NumberOfTableBreakPoints TableOfXBreakPoints
    TableOfYBreakPoints TableOfPixelValues TableOfParameterValues
    """.split()
)
"""Kept as numbers: each value is read as one and written anew."""

TABLES = frozenset(
    "RedPaletteColorLookupTableData GreenPaletteColorLookupTableData BluePaletteColorLookupTableData".split()
)
"""Kept as they are: colours, as long as their descriptor says."""

TERMS: dict[str, frozenset[str]] = {
    "Modality": frozenset(("US", "OT")),
    "ConversionType": frozenset(("DV", "DI", "DF", "WSD", "SD", "SI", "DRW", "SYN")),
    "PhotometricInterpretation": frozenset(("MONOCHROME1", "MONOCHROME2", "RGB", "PALETTE COLOR")),
    "LossyImageCompression": frozenset(("00", "01")),
    "LossyImageCompressionMethod": frozenset(
        ("ISO_10918_1", "ISO_14495_1", "ISO_15444_1", "ISO_13818_2", "ISO_14496_10", "ISO_23008_2")
    ),
    "Laterality": frozenset(("L", "R")),
    "ImageLaterality": frozenset(("L", "R", "U", "B")),
    "BodyPartExamined": frozenset(
        ("ABDOMEN", "KIDNEY", "RENAL", "BLADDER", "PELVIS", "LIVER", "URETER", "RETROPERITON")
    ),
    "TransducerType": frozenset(
        (
            "SECTOR_PHASED",
            "SECTOR_MECH",
            "SECTOR_ANNULAR",
            "LINEAR",
            "CURVED LINEAR",
            "SINGLE CRYSTAL",
            "SPLIT XTAL CWD",
        )
    ),
    "PresentationLUTShape": frozenset(("IDENTITY", "INVERSE")),
    "VOILUTFunction": frozenset(("LINEAR", "LINEAR_EXACT", "SIGMOID")),
    "RescaleType": frozenset(("US", "OD", "HU")),
}
"""Kept where the value is one of the standard's own terms."""

IMAGE_TYPE = (
    frozenset(("ORIGINAL", "DERIVED")),
    frozenset(("PRIMARY", "SECONDARY")),
    frozenset(
        """ABDOMINAL BREAST CHEST ENDOCAVITARY ENDORECTAL ENDOVAGINAL EPICARDIAL FETAL_HEART GYNECOLOGY INTRACARDIAC
        INTRAOPERATIVE INTRAVASCULAR MUSCULOSKELETAL NEONATAL_HEAD OBSTETRICAL OPHTHALMIC PEDIATRIC PELVIC
        RETROPERITONEAL SCROTAL SMALL_PARTS TEE THYROID TRANSCRANIAL TTE URINARY VASCULAR RENAL""".split()
    ),
)
"""Terms of the values of Image Type (PS3.3 C.8.5.6.1.1); further values go."""

MAKERS = ("Manufacturer", "ManufacturerModelName")
"""Text that is kept unless it holds a word of a person's name or an identifier."""

EMPTY = (
    "PatientBirthDate PatientSex StudyDate StudyTime AccessionNumber ReferringPhysicianName StudyID ContentDate "
    "ContentTime PatientOrientation"
).split()
"""Of type 2 (or 2C) in the modules of an ultrasound image: they stay, without a value."""

NUMBERED = "SeriesNumber InstanceNumber".split()
"""Of type 2 too, and kept where the original has them."""

UIDS = "StudyInstanceUID SeriesInstanceUID SOPInstanceUID".split()
DATES = "StudyDate SeriesDate AcquisitionDate ContentDate AcquisitionDateTime".split()
TIMES = "StudyTime SeriesTime AcquisitionTime ContentTime".split()

IMAGES = {
    "1.2.840.10008.5.1.4.1.1.6.1": "Ultrasound Image",
    "1.2.840.10008.5.1.4.1.1.3.1": "Ultrasound Multi-frame Image",
    "1.2.840.10008.5.1.4.1.1.6": "Ultrasound Image (retired)",
    "1.2.840.10008.5.1.4.1.1.3": "Ultrasound Multi-frame Image (retired)",
    "1.2.840.10008.5.1.4.1.1.7": "Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.7.2": "Multi-frame Grayscale Byte Secondary Capture Image",
    "1.2.840.10008.5.1.4.1.1.7.4": "Multi-frame True Color Secondary Capture Image",
}
"""SOP classes whose pictures can be masked; reports, encapsulated documents and all else are refused."""

METHODS = {
    "profile": ("113100", "Basic Application Confidentiality Profile"),
    "pixels": ("113101", "Clean Pixel Data Option"),
    "dates": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
}
"""DICOM PS3.16 CID 7050."""
