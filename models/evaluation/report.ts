import { calibrationBins } from '../calibrate.ts'
import { type Advice, advise, type Contender, type JudgedContender } from './advice.ts'
import { bar, CHART_STYLE, escapeHtml, lineChart, stepChart } from './charts.ts'
import { type EvaluationOptions, METRIC_NAMES, type MetricName } from './metrics.ts'
import { alertCurve, pointAtAlerts, scoreHistogram, thresholdAtBudget } from './operating-point.ts'
import { type EvaluationRows, rankRows } from './ranking.ts'
import { GENUINE_EVERYWHERE, type SegmentFigures, type Segmentation, segmentFigures } from './segments.ts'

export interface ReportInput {
  readonly title: string
  /** The held-out rows; at least one fraud among them. */
  readonly rows: EvaluationRows
  /** The model that the report is about first, then what it is compared with. */
  readonly contenders: readonly [Contender, ...Contender[]]
  readonly options: EvaluationOptions
  readonly segmentations: readonly Segmentation[]
  /** Lines for the box of facts: spec, days, seed, backend, command. */
  readonly facts: readonly (readonly [name: string, value: string])[]
  /** ISO 4217 code and minor digits of the amounts. */
  readonly currency: { readonly code: string; readonly minorDigits: number }
}

export interface Report {
  /** A page that needs nothing beside itself. */
  readonly html: string
  readonly advice: Advice
}

/**
 * The report that goes with a model: which contender to use, in plain words, then the figures with their intervals, the
 * charts and the parts in which it does well or badly. A pure function of its input.
 */
export function renderReport(input: ReportInput): Report {
  const { rows, options, contenders } = input
  const money = (minorUnits: number) => moneyText(minorUnits, input.currency)
  const advice = advise(rows, contenders, options, money)
  const model = contenders[0]
  const threshold = thresholdAtBudget(rows, model.scores, options.alertsPerDay)
  const sections = [
    `<section class="advice"><h2>Which to use</h2><p>${escapeHtml(advice.text)}</p></section>`,
    section('The contenders', contenderTable(advice.contenders, model.name, money)),
    section('At the same number of alerts', sameAlertsTable(input, money)),
    `<section><h2>Charts</h2><div class="charts">${chartsOf(input).join('')}</div></section>`,
    ...input.segmentations.map((segmentation) =>
      section(
        `By ${segmentation.by}`,
        segmentTable(segmentFigures(rows, model.scores, threshold, segmentation), segmentation),
      ),
    ),
    section('How it was made', factTable(input)),
  ]
  return { advice, html: page(input.title, sections.join('\n')) }
}

const METRIC_WORDS: Readonly<Record<MetricName, { name: string; kind: 'share' | 'number' | 'money' }>> = {
  average_precision: { name: 'Average precision', kind: 'number' },
  roc_auc: { name: 'ROC AUC', kind: 'number' },
  precision_at_budget: { name: 'Precision of alerts', kind: 'share' },
  card_precision_at_budget: { name: 'Cards rightly alerted', kind: 'share' },
  recall_at_budget: { name: 'Frauds found', kind: 'share' },
  value_recall_at_budget: { name: 'Fraud value found', kind: 'share' },
  money_saved: { name: 'Money saved', kind: 'money' },
  false_positives_per_fraud: { name: 'False alarms per fraud', kind: 'number' },
  calibration_error: { name: 'Calibration error', kind: 'number' },
}

function contenderTable(contenders: readonly JudgedContender[], model: string, money: Money): string {
  const head = ['', ...contenders.map(({ name }) => (name === model ? `${name} (this model)` : name))]
  const body = METRIC_NAMES.map((metric) => [
    METRIC_WORDS[metric].name,
    ...contenders.map(({ metrics }) => {
      const found = metrics[metric]
      if (found === undefined) return '–'
      const text = (value: number) => figure(value, METRIC_WORDS[metric].kind, money)
      return `${text(found.value)} <small>${text(found.low)} to ${text(found.high)}</small>`
    }),
  ])
  return `${table(head, body)}<p class="note">In small print 95 % intervals from a bootstrap over cards. Alert figures are at the daily alert budget.</p>`
}

