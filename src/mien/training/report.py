"""A study as metrics.json, as PNG plots, and as one page that needs no other file and no network."""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien import images
from mien.page import Html, document, headline, illustration, inline_svg, listed, png, table
from mien.training import plots
from mien.training.evaluate import Classification, Verification
from mien.training.export import Exported
from mien.training.study import Study, figures

PAGE, METRICS = "report.html", "metrics.json"


def save_report(done: Study, exported: Exported, out: Path) -> Path:
    """Write report.html, metrics.json, loss.png, measure.png and roc.png into `out`; return the page's path."""
    numbers = json.dumps(to_dict(done, exported), ensure_ascii=False, indent=1, allow_nan=False)
    _write(out / METRICS, numbers.encode())
    drawn = _figures(done)
    for name, (figure, _) in drawn.items():
        _write(out / f"{name}.png", png(figure()))
    text = page(done, exported, {name: (inline_svg(f(), name, said), said) for name, (f, said) in drawn.items()})
    return _write(out / PAGE, text.encode())


def _write(path: Path, content: bytes) -> Path:
    return images.write_whole(path, lambda file: file.write(content))


def to_dict(done: Study, exported: Exported) -> dict[str, Any]:
    """Everything measured, plain: what `--json` prints."""
    made = done.made
    return {
        "recipe": made.name,
        "stand_in": made.stand_in,
        "data": list(made.sentences),
        "protocol": made.protocol.sentence,
        "options": done.options.to_dict(),
        "seeds": sorted({run.seed for run in done.runs}),
        "network": {
            variant or "network": {name: _spread(*value) for name, value in done.figures(variant).items()}
            for variant in done.variants
        },
        "each": [
            {"variant": j.variant, "seed": j.seed, **{k: _plain(v) for k, v in figures(j.reports).items()}}
            for j in done.judged
        ],
        "baselines": {b.name: {k: _plain(v) for k, v in figures((b.report,)).items()} for b in done.baselines},
        "flattering": None if done.flattering is None else _rounded(figures((done.flattering,))),
        "head": exported.calibration,
        "runs": [
            {
                "name": run.name,
                "ended": run.trained.ended,
                "epochs": len(run.trained.history.rows),
                "seconds": round(run.trained.seconds, 1),
                "validation": None if run.trained.measure is None else run.trained.measure.value,
            }
            for run in done.runs
        ],
        "parameters": sum(row.parameters for row in done.layers),
        "multiply_adds": sum(row.multiply_adds for row in done.layers),
        "encoder": str(exported.checkpoint),
        "notes": [*done.notes, *exported.notes],
    }


def summary(done: Study) -> list[str]:
    """A few lines for a terminal: the main figure of each variant, and of each baseline."""
    lines = []
    for variant in done.variants:
        found = done.figures(variant)
        if found:
            name, value = next(iter(found.items()))
            lines.append(f"{name} {_figure(done, name, value)}  {variant or 'this network'}{_of_seeds(done)}")
    lines += [_baseline_line(b.name, figures((b.report,))) for b in done.baselines]
    return lines


def page(done: Study, exported: Exported, drawn: Mapping[str, tuple[Html, str]]) -> str:
    """The page; `drawn` holds SVGs with their captions."""
    made = done.made
    first = f'<p class="warning">{html.escape(made.sentences[0])}</p>' if made.stand_in else ""
    told = " ".join(made.sentences[1:] if made.stand_in else made.sentences)
    curves = "".join(illustration(svg, said) for svg, said in drawn.values())
    body = f"""
<h1>{_title(done)}</h1>
{first}
<p>{html.escape(told)}</p>
<p>{html.escape(made.protocol.sentence)}</p>
{_headline(done)}
<h2>Beside what needs no network</h2>
{_comparison(done)}
<p>{_judged_note(done)}</p>
{_flattering(done)}
{_classes(done)}
<h2>Curves</h2>
<div class="pair">{curves}</div>
{_head(exported)}
<h2>How it was trained</h2>
{_runs(done)}
{_settings(done)}
{_network(done)}
{_notes(done, exported)}
<h2>What this does not say</h2>
{_silent(done)}
"""
    return document(made.name, body)


# ---- the page's parts ------------------------------------------------------------------------------------------------


def _title(done: Study) -> str:
    asked = {
        "verification": "Is it the same one? Learnt, and judged on unseen ones",
        "one-shot": "Shown once: which one is it?",
        "classification": "Which class is it?",
    }[done.made.protocol.task]
    if done.options.task == "simclr":
        asked = "Learnt without labels"
    return f"{html.escape(done.made.name)}: {asked}"


def _headline(done: Study) -> str:
    variant = done.best.variant
    found = [item for item in done.figures(variant).items() if not item[0].startswith("sensitivity")][:3]
    return headline((_figure(done, name, value), name) for name, value in found) if found else ""


