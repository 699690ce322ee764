"""An evaluation as JSON, and as one page that needs no other file and no network.

Faces are people: a report holds rates and counts, and no name, no path and no picture.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien import images
from mien.faces.comparisons import RULE_OF_THIRTY, GroupRates, Identification, OperatingPoint
from mien.faces.evaluate import FolderResult, LfwResult, worst_group
from mien.faces.evaluation_plots import det_plot, distances_plot, roc_plot
from mien.faces.evaluation_text import MARK, NO_EER, eer_errors, interval, rate, searched
from mien.faces.wording import percent
from mien.page import document, headline, illustration, listed, table


def lfw_record(result: LfwResult) -> dict[str, Any]:
    """What `--json` prints of an LFW evaluation; null stands for what one fold, few or failed photos do not allow."""
    return {
        "accuracy": {
            "mean": result.accuracy,
            "standard_error": result.standard_error,
            "interval": list(result.accuracy_interval),
        },
        "eer": result.eer,
        "eer_interval": None if result.eer_interval is None else list(result.eer_interval),
        "fmr_fnmr": [_point_record(point) for point in result.points],
        "threshold": result.threshold,
        "pairs": result.pairs,
        "failures": result.failures,
    }


def folder_record(result: FolderResult) -> dict[str, Any]:
    """What `--json` prints of the evaluation of a folder of people."""
    compared = result.compared
    return {
        "people": result.people,
        "photos": result.photos,
        "failures": result.failures,
        "unreadable": result.unreadable,
        "comparisons": {"genuine": len(compared.genuine), "impostor": compared.total},
        "eer": result.eer,
        "eer_interval": None if result.eer_interval is None else list(result.eer_interval),
        "fmr_fnmr": [_point_record(point) for point in result.points],
        "identification": [_identification_record(row) for row in result.identification],
        "groups": [_group_record(group) for group in result.groups],
        "groups_threshold": result.group_threshold,
        "worst_group": {
            rate: None if (group := worst_group(result.groups, rate)) is None else group.group
            for rate in ("fmr", "fnmr")
        },
    }


def save_report(path: str | Path, page: str, *, force: bool = False) -> Path:
    """Write the page, whole or not at all; OutputError if the file exists (unless `force`) or cannot be written."""
    return images.write_whole(path, lambda file: file.write(page.encode()), force=force)


def lfw_page(result: LfwResult, *, encoder: str) -> str:
    """The report of an LFW evaluation of the encoder of that name."""
    folds = len(result.fold_accuracies)
    chosen = "on the same pairs" if result.optimistic else "on the other folds only"
    error = f" ± {percent(result.standard_error)}" if result.standard_error is not None else ""
    tau = result.threshold
    figures = (
        (f"{percent(result.accuracy, digits=4)}{error}", "accuracy" + (" ± standard error" if error else "")),
        _eer_figure(result),
        (f"{result.failed_pairs:,}", f"of {result.pairs:,} pairs failed for want of a face"),
    )
    body = f"""
<h1>How often two faces are mistaken: LFW</h1>
<p>Encoder {html.escape(encoder)}, {result.pairs:,} pairs of {result.photos:,} photos in {_count(folds, "fold")}; one
face a photo, the one nearest its centre. No photo was left out for its quality.</p>
{headline(figures)}
{_optimistic(result)}
<h2>Strangers let through, and people turned away</h2>
{_points_table(result.points)}
<p>{_points_note(len(result.compared.impostor))}</p>
{_plots(result, tau, f"τ = {tau:.3f}, the folds’ mean", floor=1e-3)}
<h2>Fold by fold</h2>
{_folds_table(result)}
<p>The 95 % interval of the accuracy is {interval(result.accuracy_interval, digits=4)}, by a bootstrap over identities:
people are drawn again, not pairs, because pairs share people.</p>
<h2>Failures</h2>
<p>{_failures(result.without_face, result.unreadable)} The {result.failed_pairs:,} pairs they take part in count as
wrong, at every threshold.</p>
<h2>What this says</h2>
<p>Accuracy is the share of pairs that are told rightly when half of them show one person, with a threshold τ chosen
{chosen}. It serves to compare encoders on the same pairs, and to see that detection and alignment work as they
should.</p>
<h2>What it does not say</h2>
{listed(_LFW_SILENT)}
"""
    return document("Faces: LFW", body)


def folder_page(result: FolderResult, *, encoder: str) -> str:
    """The report of the evaluation of a folder of people, by the encoder of that name."""
    compared = result.compared
    firm = [point for point in result.points if point.firm] or list(result.points[:1])
    tau = firm[-1].threshold if firm else np.inf
    label = f"τ = {tau:.3f}: FMR {percent(firm[-1].fmr)}" if firm else ""
    figures = (
        _eer_figure(result),
        (f"{result.people:,}", f"people on {result.photos:,} photos"),
        (f"{result.failures:,}", "photos failed"),
    )
    floor = min((point.fmr for point in result.points), default=1e-2)
    body = f"""