/** Every contender raises as many alerts as the budget allows over all days together. */
function sameAlertsTable({ rows, contenders, options }: ReportInput, money: Money): string {
  const days = rankRows(rows, contenders[0].scores).days
  const alerts = options.alertsPerDay * days
  const body = contenders.map(({ name, scores }) => {
    const point = pointAtAlerts(rows, scores, alerts, options.costs)
    return [
      escapeHtml(name),
      Math.round(point.alerts).toString(),
      figure(point.precision, 'share', money),
      `${figure(point.recall, 'share', money)} ${bar(point.recall)}`,
      `${figure(point.valueRecall, 'share', money)} ${bar(point.valueRecall)}`,
      figure(point.falsePositivesPerFraud, 'number', money),
      figure(point.moneySaved, 'money', money),
    ]
  })
  const head = ['', 'Alerts', 'Precision', 'Frauds found', 'Fraud value found', 'False alarms per fraud', 'Money saved']
  return `${table(head, body)}<p class="note">The ${Math.round(alerts)} highest scores of all ${days} days; rules that matched less often raise fewer.</p>`
}

function chartsOf({ rows, contenders, options }: ReportInput): string[] {
  const curves = contenders.map(({ name, scores }) => ({ name, curve: alertCurve(rows, scores, 200) }))
  const alertsMost = Math.max(10, ...curves.map(({ curve }) => curve.at(-1)?.alertsPerDay ?? 0))
  const probabilities = contenders.filter(({ scores }) => scores.every((score) => score >= 0 && score <= 1))
  const share = (label: string) => ({ label, from: 0, to: 1 })
  const charts = [
    lineChart({
      title: 'Precision against recall',
      x: share('share of frauds found'),
      y: share('share of alerts that are fraud'),
      series: curves.map(({ name, curve }) => ({ name, points: curve.map((p) => [p.recall, p.precision]) })),
    }),
    lineChart({
      title: 'Fraud value found against alerts',
      x: { label: 'alerts a day', from: 0.1, to: alertsMost, log: true },
      y: share('share of fraud value found'),
      series: curves.map(({ name, curve }) => ({ name, points: curve.map((p) => [p.alertsPerDay, p.valueRecall]) })),
      mark: { x: options.alertsPerDay, label: 'budget' },
    }),
  ]
  if (probabilities.length > 0) {
    charts.push(
      lineChart({
        title: 'Calibration: what a score means',
        x: { label: 'mean score', from: 1e-4, to: 1, log: true },
        y: { label: 'share of fraud', from: 1e-4, to: 1, log: true },
        series: probabilities.map(({ name, scores }) => {
          const { score, fraud, weight } = rankRows(rows, scores)
          const bins = calibrationBins(score, fraud, weight)
          return { name, points: bins.map((bin) => [bin.meanScore, bin.fraudShare]) }
        }),
        diagonal: true,
      }),
    )
  }
  const model = probabilities.find(({ name }) => name === contenders[0].name)
  if (model !== undefined) {
    const sharesOf = (fraud: number) => {
      const members = Array.from({ length: rows.count }, (_, i) => i).filter((i) => rows.fraud[i] === fraud)
      const { weight } = rows
      return scoreHistogram(
        Float64Array.from(members, (i) => model.scores[i]!),
        members.length,
        weight === null ? null : Float32Array.from(members, (i) => weight[i]!),
      )
    }
    const heights = [
      { name: 'frauds', values: sharesOf(1).shares },
      { name: 'genuine', values: sharesOf(0).shares },
    ]
    const { low, high } = sharesOf(1)
    charts.push(
      stepChart(
        {
          title: 'Scores of frauds and of genuine events',
          x: { label: 'log odds', from: low, to: high },
          y: { label: 'share of the events', from: 1e-5, to: 1, log: true },
          series: [],
        },
        heights,
      ),
    )
  }
  return charts
}

