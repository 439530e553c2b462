import { isAbsolute, relative } from 'node:path'
import type { AlertFigures } from './demo-summary.ts'

export interface SummaryDocument {
  readonly events: number
  readonly seconds: number
  readonly eventsPerSecond: number
  readonly model: string | null
  readonly frauds: number
  readonly alerts: number
  readonly weir: AlertFigures
  readonly rulesAlone: AlertFigures
  readonly modelAtSameAlerts: AlertFigures
  readonly rowsInClickHouse: number
}

/** What a demo that ran to its end found, for people. */
export function summaryText(summary: SummaryDocument): string {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`.padStart(8)
  const row = (name: string, figures: AlertFigures): string =>
    `  ${name.padEnd(18)}${String(figures.alerts).padStart(8)}${percent(figures.recall)}${percent(figures.valueRecall)}${figures.falsePositivesPerFraud.toFixed(1).padStart(10)}\n`
  return [
    `\n${summary.events.toLocaleString('en')} events in ${summary.seconds} s: ${summary.eventsPerSecond.toLocaleString('en')} a second\n`,
    `${summary.rowsInClickHouse.toLocaleString('en')} rows in ClickHouse; model ${summary.model ?? 'none, rules alone'}\n\n`,
    `                        alerts  recall   value  false/hit\n`,
    row('rules and model', summary.weir),
    row('rules alone', summary.rulesAlone),
    row('model, as many', summary.modelAtSameAlerts),
    `\n  recall and value: share of the ${summary.frauds} frauds that the issuer would have approved, by count and by money\n`,
  ].join('')
}

/** What a demo that goes on tells at its start. */
export function welcomeText(of: {
  readonly pageUrl: string
  /** Events a second. */
  readonly speed: number
  /** Where its data lies. */
  readonly dataFolder: string
  /** Where the command was typed. */
  readonly workingFolder: string
}): string {
  const folder = inShell(folderFrom(of.workingFolder, of.dataFolder))
  return `\nA simulated world is streaming at ${of.speed} events a second.\n\n  page     ${of.pageUrl}\n  tables   weir query --data ${folder} queue_today\n  stop     Ctrl-C\n\n`
}

/** As one would type it: from the working folder where it lies below, else in full. */
function folderFrom(workingFolder: string, folder: string): string {
  const path = relative(workingFolder, folder)
  return path === '' || path.startsWith('..') || isAbsolute(path) ? folder : path
}

function inShell(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}
