/** Names of the topics the path reads and writes. */
export interface Topics {
  readonly transactions: string
  readonly labels: string
  readonly decisions: string
  readonly alerts: string
  readonly deadLetters: string
  readonly journal: string
}

export const DEFAULT_TOPICS: Topics = {
  transactions: 'transactions',
  labels: 'labels',
  decisions: 'decisions',
  alerts: 'alerts',
  deadLetters: 'transactions.dead-letter',
  journal: 'journal',
}
