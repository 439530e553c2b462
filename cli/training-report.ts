import type { Trained } from '#learning/train-from.ts'
import type { MetricWithInterval } from '#schemas/model-manifest.ts'

type Figures = Readonly<Record<string, MetricWithInterval>>

/** What a training gave and how it compares, as one document. */
export function trainingDocument({ made, gate, test, champion }: Trained, folder: string | null): object {
  const { manifest } = made
  const { evaluation } = manifest
  return {
    version: manifest.version,
    folder,
    spec: manifest.spec.name,
    backend: manifest.training.backend,
    trainingRows: manifest.training.rows,
    trainingFrauds: manifest.training.fraud,
    testFrom: evaluation === null ? null : dayOf(evaluation.from),
    testTo: evaluation === null ? null : dayOf(evaluation.to - 1),
    testRows: test.rows,
    testFrauds: test.fraud,
    champion,
    metrics: evaluation?.metrics ?? {},
    comparedWith: evaluation?.comparedWith ?? {},
    gate,
  }
}

/** The same for people: candidate, champion and rules alone side by side, on the days on which they were compared. */
export function trainingText(trained: Trained, folder: string | null): string {
  const { made, gate, test } = trained
  const { version, training, evaluation } = made.manifest
  const days = evaluation === null ? '' : `, ${dayOf(evaluation.from)} to ${dayOf(evaluation.to - 1)}`
  const contenders: readonly (readonly [string, Figures])[] = [
    [`candidate ${version}`, evaluation?.metrics ?? {}],
    ...Object.entries(evaluation?.comparedWith ?? {}),
  ]
  const row = (name: string, ...cells: string[]): string =>
    `  ${name.padEnd(40)}${cells.map((cell) => cell.padStart(10)).join('')}\n`
  return [
    `\n${version}: ${training.rows} rows, ${training.fraud} frauds, on ${training.backend}\n`,
    `compared on the newest mature days${days}: ${test.rows} events, ${test.fraud} frauds\n`,
    `${championText(trained)}\n\n`,
    row('', 'AP', 'value', 'saved'),
    ...contenders.map(([name, figures]) =>
      row(
        name,
        shareOf(figures['average_precision']),
        shareOf(figures['value_recall_at_budget']),
        moneyOf(figures['money_saved']),
      ),
    ),
    `\n  AP: average precision. value and saved: share of fraud money found, and money saved, at ${evaluation?.alertsPerDay ?? 0} alerts a day\n`,
    `\n${gate.findings.map((finding) => `  ${finding}\n`).join('')}`,
    folder === null ? '' : `\nwritten to ${folder}\n`,
  ].join('')
}

function championText({ champion }: Trained): string {
  if (champion === null) return 'nobody is in charge yet: compared with the rules alone'
  return champion.isCompared
    ? `compared with the champion ${champion.version} and with the rules alone`
    : `the champion ${champion.version} reads other features and cannot be compared: compared with the rules alone`
}

function shareOf(figure: MetricWithInterval | undefined): string {
  return figure === undefined ? '-' : figure.value.toFixed(3)
}

/** From minor units; whole units are enough to compare by. */
function moneyOf(figure: MetricWithInterval | undefined): string {
  return figure === undefined ? '-' : Math.round(figure.value / 100).toLocaleString('en')
}

function dayOf(epochMs: number): string {
  return new Date(epochMs).toISOString().slice(0, 10)
}
