/** Something a machine may lack: what it gives, or why it is not there. */
export type Optional<T> =
  | { readonly tool: T; readonly missing: null }
  | { readonly tool: null; readonly missing: string }

/**
 * For `describe(name, { skip })`: the reason is told beside the name of what is skipped.
 *
 * @throws Error where CI=true, which allows no gaps
 */
export function skipWithout(optional: Optional<unknown>): string | false {
  if (optional.missing === null) return false
  if (process.env['CI'] === 'true') throw new Error(`${optional.missing}, and CI=true allows no gaps`)
  return optional.missing
}