<h1>How often faces of this folder are mistaken</h1>
<p>Encoder {html.escape(encoder)}; every two photos compared: {len(compared.genuine):,} times one person,
{compared.total:,} times two. One face a photo, the one nearest its centre; none was left out for its quality.</p>
{headline(figures)}
<h2>Strangers let through, and people turned away</h2>
{_points_table(result.points)}
<p>{_points_note(compared.total)} A person of n photos makes n (n - 1) / 2 comparisons of one person, so people with
many photos weigh more in the FNMR.</p>
{_plots(result, tau, label, floor=floor)}
{_identification(result.identification)}
{_groups(result)}
<h2>Failures</h2>
<p>{_failures(result.without_face, result.unreadable)} Each of their comparisons with the same person’s other photos
counts as not recognised, and so does each search with them. They take no part in comparisons of two people, where not
being seen would look like safety.</p>
<h2>What this says</h2>
<p>How this encoder and threshold do on people and photos like these. The FMR is per comparison: at a door with K people
enrolled every stranger is compared K times, which is what the table of searches shows.</p>
<h2>What it does not say</h2>
{listed(_FOLDER_SILENT)}
"""
    return document("Faces: a folder of people", body)


# ---- JSON ------------------------------------------------------------------------------------------------------------


def _point_record(point: OperatingPoint) -> dict[str, Any]:
    """`errors` are the false matches behind the FMR, `misses` the false non-matches behind the FNMR."""
    return {
        "fmr": point.fmr,
        "fmr_interval": list(point.fmr_interval),
        "fnmr": point.fnmr,
        "fnmr_interval": list(point.fnmr_interval),
        "threshold": _number(point.threshold),
        "errors": point.rests_on,
        "misses": point.misses,
        "supported": point.supported,
    }


def _identification_record(row: Identification) -> dict[str, Any]:
    return {
        "people": row.people,
        "threshold_for": {row.kind: row.rate},
        "threshold": _number(row.threshold),
        "fpir": row.fpir,
        "fpir_spread": list(row.fpir_spread),
        "fnir": row.fnir,
        "fnir_spread": list(row.fnir_spread),
        "strangers": row.strangers,
        "mated": row.mated,
    }


def _group_record(group: GroupRates) -> dict[str, Any]:
    return {
        "group": group.group,
        "people": group.people,
        "fmr": group.fmr,
        "fmr_interval": None if group.fmr_interval is None else list(group.fmr_interval),
        "errors": group.false_matches,
        "fnmr": group.fnmr,
        "fnmr_interval": None if group.fnmr_interval is None else list(group.fnmr_interval),
        "misses": group.misses,
    }


def _number(value: float) -> float | None:
    """JSON has no infinity."""
    return value if np.isfinite(value) else None


# ---- the page's parts ------------------------------------------------------------------------------------------------

_LFW_SILENT = (
    "How safe a door is. Half of the pairs are of one person here; at a door a stranger is compared with everybody "
    "enrolled, so what matters is the FMR at far stricter thresholds than this τ. Evaluate a folder of people for "
    "that.",
    "How often photos like yours fail: LFW shows people in the news, most of them adults, men and white, mostly "
    "frontal and well lit. Errors differ between groups of people, often tenfold and more.",
    "What comes of twins, siblings, masks or years between photos; there are hardly any among these pairs.",
    "Whether a living person stands there: a printed photo of somebody scores as they do.",
)
_FOLDER_SILENT = (
    "What happens with people unlike these. Errors differ between groups of people, often tenfold and more.",
    "What comes of relatives: impostors here are chance strangers, and siblings or twins are taken for each other far "
    "more often.",
    "Rates below those printed. They would rest on fewer than three false matches, and are left out for that.",
    "Whether a living person stands there: a printed photo of somebody scores as they do.",
)


def _eer_figure(result: LfwResult | FolderResult) -> tuple[str, str]:
    if result.eer is None or result.eer_interval is None:
        return "–", NO_EER
    ends = result.eer_interval
    return rate(result.eer, ends, eer_errors(result)), f"equal error rate, 95 %: {interval(ends)}"


def _optimistic(result: LfwResult) -> str:
    if not result.optimistic:
        return ""
    return """<p class="warning">This accuracy is optimistic. The file has one fold, so the threshold was chosen on the
