"""HEALTH, SIMULATED: a made-up survey in the form of the paper's NHANES I table, with known causes of death.

13,442 people, 35 variables, 118 features. The people are the same for every seed; the split follows the seed.
Of the 35 variables six cause death within 15 years; the others are only correlated with them.
"""

import functools

import numpy as np
import pandas as pd
from scipy.special import expit
from scipy.stats import norm

from attrpriors.data import Dataset, Provenance
from attrpriors.data.survey import replicate

POPULATION = 1906_10670  # seeds the people
CAUSES = ("age", "sex", "systolic_pressure", "albumin", "smoking", "physical_activity")

# continuous: mean, standard deviation; a column of its own says who was not measured
MEASUREMENTS = {
    "systolic_pressure": (134.0, 24.0),
    "pulse_pressure": (51.0, 17.0),
    "weight": (71.0, 15.0),
    "height": (167.0, 9.5),
}
# skewed: median, standard deviation of the logarithm; two columns say why a value is missing
LABS = {
    "albumin": (4.35, 0.08),
    "alkaline_phosphatase": (4.0, 0.4),
    "basophils": (0.6, 0.7),
    "bilirubin": (0.5, 0.45),
    "calcium": (9.6, 0.05),
    "cholesterol": (215.0, 0.22),
    "creatinine": (1.0, 0.25),
    "eosinophils": (2.4, 0.7),
    "hematocrit": (42.0, 0.1),
    "hemoglobin": (14.2, 0.1),
    "lymphocytes": (33.0, 0.28),
    "potassium": (4.1, 0.1),
    "protein": (7.1, 0.07),
    "red_blood_cells": (4.8, 0.11),
    "sedimentation_rate": (13.0, 0.7),
    "sodium": (140.0, 0.02),
    "uric_acid": (5.3, 0.28),
    "white_blood_cells": (7.2, 0.27),
}
# levels and their shares; the levels cut one correlated normal score, from its low to its high end
DIPSTICK = {"negative": 0.80, "trace": 0.10, "30": 0.05, "100": 0.03, "300": 0.015, "1000": 0.005}
LEVELS = {
    "smoking": {"never": 0.42, "former": 0.22, "light": 0.21, "heavy": 0.15},
    "physical_activity": {"much": 0.40, "moderate": 0.42, "little": 0.18},
    "race": {"a": 0.82, "b": 0.16, "c": 0.02},
    "region": {"a": 0.30, "b": 0.25, "c": 0.22, "d": 0.15, "e": 0.08},
    "education": {"none": 0.05, "primary": 0.30, "secondary": 0.40, "college": 0.18, "graduate": 0.07},
    "marital": {"married": 0.70, "single": 0.10, "widowed": 0.10, "divorced": 0.07, "separated": 0.03},
    "occupation": {"a": 0.40, "b": 0.25, "c": 0.20, "d": 0.10, "e": 0.05},
    "urine_albumin": DIPSTICK,
    "urine_glucose": DIPSTICK,
    "urine_blood": DIPSTICK,
    "urine_ketones": DIPSTICK,
}


@functools.lru_cache(maxsize=1)  # members of an ensemble ask for one replicate after the other
def load(seed: int, train: int = 100, validation: int = 100, people: int = 13442) -> Dataset:
    """Replicate `seed` of the simulated survey: y is 1 for a death within 15 years (about one in four)."""
    if people < 1:
        raise ValueError(f"people is {people}: expected 1 or more")
    table, death = population(people)
    return replicate(
        table,
        death,
        seed=seed,
        train=train,
        validation=validation,
        provenance=Provenance("NHANES I mortality", stand_in="simulated"),
        name="health_simulated",
        causes=CAUSES,
    )


@functools.lru_cache(maxsize=1)
def population(people: int) -> tuple[pd.DataFrame, np.ndarray]:
    """Answers (people, 118), NaN where missing, and deaths (people,), the same people each time."""
    draws = np.random.default_rng(POPULATION)
    score = scores(people, draws)
    value = values(score)
    death = draws.random(people) < risk(value)
    return answers(value, score, draws), death.astype(np.float64)


def scores(people: int, draws: np.random.Generator) -> pd.DataFrame:
    """Standard normal scores (people, 35); 70 % of the variance of each comes from six common factors.

    The first factor is three times as strong as the others, so that many answers tell something of one's age.
    """
    variables = ["age", "sex", *MEASUREMENTS, *LABS, *LEVELS]
    loadings = draws.normal(size=(6, len(variables)))
    loadings[0] *= 3
    loadings /= np.linalg.norm(loadings, axis=0)
    common = draws.normal(size=(people, 6)) @ loadings
    own = draws.normal(size=(people, len(variables)))
    return pd.DataFrame(np.sqrt(0.7) * common + np.sqrt(0.3) * own, columns=variables)


def values(score: pd.DataFrame) -> dict[str, np.ndarray]:
    """What is true of each person: age in years, sex (1 female), measured values, number of the level."""
    z = {variable: score[variable].to_numpy() for variable in score}
    value = {"age": np.floor(25 + 50 * norm.cdf(z["age"])), "sex": (z["sex"] > 0).astype(np.float64)}
    value |= {name: mean + sd * z[name] for name, (mean, sd) in MEASUREMENTS.items()}
    value |= {name: median * np.exp(sd * z[name]) for name, (median, sd) in LABS.items()}
    for name, shares in LEVELS.items():
        value[name] = np.searchsorted(norm.ppf(np.cumsum([*shares.values()])[:-1]), z[name])
    return value


def risk(value: dict[str, np.ndarray]) -> np.ndarray:
    """Probability of death within 15 years, 1 - exp(-cumulative hazard), from CAUSES alone.

    Age is exponential; blood pressure, albumin and inactivity act beyond a threshold; smoking kills the young
    relatively more, inactivity only the old. The sizes were chosen for a plain network to reach about the paper's
    ROC-AUC (0.71) from 100 people.
    """
    age = value["age"]
    log_hazard = (
        -2.6
        + 0.13 * (age - 50)
        - 0.5 * value["sex"]
        + 0.015 * np.maximum(value["systolic_pressure"] - 140, 0)
        + 0.9 * (value["albumin"] < 4.0)
        + 0.4 * value["smoking"] * (age < 65)
        + 1.0 * (value["physical_activity"] == 2) * (age >= 55)
    )
    return 1 - np.exp(-np.exp(log_hazard))


def answers(value: dict[str, np.ndarray], score: pd.DataFrame, draws: np.random.Generator) -> pd.DataFrame:
    """The 118 columns. The old, and those with a high value, are measured less often."""

    def missing(variable: str) -> np.ndarray:
        odds = 0.6 * score["age"].to_numpy() + 0.4 * score[variable].to_numpy() - 3.6
        return draws.random(len(score)) < expit(odds)

    columns = {"age": value["age"], "sex=female": value["sex"]}
    for variable in MEASUREMENTS:
        blank = missing(variable)
        columns[variable] = np.where(blank, np.nan, value[variable])
        columns[f"{variable}=blank"] = blank
    for variable in LABS:
        blank, refused = missing(variable), draws.random(len(score)) < 0.3
        columns[variable] = np.where(blank, np.nan, value[variable])
        columns[f"{variable}=not_done"] = blank & ~refused
        columns[f"{variable}=unacceptable"] = blank & refused
    for variable, shares in LEVELS.items():
        blank = missing(variable)
        for number, level in enumerate(shares):
            columns[f"{variable}={level}"] = np.where(blank, np.nan, value[variable] == number)
    return pd.DataFrame(columns, dtype=np.float64)
