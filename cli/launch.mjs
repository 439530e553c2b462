#!/usr/bin/env -S node --v8-pool-size=1 --max-semi-space-size=4
// What `npx weir` runs: brings dist/ up to date if a source has changed, then hands over to it. It is a file of its own,
// and not dist/weir.js, because npx remembers for ever that a command was missing when it was first called. One helper
// thread for the engine instead of four: where there are few cores, four of them at work on garbage make requests wait. And
// little room for what is new: buffers of the network are then given back often, before there are so many of them that the
// engine looks through everything.
import { existsSync } from 'node:fs'

const ROOT = new URL('../', import.meta.url)

if (existsSync(new URL('node_modules/commander', ROOT))) {
  const { build } = await import('../build.mjs')
  await build()
  await import('../dist/weir.js')
} else {
  process.stderr.write(
    'weir: its packages are not installed yet\n  fix Run `make setup` in the folder of Weir.\n  (NOT_AVAILABLE)\n',
  )
  process.exitCode = 2
}
