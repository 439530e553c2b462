import { existsSync } from 'node:fs'
import { type Browser, chromium } from 'playwright-core'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
/** Switches off what the browser would ask of the network by itself. */
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-background-networking',
  '--disable-component-update',
  '--no-first-run',
  '--disable-sync',
]

export function browserPath(): string | null {
  return process.env['WEIR_CHROMIUM'] ?? PLACES.find((place) => existsSync(place)) ?? null
}

/** Why browser tests cannot run here, or false; with CI=true a missing browser is a failure, not a reason to skip. */
export function skipWithoutBrowser(): string | false {
  return browserPath() === null && process.env['CI'] !== 'true' ? 'no Chromium found: set WEIR_CHROMIUM' : false
}

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: browserPath() ?? 'chromium', args: ARGS })
}