def _comparison(done: Study) -> str:
    names = list(done.figures(done.variants[0]))
    if not names:
        return "<p>Nothing was judged.</p>"
    shown = names[:6]
    rows: list[tuple[str, ...]] = []
    for variant in done.variants:
        found = done.figures(variant)
        label = f"{variant} mining" if variant else "this network"
        rows.append((Html(f"<b>{html.escape(label)}</b>"), *(_cell(_figure(done, n, found[n])) for n in shown)))
    for name, values in _baseline_figures(done).items():
        rows.append((name, *(_shown(n, values[n], None) if n in values else "–" for n in shown)))
    return table(("", *shown), rows)


def _cell(text: str) -> Html:
    """The figure bold, and its deviation small below it: side by side they would make the table too wide."""
    value, sign, deviation = text.partition(" ± ")
    if not sign:
        return Html(f"<b>{text}</b>")
    unit = " %" if deviation.endswith(" %") else ""
    return Html(f"<b>{value}{unit}</b><small>± {deviation}</small>")


def _baseline_figures(done: Study) -> dict[str, dict[str, float]]:
    """One-shot baselines come once for each kind of trial, under one name."""
    found: dict[str, dict[str, float]] = {}
    for baseline in done.baselines:
        found.setdefault(baseline.name, {}).update(figures((baseline.report,)))
    return found


def _judged_note(done: Study) -> str:
    seeds = len({run.seed for run in done.runs})
    if seeds == 1:
        text = "One seed: how much chance moves the figures is not known; <code>--seeds 3</code> shows it. "
    else:
        text = f"Mean ± standard deviation of {seeds} seeds. "
    report = done.judged[0].reports[0] if done.judged and done.judged[0].reports else None
    if isinstance(report, Verification) and report.people <= 2:
        text += "Two identities drawn again are the same two: the EER has no interval. Hold back more people."
    elif isinstance(report, Verification):
        low, high = (100 * end for end in report.interval)
        text += (
            f"Seed {done.judged[0].seed}: the EER’s 95 % interval is {low:.1f} to {high:.1f} %, a bootstrap over the "
            f"{report.people} identities: with so few, whom one judges by matters more than the seed."
        )
    return text


def _flattering(done: Study) -> str:
    if done.flattering is None or not done.judged or not done.judged[0].reports:
        return ""
    right, wrong = figures(done.judged[0].reports), figures((done.flattering,))
    return f"""<p class="warning">A warning, not a result: with beats dealt out at random, so that every patient is on
both sides, the same network reaches a macro-F1 of {wrong["macro-F1"]:.3f} instead of {right["macro-F1"]:.3f}. Much of
what is published is measured so.</p>"""


def _classes(done: Study) -> str:
    report = done.judged[0].reports[0] if done.judged and done.judged[0].reports else None
    if not isinstance(report, Classification):
        return ""
    rows = [
        (name, _percent(s), _percent(p), f"{n:,}")
        for name, s, p, n in zip(
            report.classes, report.sensitivity, report.precision, report.confusion.sum(1), strict=True
        )
    ]
    confusion = [
        (name, *(f"{count:,}" for count in row))
        for name, row in zip(report.classes, report.confusion.tolist(), strict=True)
    ]
    told = (
        f"Seed {done.judged[0].seed}. Macro-F1 goes over {', '.join(report.averaged)}. Always saying the commonest "
        f"class would be right in {100 * report.trivial:.1f} % of cases; this network is in "
        f"{100 * report.accuracy:.1f} %."
    )
    matrix = table(("true \\ said", *report.classes), confusion) if len(report.classes) <= 12 else ""
    return f"""<h2>Class by class</h2>
{table(("class", "sensitivity", "precision", "cases"), rows)}
<p>{html.escape(told)}</p>
{matrix}"""


def _head(exported: Exported) -> str:
    if not exported.calibration:
        return ""
    c = exported.calibration
    return f"""<h2>The pair head</h2>
<p>A logistic unit over what two encodings differ in, fitted after the encoder on {html.escape(c["fitted_on"])}
(head.json). On {c["pairs"]:,} pairs of unseen ones, half of them same: {100 * c["accuracy"]:.1f} % told rightly,
expected calibration error {c["ece"]:.3f}: that far, on average, its probabilities are from the truth.</p>"""


def _runs(done: Study) -> str:
    rows = []
    for run in done.runs:
        t = run.trained
        best = "–" if t.measure is None else f"{t.measure.name} {_shown(t.measure.name, t.measure.value, None)}"
        ended = {"finished": "to its end", "early": "stopped early", "interrupted": "interrupted"}[t.ended]
        rows.append((run.name, str(len(t.history.rows)), ended, best, f"{t.seconds:.0f} s"))
    return table(("run", "epochs", "", "best on the validation part", "time"), rows)


def _settings(done: Study) -> str:
    shown = ", ".join(f"{name.replace('_', ' ')} {_option(value)}" for name, value in done.options.changed().items())
    return f"<p>Settings other than the defaults: {html.escape(shown)}.</p>" if shown else ""