function segmentTable(segments: readonly SegmentFigures[], { index }: Segmentation): string {
  const ofFrauds = index.includes(GENUINE_EVERYWHERE)
  const number = (value: number) => figure(value, 'number', String)
  const body = segments.map((s) => [
    escapeHtml(s.name),
    Math.round(s.rows).toString(),
    Math.round(s.fraud).toString(),
    ...(ofFrauds ? [] : [number(s.fraudBasisPoints)]),
    number(s.averagePrecision),
    `${figure(s.recall, 'share', String)} ${bar(s.recall)}`,
    `${figure(s.valueRecall, 'share', String)} ${bar(s.valueRecall)}`,
    ...(ofFrauds ? [] : [number(s.falsePositivesPerFraud)]),
  ])
  const head = [
    '',
    'Events',
    'Frauds',
    ...(ofFrauds ? [] : ['Fraud value, basis points']),
    'Average precision',
    'Frauds found',
    'Fraud value found',
    ...(ofFrauds ? [] : ['False alarms per fraud']),
  ]
  return table(head, body)
}

function factTable({ facts, rows, options }: ReportInput): string {
  const frauds = rows.fraud.reduce((sum, fraud) => sum + fraud, 0)
  const all: (readonly [string, string])[] = [
    ...facts,
    ['Rows judged', `${rows.count}, of them ${frauds} frauds`],
    ['Alert budget', `${options.alertsPerDay} a day`],
  ]
  return `<table>${all.map(([name, value]) => `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`).join('')}</table>`
}

type Money = (minorUnits: number) => string

function moneyText(minorUnits: number, { code, minorDigits }: ReportInput['currency']): string {
  const units = Math.round(minorUnits / 10 ** minorDigits)
  return `${units < 0 ? '−' : ''}${Math.abs(units)
    .toString()
    .replace(/\B(?=(\d{3})+$)/g, ',')} ${code}`
}

function figure(value: number, kind: 'share' | 'number' | 'money', money: Money): string {
  if (!Number.isFinite(value)) return '–'
  if (kind === 'money') return escapeHtml(money(value))
  if (kind === 'share') return `${(100 * value).toFixed(1)} %`
  return Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(3)
}

function section(title: string, content: string): string {
  return `<section><h2>${escapeHtml(title)}</h2><div class="scroll">${content}</div></section>`
}

/** Cells are HTML; the heads are text. */
function table(head: readonly string[], body: readonly (readonly string[])[]): string {
  const rows = body.map(
    ([first, ...rest]) => `<tr><th>${first}</th>${rest.map((cell) => `<td>${cell}</td>`).join('')}</tr>`,
  )
  return `<table><thead><tr>${head.map((cell) => `<th>${escapeHtml(cell)}</th>`).join('')}</tr></thead><tbody>${rows.join('')}</tbody></table>`
}

function page(title: string, content: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>
:root{--ink:#1c2430;--ink-soft:#5b6675;--ground:#fff;--line:#dde2e8;--box:#eef4f2;--c0:#0b6e69;--c1:#c2571a;--c2:#4a63b8;--c3:#8f3f8f;--c4:#7a7a1f;--c5:#a33}
@media (prefers-color-scheme:dark){:root{--ink:#e8ecf1;--ink-soft:#9aa6b5;--ground:#14181e;--line:#2c343f;--box:#1b2a2a;--c0:#3fb8b0;--c1:#f0935a;--c2:#8fa4f0;--c3:#d08fd0;--c4:#c4c45a;--c5:#f08080}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);margin:0 auto;padding:1.5rem;max-width:72rem}
h1{font-size:1.5rem} h2{font-size:1.1rem;margin:2rem 0 .5rem}
.advice{background:var(--box);border-left:4px solid var(--c0);padding:.2rem 1rem .6rem;margin-top:1rem} .advice h2{margin-top:.6rem} .advice p{font-size:1.05rem;margin:.2rem 0}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(20rem,1fr));gap:1.5rem} .scroll{overflow-x:auto}
table{border-collapse:collapse} th,td{padding:.3rem .7rem;border-bottom:1px solid var(--line);text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap} th:first-child{text-align:left;font-weight:500} thead th{color:var(--ink-soft);font-weight:500}
small,.note{color:var(--ink-soft)} small{display:block}
${CHART_STYLE}
</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${content}
</body>
</html>
`
}
