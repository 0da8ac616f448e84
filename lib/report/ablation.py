"""Scores over seeds -> mean, spread, verdicts on claims, and the table of an ablation."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from ..config.ablation import Ablation, Cell, Claim
from .tables import markdown_table

Scores = Mapping[int, float]  # seed -> score
SetScores = Mapping[Cell, Mapping[int, Mapping[str, float]]]  # row of the table -> seed -> metrics
SHOWN = ("AP", "Ap .5", "AP .75", "AR")
BORNE_OUT, NOT_BORNE_OUT, CONTRADICTED, OPEN = "borne out", "not borne out", "contradicted", "open"
READING = (
    f"Mean ± sample standard deviation over the seeds. A claim is **{BORNE_OUT}** where the difference of the two "
    f"means is larger than its spread, **{CONTRADICTED}** where it is, the other way round, **{NOT_BORNE_OUT}** where "
    f"it lies within its spread, {OPEN} with fewer than two seeds."
)


def mean_and_spread(values: Sequence[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (n - 1); NaN for what too few values leave undefined.

    >>> mean_and_spread([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    mean = statistics.fmean(values) if values else math.nan
    return mean, statistics.stdev(values) if len(values) > 1 else math.nan


class Verdict(NamedTuple):
    """What a comparison came to: the difference of the means, its spread, the seeds that count, and a word for it."""

    difference: float
    spread: float
    seeds: int
    word: str


def judge(better: Scores, worse: Scores, same_weights: bool) -> Verdict:
    """Whether `better` is above `worse` by more than the spread of their difference, over the seeds that both have.

    Where both are scores of the same weights, the spread is the sample standard deviation of the differences seed by
    seed: what the trainings differ in is in both. Otherwise it is the root of the sum of the two variances.

    >>> judge({0: 0.5, 1: 0.6}, {0: 0.4, 1: 0.51}, same_weights=True).word
    'borne out'
    >>> judge({0: 0.5, 1: 0.6}, {0: 0.4, 1: 0.51}, same_weights=False).word
    'not borne out'
    """
    seeds = sorted(better.keys() & worse.keys())
    ours, others = [better[seed] for seed in seeds], [worse[seed] for seed in seeds]
    (mean, own), (reference, other) = mean_and_spread(ours), mean_and_spread(others)
    differences = [a - b for a, b in zip(ours, others, strict=True)]
    spread = mean_and_spread(differences)[1] if same_weights else math.hypot(own, other)
    return Verdict(mean - reference, spread, len(seeds), _word(mean - reference, spread, len(seeds)))


def _word(difference: float, spread: float, count: int) -> str:
    if count < 2:
        return OPEN
    if abs(difference) <= spread:
        return NOT_BORNE_OUT
    return BORNE_OUT if difference > 0 else CONTRADICTED


def summarise_set(ablation: Ablation, scores: SetScores, keypoints: SetScores = {}) -> dict[str, Any]:  # noqa: B006
    """A set's rows and verdicts as plain values, fit for JSON; None stands where nothing can be said.

    `keypoints` are scores of single keypoints by their names, where there are any.
    """
    return {
        "name": ablation.name,
        "file": str(ablation.path),
        "base": str(ablation.base),
        "seeds": list(ablation.seeds),
        "metric": ablation.metric,
        "rows": [_row(cell, scores.get(cell, {})) for cell in ablation.cells],
        "keypoints": [_row(cell, keypoints[cell]) for cell in ablation.cells if keypoints.get(cell)],
        "claims": [_claim(claim, ablation.metric, scores) for claim in ablation.claims],
    }


def _row(cell: Cell, by_seed: Mapping[int, Mapping[str, float]]) -> dict[str, Any]:
    names = next(iter(by_seed.values()), {})
    values = {name: [metrics[name] for metrics in by_seed.values()] for name in names}
    statistic = {name: mean_and_spread(found) for name, found in values.items() if None not in found}
    return {
        **cell._asdict(),
        "n": len(by_seed),
        "metrics": {name: {"mean": mean, "spread": _or_none(spread)} for name, (mean, spread) in statistic.items()},
    }


def _claim(claim: Claim, metric: str, scores: SetScores) -> dict[str, Any]:
    better, worse = (
        {seed: metrics[metric] for seed, metrics in scores.get(cell, {}).items()}
        for cell in (claim.better, claim.worse)
    )
    verdict = judge(better, worse, claim.better.train == claim.worse.train)
    return {
        "claim": claim.text,
        "expect": f"{claim.better} > {claim.worse}",
        "metric": metric,
        "verdict": verdict.word,
        "difference": _or_none(verdict.difference),
        "spread": _or_none(verdict.spread),
        "n": verdict.seeds,
    }


def set_section(content: Mapping[str, Any]) -> str:
    """What `summarise_set` gives as a section of markdown: the table, and the claims with their verdicts."""
    rows = content["rows"]
    has_tests = any(row["test"] for row in rows)
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    shown = [name for name in SHOWN if name in names] if "AP" in names else names
    places = _places(content["metric"])
    header = ["trained", *["scored"] * has_tests, *shown, "n"]
    cells = [
        [
            row["train"],
            *[row["test"]] * has_tests,
            *(_plus_minus(row["metrics"].get(m), places) for m in shown),
            row["n"],
        ]
        for row in rows
    ]
    seeds = ", ".join(map(str, content["seeds"]))
    claims = [_claim_lines(claim) for claim in content["claims"]]
    return "\n".join(
        [f"## {content['name']}", "", f"{content['base']}, seeds {seeds}", "", markdown_table(header, cells), "",
         *_keypoint_lines(content), *claims]
    )  # fmt: skip


def _keypoint_lines(content: Mapping[str, Any]) -> list[str]:
    """The means of single keypoints, a row for each, a column for each row of the set."""
    rows = content.get("keypoints") or []
    names = list(dict.fromkeys(name for row in rows for name in row["metrics"]))
    if not names:
        return []
    header = [content["metric"], *(str(Cell(row["train"], row["test"])) for row in rows)]
    means = [{name: value["mean"] for name, value in row["metrics"].items()} for row in rows]
    places = _places(content["metric"])
    cells = [[name, *(_number(mean.get(name), places) for mean in means)] for name in names]
    return [markdown_table(header, cells), ""]


def _places(metric: str) -> int:
    """Decimals worth showing: AP goes from 0 to 1, all others are in percent."""
    return 3 if metric.lower().startswith("ap") else 1


def _claim_lines(claim: Mapping[str, Any]) -> str:
    places = _places(claim["metric"])
    numbers = (
        f"{claim['metric']} {_number(claim['difference'], places, '+')}, spread {_number(claim['spread'], places)}"
    )
    return f"- {claim['claim']}\n  {claim['expect']}: **{claim['verdict']}** ({numbers}, n {claim['n']})"


def _plus_minus(value: Mapping[str, Any] | None, places: int) -> str:
    return "-" if value is None else f"{_number(value['mean'], places)} ± {_number(value['spread'], places)}"


def _number(value: float | None, places: int, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.{places}f}"


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value  # JSON has no NaN
