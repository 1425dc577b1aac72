"""The words of the questionnaires: BASDAI items and the answers of the Harris hip score with their points."""

BASDAI_QUESTIONS = {
    "basdai_q1": "1 Fatigue, tiredness",
    "basdai_q2": "2 Neck, back or hip pain",
    "basdai_q3": "3 Pain or swelling of other joints",
    "basdai_q4": "4 Tender areas",
    "basdai_q5": "5 Morning stiffness, level",
    "basdai_q6": "6 Morning stiffness, duration",
}

# Harris WH. J Bone Joint Surg Am 1969;51:737. Answers of one item that give the same points stand in one line.
HARRIS_ANSWERS: dict[str, tuple[tuple[int, str], ...]] = {
    "pain": (
        (44, "None, or ignores it"),
        (40, "Slight, occasional"),
        (30, "Mild"),
        (20, "Moderate"),
        (10, "Marked"),
        (0, "Totally disabled"),
    ),
    "limp": ((11, "None"), (8, "Slight"), (5, "Moderate"), (0, "Severe, or can't walk")),
    "support": (
        (11, "None"),
        (7, "Cane for long walks"),
        (5, "Cane most of the time"),
        (3, "One crutch"),
        (2, "Two canes"),
        (0, "Two crutches, or can't walk"),
    ),
    "distance": (
        (11, "Unlimited"),
        (8, "Six blocks, 30 min"),
        (5, "Two or three blocks, 10–15 min"),
        (2, "Indoors only"),
        (0, "Bed and chair"),
    ),
    "stairs": ((4, "Normally, no railing"), (2, "With railing"), (1, "In any manner"), (0, "Unable")),
    "shoes": ((4, "With ease"), (2, "With difficulty"), (0, "Unable")),
    "sitting": ((5, "Ordinary chair, 1 h"), (3, "High chair, 30 min"), (0, "Unable")),
    "transport": ((1, "Able"), (0, "Unable")),
}

HARRIS_LABELS = {
    "pain": "Pain",
    "limp": "Limp",
    "support": "Support",
    "distance": "Distance walked",
    "stairs": "Stairs",
    "shoes": "Shoes and socks",
    "sitting": "Sitting",
    "transport": "Public transport",
    "fixed_flexion_under_30": "Fixed flexion < 30°",
    "fixed_adduction_under_10": "Fixed adduction < 10°",
    "fixed_internal_rotation_under_10": "Fixed internal rotation < 10°",
    "leg_difference_under_3_2_cm": "Leg length difference < 3.2 cm",
    "flexion_deg": "Flexion, °",
    "abduction_deg": "Abduction, °",
    "external_rotation_deg": "External rotation, °",
    "adduction_deg": "Adduction, °",
}


def answer_of(item: str, points: int | None) -> str:
    """The words of an answer; empty where nothing was answered."""
    return next((words for given, words in HARRIS_ANSWERS[item] if given == points), "")
