/** What the path tells of itself. Names and help texts of all metrics stand in one catalogue. */
export interface Metrics {
  /** Adds to a counter. */
  count(name: string, value?: number, labels?: Readonly<Record<string, string>>): void
  /** Sets a gauge. */
  gauge(name: string, value: number, labels?: Readonly<Record<string, string>>): void
  /** Observes seconds in a histogram. */
  observe(name: string, seconds: number, labels?: Readonly<Record<string, string>>): void
}

/** Where nobody looks at the figures: tests, backtests, one-off commands. */
export const noMetrics: Metrics = { count() {}, gauge() {}, observe() {} }