very pairs that it is judged on. Use a file with several folds for a figure to quote.</p>"""


def _points_table(points: Sequence[OperatingPoint]) -> str:
    if not points:
        return "<p>There are too few comparisons of two people for any rate.</p>"
    head = (
        "FMR", "95 % interval", "false matches", "threshold τ", "FNMR", "95 % interval", "refusals", "recognised",
    )  # fmt: skip
    rows = [
        (
            f"{percent(p.fmr)}{'' if p.firm else f' {MARK}'}",
            interval(p.fmr_interval),
            f"{p.rests_on:,}",
            f"{p.threshold:.3f}" if np.isfinite(p.threshold) else "none",
            rate(p.fnmr, p.fnmr_interval, p.misses),
            interval(p.fnmr_interval),
            f"{p.misses:,}",
            percent(p.tar, digits=3) if p.misses else f"> {percent(1 - p.fnmr_interval[1], digits=3, toward='down')}",
        )
        for p in points
    ]
    return table(head, rows)


def _points_note(impostors: int) -> str:
    return (
        "FMR: the share of comparisons of two people that match. FNMR: the share of comparisons of one person that do "
        "not. Intervals are of both rates at this threshold, by a bootstrap over identities; without a single error "
        "they end at 3 divided by the number of trials. "
        f"{MARK} rests on fewer than {RULE_OF_THIRTY} errors (false matches among {impostors:,} comparisons of two "
        "people for the FMR, refusals for the FNMR): a first hint, no more."
    )


def _plots(result: LfwResult | FolderResult, tau: float, label: str, *, floor: float) -> str:
    curves = (
        (roc_plot(result.roc, result.points, floor=floor), "ROC: recognised at each FMR; higher is better"),
        (det_plot(result.roc, result.points, floor=floor), "DET: both errors on normal-deviate axes; lower is better"),
    )
    wide = distances_plot(result.compared, tau, label), "Distances, each kind scaled to the same area"
    pair = "".join(illustration(svg, caption) for svg, caption in curves)
    return f'<h2>Curves</h2>\n<div class="pair">{pair}</div>\n<div class="wide">{illustration(*wide)}</div>'


def _folds_table(result: LfwResult) -> str:
    rows = [
        (str(i), percent(accuracy, digits=4), f"{tau:.3f}")
        for i, (accuracy, tau) in enumerate(zip(result.fold_accuracies, result.fold_thresholds, strict=True), 1)
    ]
    return table(("fold", "accuracy", "threshold τ"), rows)


def _identification(rows: Sequence[Identification]) -> str:
    if not rows:
        return "<h2>Searches</h2><p>There are too few people to enrol some and keep others as strangers.</p>"
    kinds = (("fpir", "Threshold set for each K", "FPIR set"), ("fmr", "One threshold for every K", "FMR set"))
    tables = ""
    for kind, title, label in kinds:
        head = (label, "K", "threshold τ", "FPIR", "spread over splits", "FNIR", "spread over splits")
        cells = [
            (
                percent(row.rate),
                f"{row.people:,}",
                f"{row.threshold:.3f}",
                searched(row.fpir, row.strangers),
                interval(row.fpir_spread) if kind == "fmr" else "–",
                searched(row.fnir, row.mated),
                interval(row.fnir_spread),
            )
            for row in sorted(rows, key=lambda row: (-row.rate, row.people))
            if row.kind == kind
        ]
        if cells:
            tables += f"<h3>{title}</h3>{table(head, cells)}"
    return f"""<h2>Searches: is it anybody of the K enrolled?</h2>
{tables}
<p>Half of the people are enrolled with one photo each and searched with another; of the others each searches once as a
stranger ({rows[0].strangers:,} strangers). For a K below the half, the enrolled make as many galleries of K as there
are. Averages over random splits; the spread over splits is the middle 95 % of them, and since all splits are of the
same people it is narrower than an interval for other people. Without an error: less than 3 divided by the searches of
one split. FPIR: the share of strangers who are given a name.
FNIR: the share of enrolled people who are not given theirs.</p>"""


def _groups(result: FolderResult) -> str:
    if not result.groups or result.group_threshold is None:
        return ""
    rows = [
        (
            g.group,
            f"{g.people:,}",
            "–" if g.fmr is None else rate(g.fmr, g.fmr_interval, g.false_matches),
            "–" if g.fmr_interval is None else interval(g.fmr_interval),
            "–" if g.fnmr is None else rate(g.fnmr, g.fnmr_interval, g.misses),
            "–" if g.fnmr_interval is None else interval(g.fnmr_interval),
        )
        for g in result.groups
    ]
    worst = [
        f"the highest {rate.upper()} is that of {html.escape(group.group)}"
        for rate in ("fmr", "fnmr")
        if (group := worst_group(result.groups, rate)) is not None
    ]
    left = f" {_count(result.ungrouped, 'person is', 'people are')} in no group." if result.ungrouped else ""
    return f"""<h2>Group by group</h2>
{table(("group", "people", "FMR", "95 % interval", "FNMR", "95 % interval"), rows)}
<p>Comparisons within each group, at one threshold for all, τ = {result.group_threshold:.3f}: {"; ".join(worst)}. Look
at the intervals before you call two groups different; {MARK} rests on fewer than {RULE_OF_THIRTY} errors.{left}</p>"""


def _failures(without_face: int, unreadable: int) -> str:
    return (
        f"{_count(without_face, 'photo', 'photos')} without a face that could be found, "
        f"{_count(unreadable, 'file', 'files')} that could not be read."
    )


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