def _network(done: Study) -> str:
    if not done.layers:
        return ""
    parameters, products = (sum(getattr(row, n) for row in done.layers) for n in ("parameters", "multiply_adds"))
    rows = [
        (
            Html(f"<code>{html.escape(r.name)}</code>"),
            r.kind,
            " × ".join(map(str, r.output)),
            f"{r.parameters:,}",
            f"{r.multiply_adds:,}",
        )
        for r in done.layers
        if r.parameters > 0 and not r.kind.startswith("norm")
    ]
    return f"""<p>{parameters:,} parameters; {products:,} multiply-adds for one input, about three times as many for a
training step with it.</p>
<details><summary>Layer by layer</summary>{
        table(("layer", "", "output", "parameters", "multiply-adds"), rows)
    }</details>"""


def _notes(done: Study, exported: Exported) -> str:
    notes = (*done.notes, *exported.notes)
    return f"<h2>Notes</h2>{listed(notes)}" if notes else ""


def _silent(done: Study) -> str:
    points = {
        "verification": (
            "How it does on other cameras, other light, other ages: all examples come from one collection.",
            "How safe a door is. The EER is where both errors are alike; a door wants false matches far rarer.",
        ),
        "one-shot": ("How it does on writing that looks nothing like what was learnt from.",),
        "classification": ("How it does on recordings by other devices, or of people unlike these.",),
    }[done.made.protocol.task]
    return listed(points)


# ---- curves ----------------------------------------------------------------------------------------------------------


def _figures(done: Study) -> dict[str, tuple[Any, str]]:
    """Name of a plot -> a function that draws it, and its caption."""
    drawn: dict[str, tuple[Any, str]] = {}
    loss, active, measured = (_lines(done, what) for what in ("loss", "active", "measure"))
    drawn["loss"] = lambda: plots.over_epochs(loss, label="loss"), "Loss, mean over each epoch"
    if active:
        drawn["active"] = (
            lambda: plots.over_epochs(active, label="active triplets", share=True),
            "Share of anchors (semi-hard: of pairs) that still find a triplet to learn from",
        )
    if measured:
        name = next(row.name for run in done.runs for row in run.trained.history.rows if row.name)
        share = name == "EER"
        drawn["measure"] = (
            lambda: plots.over_epochs(measured, label=name, share=share),
            f"{name} on the validation part: what stops the training",
        )
    curves = _roc_curves(done)
    if curves:
        drawn["roc"] = lambda: plots.roc(curves), "ROC on unseen identities: accepted at each false match rate"
    return drawn


def _lines(done: Study, what: str) -> dict[str, list[list[tuple[int, float]]]]:
    found: dict[str, list[list[tuple[int, float]]]] = {}
    for run in done.runs:
        series = run.trained.history.series(what)
        if series:
            found.setdefault(run.variant or "this network", []).append(series)
    return found


def _roc_curves(done: Study) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for judged in done.judged:
        for report in judged.reports:
            if isinstance(report, Verification):
                found.setdefault(judged.variant or "this network", report.curve)
    plain = [b for b in done.baselines if isinstance(b.report, Verification)]
    for baseline in sorted(plain, key=lambda b: b.report.eer if isinstance(b.report, Verification) else 1.0)[:2]:
        if found and isinstance(baseline.report, Verification):
            found[baseline.name] = baseline.report.curve
    return found


# ---- words and numbers -----------------------------------------------------------------------------------------------


def _shown(name: str, mean: float, deviation: float | None) -> str:
    if math.isnan(mean):
        return "–"
    if name in ("macro-F1", "NT-Xent"):
        return f"{mean:.3f}" + (f" ± {deviation:.3f}" if deviation is not None else "")
    return f"{100 * mean:.1f}" + (f" ± {100 * deviation:.1f}" if deviation is not None else "") + " %"


def _figure(done: Study, name: str, value: tuple[float, float]) -> str:
    """With the deviation over the seeds, where there are several."""
    return _shown(name, value[0], value[1] if len({run.seed for run in done.runs}) > 1 else None)


def _of_seeds(done: Study) -> str:
    seeds = len({run.seed for run in done.runs})
    return f" ({seeds} seeds)" if seeds > 1 else ""


def _baseline_line(name: str, found: Mapping[str, float]) -> str:
    figure, value = next(iter(found.items()))
    return f"{figure} {_shown(figure, value, None)}  {name}"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.1f} %"


def _option(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _plain(value: float) -> float | None:
    """JSON has no NaN."""
    return None if math.isnan(value) else round(float(value), 6)


def _rounded(found: Mapping[str, float]) -> dict[str, float | None]:
    return {name: _plain(value) for name, value in found.items()}


def _spread(mean: float, deviation: float) -> dict[str, float | None]:
    return {"mean": _plain(mean), "deviation": _plain(deviation)}
