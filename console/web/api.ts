import type { LiveFigures } from '../server/live.ts'

const TOKEN_KEY = 'weir-token'
const RETRY_MS_MAX = 10_000

/** The token from the address's fragment, kept for this tab only; the fragment is removed from the address bar. */
export function takeToken(): string {
  const given = /token=([^&]+)/.exec(location.hash)?.[1]
  if (given !== undefined) {
    sessionStorage.setItem(TOKEN_KEY, decodeURIComponent(given))
    history.replaceState(null, '', location.pathname)
  }
  return sessionStorage.getItem(TOKEN_KEY) ?? ''
}

export type Connection = 'connecting' | 'live' | 'lost' | 'refused'

/** Follows the live figures for ever: reads server-sent events, and connects anew with growing pauses. */
export async function followLive(
  token: string,
  onFigures: (figures: LiveFigures) => void,
  onConnection: (state: Connection) => void,
  signal: AbortSignal,
): Promise<void> {
  let pauseMs = 500
  while (!signal.aborted) {
    try {
      const response = await fetch('/v1/live', { headers: { Authorization: `Bearer ${token}` }, signal })
      if (response.status === 401) {
        onConnection('refused')
        return
      }
      if (response.ok && response.body !== null) {
        onConnection('live')
        pauseMs = 500
        await readEvents(response.body, onFigures)
      }
    } catch {
      // told as a lost connection below
    }
    if (signal.aborted) return
    onConnection('lost')
    await new Promise((resolve) => setTimeout(resolve, pauseMs))
    pauseMs = Math.min(pauseMs * 2, RETRY_MS_MAX)
  }
}

async function readEvents(body: ReadableStream<Uint8Array>, onFigures: (figures: LiveFigures) => void): Promise<void> {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let rest = ''
  for (;;) {
    const { done, value } = await reader.read()
    if (done) return
    const events = (rest + decoder.decode(value, { stream: true })).split('\n\n')
    rest = events.pop() ?? ''
    for (const event of events) {
      if (event.startsWith('data: ')) onFigures(JSON.parse(event.slice(6)) as LiveFigures)
    }
  }
}
