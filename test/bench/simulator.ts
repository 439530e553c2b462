import { Simulator } from '#simulator/simulator.ts'

export interface SimulatorFigures {
  readonly events: number
  readonly labels: number
  readonly seconds: number
  readonly eventsPerSecond: number
  /** The same by processor time, on a machine that others share. */
  readonly eventsPerCpuSecond: number
  /** Making the accounts and merchants. */
  readonly startMs: number
  readonly rssBytes: number
}

const START_MS = Date.UTC(2025, 0, 6)
const WARM_UP_EVENTS = 100_000
const BETWEEN_CLOCK_LOOKS = 2_000

/** Transactions a second that the `default` world hands out on one core, over about so many seconds. */
export function benchSimulator(seconds: number): SimulatorFigures {
  const begun = process.hrtime.bigint()
  const simulator = new Simulator({ preset: 'default', seed: 1, startMs: START_MS })
  const startMs = Number(process.hrtime.bigint() - begun) / 1e6
  for (let i = 0; i < WARM_UP_EVENTS; i++) simulator.next()
  const usedBefore = process.cpuUsage()
  const started = process.hrtime.bigint()
  let events = 0
  let labels = 0
  let passed = 0
  do {
    for (let i = 0; i < BETWEEN_CLOCK_LOOKS; i++) {
      if (simulator.next().kind === 'transaction') events++
      else labels++
    }
    passed = Number(process.hrtime.bigint() - started) / 1e9
  } while (passed < seconds)
  const used = process.cpuUsage(usedBefore)
  return {
    events,
    labels,
    seconds: passed,
    eventsPerSecond: Math.round(events / passed),
    eventsPerCpuSecond: Math.round((events * 1e6) / (used.user + used.system)),
    startMs: Math.round(startMs),
    rssBytes: process.memoryUsage().rss,
  }
}
