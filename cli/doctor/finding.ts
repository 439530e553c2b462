/** What one check found. `warn`: it works, but not as it could. */
export interface Finding {
  readonly status: 'ok' | 'warn' | 'fail'
  readonly detail: string
  /** What to do; empty where nothing is to be done. */
  readonly fix: string
}

export function ok(detail: string): Finding {
  return { status: 'ok', detail, fix: '' }
}

export function warn(detail: string, fix: string): Finding {
  return { status: 'warn', detail, fix }
}

export function bad(detail: string, fix: string): Finding {
  return { status: 'fail', detail, fix }
}
